from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.attribution.baselines import Fill, colour
from fruitaudit.attribution.cem_autoencoder import fitting_autoencoder
from fruitaudit.attribution.cem_counterfactuals import DIAGNOSTICS, CemMode, SearchResult, counterfactuals
from fruitaudit.attribution.cem_rows import Rows
from fruitaudit.attribution.cem_search import Search, leads
from fruitaudit.errors import CannotExplain
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.evidence import Counterfactuals
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

BACKGROUND = 512
"""Reference images that the median is taken of."""


@dataclass(frozen=True, config=OPTIONS)
class Cem:
    """The least that must be added for another class (pertinent negative), and the least that is enough for this one.

    min_d  c f(d) + beta |d|_1 + |d|_2^2 + gamma |AE(z) - z|_2^2.
    PN: z = x + d, f = max(0, kappa + s_t(z) - max_{i != t} s_i(z)), d leads away from no information b, z within the
    colours there are. PP: z = b + d, f = max(0, kappa + max_{i != t} s_i(z) - s_t(z)), d between 0 and x - b.
    FISTA: d' = P(S_beta(y - a_k grad(y))), y' = P(d' + k / (k + 3) (d' - d)), S_beta the soft threshold, P the
    projection on what is allowed. c is multiplied by 10 until there is a find, then bisected. Of all iterates that are
    finds, the one of least beta |d|_1 + |d|_2^2 is kept, and is fed to the model once more.
    Paper: Dhurandhar, Chen, Luss, Tu, Ting, Shanmugam, Das 2018, arXiv:1802.07623, eq. 1-7 and alg. 1. The scores s
    are logits, as in the authors' own code; alibi 0.9.6 takes probabilities, which have no gradient left where the
    model is sure of itself.
    Differs from the paper: a_k = learning_rate sqrt(1 - k / max_iterations) and |gradient| <= clip, as in alibi (the
    paper leaves them open). alibi's learning_rate is 0.01 always; with an autoencoder that overshoots, every iterate
    lies elsewhere, and finds are left to luck: on six rendered shop photos (gamma 100, beta 0.1, 1000 iterations) the
    median L1 of the PNs was 599 with 0.01 and 37 with 0.002, of the PPs 438 and 239, all found. A PP is b + d, as in
    the paper, where b is 0; alibi feeds d alone to the model whatever b is, which is black where b is white. Without
    `momentum` y' = d', as alibi in fact computes: PNs of shop photos were no larger (median L1 8.2 with and without
    it). An iteration that leaves y = 0 where it was ends the round of its c, as the rest would repeat it; so does a
    step too short for any pixel to leave 0 (a_k clip <= beta), after which changes only shrink.

    Parameters, in colours from 0 (black) to 1 (white): `autoencoder` a Keras file that returns the model's inputs, in
    their range, or None; `gamma` >= 0 its weight; `beta` >= 0 of the L1 norm; `kappa` >= 0 by how much the winner must
    lead, in units of `score`; `c_init` > 0 of PN and `c_init_pp` of PP; `c_steps` rounds of the search for c;
    `max_iterations` of each; `momentum` as in the paper; `learning_rate` > 0, left out: 0.01, with an autoencoder
    0.002; `clip` > 0; `score` what s is; `no_information` the median of 512 reference images, pixel by pixel, or a
    colour.
    Returns PN and PP of each image, in model input units. Diagnostics, (N,), as "pn_..." and "pp_...": l1 and l2 (norms
    of the change in 0..1 colour) and c of the find, NaN where there is none, and iterations; with an autoencoder
    "reconstruction_error", root mean square in 0..1 colour.
    Raises CannotExplain without a gradient, or where the autoencoder does not fit the model.
    """

    registration: ClassVar[Registration] = Registration(
        name="cem",
        title="Contrastive explanations",
        family="counterfactual",
        question="What is the least to add for another class, and the least that is enough for this one?",
        paper="Dhurandhar et al. 2018, arXiv:1802.07623",
        explains="logit",
        channels="none",
        signed=True,
        needs=("scores", "gradients"),
        quick_options=(
            ("c_steps", 1),
            ("c_init", 1e5),
            ("c_init_pp", 1e5),
            ("max_iterations", 50),
            ("learning_rate", 0.03),
            ("no_information", "grey"),
        ),
        cost="at most 2 x (c_steps x max_iterations + 1) gradients and 4 forward; with momentum as many forward",
        upper_bound=True,
        diagnostics=DIAGNOSTICS,
        contract_options=(
            ("gamma", 3.0),
            ("beta", 0.02),
            ("kappa", 0.2),
            ("c_init", 7.0),
            ("c_init_pp", 7.0),
            ("c_steps", 2),
            ("max_iterations", 7),
            ("momentum", True),
            ("learning_rate", 0.02),
            ("clip", 20.0),
            ("score", "probability"),
            ("no_information", "grey"),
        ),
    )

    autoencoder: str | None = None
    gamma: Annotated[float, Field(ge=0)] = 100.0
    beta: Annotated[float, Field(ge=0)] = 0.1
    kappa: Annotated[float, Field(ge=0)] = 0.0
    c_init: Annotated[float, Field(gt=0)] = 1.0
    c_init_pp: Annotated[float, Field(gt=0)] = 0.5
    c_steps: Annotated[int, Field(ge=1)] = 10
    max_iterations: Annotated[int, Field(ge=1)] = 100
    momentum: bool = False
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    clip: Annotated[float, Field(gt=0)] = 100.0
    score: Literal["logit", "probability"] = "logit"
    no_information: Literal["median"] | Fill = "median"

    @property
    def rate(self) -> float:
        """The learning rate, whether or not it was named."""
        return self.learning_rate or (0.01 if self.autoencoder is None else 0.002)

    @property
    def background_size(self) -> int:
        return BACKGROUND if self.no_information == "median" else 0

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Counterfactuals:
        baseline = self.baseline_image(images)
        autoencoder, reconstructions = None, None
        if self.autoencoder is not None:
            autoencoder, reconstructions = fitting_autoencoder(self.autoencoder, model, images)
        search = Search(
            gamma=self.gamma,
            beta=self.beta,
            kappa=self.kappa,
            max_iterations=self.max_iterations,
            c_steps=self.c_steps,
            momentum=self.momentum,
            learning_rate=self.rate,
            clip=self.clip,
            score=self.score,
            low=images.low,
            span=images.high - images.low,
            autoencoder=autoencoder,
        )
        rows, n = self._rows(model, images, baseline, targets), len(images)
        nearest = search(model, rows)
        halves: tuple[tuple[CemMode, slice], ...] = (("PN", slice(n)), ("PP", slice(n, None)))
        results = [
            SearchResult(
                mode=mode,
                origin=rows.origin[half],
                change=nearest.change[half],
                success=nearest.success[half],
                further={"c": nearest.c[half], "iterations": nearest.iterations[half]},
            )
            for mode, half in halves
        ]
        steps = f"steps of {self.rate:g} at first, at most {search.round_length} for each of {self.c_steps} values of c"
        return counterfactuals(model, images, targets, results, reconstructions=reconstructions, notes=(steps,))

    def baseline_image(self, images: Images) -> FloatArray:
        """(H, W, C) in model input."""
        if self.no_information != "median":
            return np.broadcast_to(colour(images, self.no_information), images.values.shape[1:])
        if images.background is None:
            raise CannotExplain("CEM takes the median of reference images as no information, and there are none; name "
                                "a split with role: reference, or set no_information to a colour")  # fmt: skip
        return images.background.median

    def _rows(self, model: Model, images: Images, baseline: FloatArray, targets: Targets) -> Rows:
        """PN of every image, then PP of every image; settled where nothing need be changed."""
        n, unchanged = len(images), np.concatenate([images.values, baseline[None]])
        scores = model.probabilities(unchanged) if self.score == "probability" else model.logits(unchanged)
        positive = np.arange(2 * n) >= n
        target = np.tile(targets.classes, 2)
        lead = leads(scores[np.minimum(np.arange(2 * n), n)], target, positive)
        return Rows(
            origin=unchanged[np.minimum(np.arange(2 * n), n)],
            allowed_change=np.tile((images.values - baseline) / (images.high - images.low), (2, 1, 1, 1)),
            positive=positive,
            target=target,
            c=np.where(positive, self.c_init_pp, self.c_init).astype(np.float32),
            settled=lead < -self.kappa,
        )

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        iterations = 2 * n_images * self.c_steps * self.max_iterations
        return Passes(
            forward=3 * n_images + 1 + self.momentum * iterations,
            gradient=2 * n_images + iterations,
        )


METHODS = (Cem,)
