from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.attribution.baselines import Hide, hidden
from fruitaudit.attribution.passes import ahead, bilinear, in_turn, rows, runs
from fruitaudit.attribution.scores import ExplainedScore, scores_of
from fruitaudit.records.data import FloatArray, Images, IntArray
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class Rise:
    """How much higher the class's score is when a pixel is shown, over random masks that hide half of the image.

    M_ij = 1 / (p n) * sum_s (f_k(x * m_s + b * (1 - m_s)) - mean f_k) m_s,ij,  m_s random grids of `cells` x `cells`
    zeros and ones (ones with probability p), enlarged bilinearly and shifted by a random part of a cell.
    Paper: Petsiuk, Das, Saenko 2018, arXiv:1806.07421, eq. 6 and sec. 3.2.
    Differs from the paper: the mean score is taken off, so that 0 means no effect, and pixels that happen to be shown
    more often than others do not stand out; what is hidden shows the fill b (in the paper's code 0 after ImageNet's
    mean was taken off, which is a grey); 1000 masks instead of 4000 or more.

    Parameters: `samples` n; `cells` of the grid along each side; `shown` p, 0..1; `fill` b; `explains` f, the
    probability or the logit.
    Returns maps (N, H, W) in what it explains, positive where showing the pixel helps the class.
    """

    registration: ClassVar[Registration] = Registration(
        name="rise",
        title="RISE",
        family="perturbation",
        question="How much better does the class score when this part of the image is shown than on average?",
        paper="Petsiuk et al. 2018, arXiv:1806.07421",
        explains="probability",
        channels="none",
        signed=True,
        needs=("scores",),
        linear=True,
        quick_options=(("samples", 50),),
        cost="samples forward",
        contrast=True,
        sensitivity_options=(
            ("samples", 60),
            ("cells", 3),
            ("shown", 0.3),
            ("fill", "white"),
            ("explains", "logit"),
        ),
    )

    samples: Annotated[int, Field(ge=2)] = 1000
    cells: Annotated[int, Field(ge=1)] = 7
    shown: Annotated[float, Field(gt=0, lt=1)] = 0.5
    fill: Hide = "grey"
    explains: ExplainedScore = "probability"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        # Scores are counted from the first of each image on, so that float32 keeps the digits of their differences.
        first, score_sums = np.full(len(images), np.nan, np.float32), np.zeros(len(images))
        weighted_masks, mask_sums = np.zeros((2, len(images), images.values[0, :, :, 0].size))
        for image, masks, values in ahead(self._masked(images, streams, model.batch_size)):
            scores = scores_of(model, values, targets.select(image), self.explains)
            for i, variants in runs(image):
                first[i] = scores[variants.start] if np.isnan(first[i]) else first[i]
                gains, flat = scores[variants] - first[i], masks[variants].reshape(len(scores[variants]), -1)
                score_sums[i] += gains.sum()
                weighted_masks[i] += np.einsum("n,np->p", gains, flat)
                mask_sums[i] += flat.sum(axis=0)
        maps = (weighted_masks - score_sums[:, None] / self.samples * mask_sums) / (self.shown * self.samples)
        return Maps(maps.reshape(images.values.shape[:3]).astype(np.float32))

    def _masked(
        self, images: Images, streams: Streams, batch_size: int
    ) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
        """Batches of image, mask (B, H, W) and masked copy (B, H, W, C)."""
        filled = np.ascontiguousarray(hidden(images, self.fill))  # three numbers at a time would be slow to add
        difference = images.values - filled
        # One generator per image, drawn from in the order of its masks: batches do not matter.
        generators = [streams.rng("rise", sample_id) for sample_id in images.sample_ids]
        height, width, channels = images.values.shape[1:]
        all_masks, all_values = in_turn(batch_size, height, width), in_turn(batch_size, height, width, channels)
        for image, _ in rows(len(images), self.samples, batch_size):
            masks, values = next(all_masks)[: len(image)], next(all_values)[: len(image)]
            for mask, i in zip(masks, image, strict=True):
                mask[:] = self.mask(generators[i], height, width)
            for i, variants in runs(image):
                for channel in range(channels):  # three numbers at a time would be slow
                    np.multiply(masks[variants], difference[i, :, :, channel], out=values[variants, :, :, channel])
                if filled[i].any():
                    values[variants] += filled[i]
            yield image, masks, values

    def mask(self, rng: np.random.Generator, height: int, width: int) -> FloatArray:
        """(H, W) in 0..1: a random grid, enlarged to one cell more than the image and cut out at a random place."""
        cell_height, cell_width = -(-height // self.cells), -(-width // self.cells)
        grid = (rng.random((self.cells, self.cells)) < self.shown).astype(np.float32)
        top, left = rng.integers(cell_height), rng.integers(cell_width)
        size = (self.cells + 1) * cell_height, (self.cells + 1) * cell_width
        return bilinear(grid, *size, slice(top, top + height), slice(left, left + width))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images * self.samples)


METHODS = (Rise,)
