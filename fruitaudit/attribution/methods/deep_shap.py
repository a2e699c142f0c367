from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import (
    OPTIONS,
    SCORE_DIFFERENCE,
    Model,
    Passes,
    Registration,
    Shape,
    Sum,
    rounding_error,
)
from fruitaudit.attribution.methods.deep_lift import additivity
from fruitaudit.attribution.scores import logit_weights
from fruitaudit.errors import CannotExplain
from fruitaudit.models.rules import DeepLiftRules, Propagated
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class DeepShap:
    """What each pixel adds to the class score, compared with real images that the model knows.

    phi_i = mean_r C_i(x, r) over reference images r, C the contributions of DeepLIFT, so that
    sum_i phi_i = S(x) - mean_r S(r) for the logit S. Approximates Shapley values.
    Paper: Lundberg, Lee 2017, arXiv:1705.07874, sec. 4.2 (Deep SHAP); rules: see `deep_lift`.
    Differs from the paper: as `deep_lift` does. Channels are summed to one map.

    Parameters: `background` reference images; `classes` further classes, those with the highest mean probability over
    the images explained, each a part "class <index>"; `total`: also the part "sum of all classes".
    Returns maps (N, H, W) in logits, signed, of the class explained. Diagnostics, (N,): "score_difference"
    S(x) - mean S(r) and "additivity_error" |sum phi - (S(x) - mean S(r))| / |S(x) - mean S(r)|.
    Raises CannotExplain with the operations of the model that have no rule.
    """

    registration: ClassVar[Registration] = Registration(
        name="deep_shap",
        title="DeepSHAP",
        family="backward",
        question="Which pixels raise or lower the score, compared with images that the model was trained on?",
        paper="Lundberg and Lee 2017, arXiv:1705.07874",
        explains="logit",
        channels="sum",
        signed=True,
        needs=("scores", "backward_rules"),
        linear=True,
        adds_up=Sum(less="background"),
        quick_options=(("background", 2),),
        cost="(1 + classes + total) x background gradients, whose forward halves are shared between images",
        diagnostics=(
            rounding_error(
                "additivity_error",
                "Do not read these maps unless the score's difference from that of the `background` is close to 0, "
                "where rounding is all there is.",
            ),
            SCORE_DIFFERENCE,
        ),
        sensitivity_options=(("background", 3), ("classes", 2), ("total", True)),
        contrast=True,
    )

    background: Annotated[int, Field(ge=1)] = 100
    classes: Annotated[int, Field(ge=1)] | None = None
    total: bool = False

    @property
    def background_size(self) -> int:
        return self.background

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        if images.background is None or len(images.background.values) == 0:
            raise CannotExplain("DeepSHAP compares with reference images, and there are none: add a split with the "
                                "role reference, or use deep_lift instead")  # fmt: skip
        references = images.background.values[: self.background]
        seeds = {"": logit_weights(targets, model.n_classes)}
        classes: dict[str, int] = {}
        if self.classes:
            for k in np.argsort(-model.probabilities(images.values).mean(axis=0), kind="stable")[: self.classes]:
                classes[f"class {k}"] = int(k)
                seeds[f"class {k}"] = logit_weights(Targets(np.full(len(images), k)), model.n_classes)
        if self.total:
            seeds["sum of all classes"] = np.ones((len(images), model.n_classes), np.float32)
        repeated = np.concatenate([images.values] * len(seeds))
        propagated = model.propagate(DeepLiftRules(references), repeated, np.concatenate(list(seeds.values())))
        maps = dict(zip(seeds, np.split(propagated.input_signals, len(seeds)), strict=True))
        explained_maps = maps.pop("")
        return Maps(
            explained_maps,
            additivity(Propagated(explained_maps, propagated.scores[: len(images)])),
            parts=maps,
            classes=classes,
        )

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        maps = n_images * (1 + (self.classes or 0) + self.total)
        return Passes(forward=n_images if self.classes else 0, gradient=maps * self.background)


METHODS = (DeepShap,)
