from __future__ import annotations

import dataclasses
import heapq
import itertools
from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, SCORE_DIFFERENCE, Model, Passes, Registration, Shape, Sum
from fruitaudit.attribution.baselines import Hide, hidden
from fruitaudit.attribution.passes import ahead, in_turn, runs, shown_or_hidden
from fruitaudit.attribution.scores import ExplainedScore, scores_of
from fruitaudit.records.data import BoolArray, DoubleArray, FloatArray, Images, IntArray
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams

ROUND = 32
"""Tiles of an image that are split at once, whatever the batch size: the choice of the next ones waits for these."""


@dataclass(frozen=True, config=OPTIONS)
class PartitionShap:
    """What each tile of the image adds to the class's score, split further where it adds most.

    A tile halves its longer side; its two halves a, b share what it adds in every context c of shown tiles:
    phi_a = 1/2 (f(c + a) - f(c)) + 1/2 (f(c + a + b) - f(c + b)), and so on inside a, in both contexts. These are the
    Owen values of the hierarchy of tiles. The budget goes to the tile and context with the largest effect; what a tile
    adds that is not split any further is spread over its pixels.
    Paper: Owen 1977 (doi:10.1007/978-3-642-45494-3_7), for images by Lundberg and Lee's `shap.PartitionExplainer`, the
    game being that of Lundberg, Lee 2017, arXiv:1705.07874, sec. 3.
    Differs from the paper: the colours of a pixel are never split, and the images go through the model together.

    Parameters: `samples` masked images, >= 4, the whole and the empty one among them; `hide` what a hidden tile shows;
    `explains` f, the probability or the logit.
    Returns maps (N, H, W) in what it explains per pixel, signed. Diagnostics, (N,): "score_difference" f(x) - f(x all
    hidden), the sum of the map.
    """

    registration: ClassVar[Registration] = Registration(
        name="partition_shap",
        title="Partition SHAP",
        family="perturbation",
        question="What does each region of the image add to the class's score, whatever else is shown?",
        paper="Lundberg and Lee 2017, arXiv:1705.07874",
        explains="probability",
        channels="none",
        signed=True,
        needs=("scores",),
        adds_up=Sum(less="hidden"),
        quick_options=(("samples", 60),),
        cost="at most samples forward (fewer only where every pixel was reached)",
        upper_bound=True,
        diagnostics=(SCORE_DIFFERENCE,),
        contrast=True,
        sensitivity_options=(("samples", 30), ("hide", "grey"), ("explains", "logit")),
    )

    samples: Annotated[int, Field(ge=4)] = 500
    hide: Hide = "blur"
    explains: ExplainedScore = "probability"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        # As many trees at once as the model takes images: every tile keeps its context, which is as large as a map.
        groups = [slice(start, start + model.batch_size) for start in range(0, len(images), model.batch_size)]
        group_maps = [self._maps(model, images.select(group), targets.select(group)) for group in groups]
        maps, gains = (np.concatenate(parts).astype(np.float32) for parts in zip(*group_maps, strict=True))
        return Maps(maps, {"score_difference": gains})

    def _maps(self, model: Model, images: Images, targets: Targets) -> tuple[DoubleArray, DoubleArray]:
        """(N, H, W), and the gain (N,) that each adds up to."""
        filled = hidden(images, self.hide)

        def score(image: IntArray, shown: list[BoolArray]) -> FloatArray:
            batches = ahead(_masked(images.values, filled, image, shown, model.batch_size))
            return np.concatenate([scores_of(model, v, targets.select(i), self.explains) for i, v in batches])

        height, width = images.values.shape[1:3]
        none_shown, all_shown = np.zeros((height, width), bool), np.ones((height, width), bool)
        each = np.arange(len(images))
        ends = score(np.tile(each, 2), [none_shown] * len(each) + [all_shown] * len(each)).astype(np.float64)
        low, high = ends.reshape(2, -1)
        splits = (self.samples - 2) // 2
        trees = [
            _Tree(splits, _Tile(0, 0, height, width, none_shown, *pair, 1.0)) for pair in zip(low, high, strict=True)
        ]
        while split := [(i, tile) for i, tree in enumerate(trees) for tile in tree.largest()]:
            pairs = [(tile.with_half(0), tile.with_half(1)) for _, tile in split]
            scores = score(np.array([i for i, _ in split]).repeat(2), list(itertools.chain(*pairs)))
            for (i, tile), shown, pair_scores in zip(
                split, pairs, scores.reshape(-1, 2).astype(np.float64), strict=True
            ):
                trees[i].add(tile.split(shown, pair_scores))
        return np.stack([tree.spread((height, width)) for tree in trees]), high - low

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images * (2 + 2 * ((self.samples - 2) // 2)))


@dataclasses.dataclass(frozen=True)
class _Tile:
    """A rectangle in one context: `shown` (H, W) without it; the scores without and with it; its share of contexts."""

    top: int
    left: int
    height: int
    width: int
    shown: BoolArray
    low: float
    high: float
    weight: float

    @property
    def effect(self) -> float:
        return (self.high - self.low) * self.weight

    @property
    def area(self) -> tuple[slice, slice]:
        return np.s_[self.top : self.top + self.height, self.left : self.left + self.width]

    @property
    def halves(self) -> tuple[tuple[int, int, int, int], tuple[int, int, int, int]]:
        """Top, left, height and width of both; of an odd side the first gets more, as in the package."""
        if self.height >= self.width:
            cut = -(-self.height // 2)
            return ((self.top, self.left, cut, self.width),
                    (self.top + cut, self.left, self.height - cut, self.width))  # fmt: skip
        cut = -(-self.width // 2)
        return (self.top, self.left, self.height, cut), (self.top, self.left + cut, self.height, self.width - cut)

    def with_half(self, half: int) -> BoolArray:
        """The context, and one half of the tile."""
        top, left, height, width = self.halves[half]
        shown = self.shown.copy()
        shown[top : top + height, left : left + width] = True
        return shown

    def split(self, shown: tuple[BoolArray, BoolArray], scores: DoubleArray) -> Iterator[_Tile]:
        """Both halves without and with the other one; `shown` and `scores` are those with each half only."""
        for half, other in ((0, 1), (1, 0)):
            yield _Tile(*self.halves[half], self.shown, self.low, scores[half], self.weight / 2)
            yield _Tile(*self.halves[half], shown[other], scores[other], self.high, self.weight / 2)


class _Tree:
    """The tiles of one image that are not split, the one with the largest effect first; `left` may still be."""

    def __init__(self, left: int, root: _Tile) -> None:
        self.left = left
        self.heap: list[tuple[float, int, _Tile]] = []
        self.pixels: list[_Tile] = []
        self.order = itertools.count()
        self.add([root])

    def add(self, tiles: Iterable[_Tile]) -> None:
        for tile in tiles:
            if tile.height == tile.width == 1:
                self.pixels.append(tile)
            else:
                heapq.heappush(self.heap, (-abs(tile.effect), next(self.order), tile))

    def largest(self) -> list[_Tile]:
        """Take out the tiles to split next."""
        n = min(ROUND, self.left, len(self.heap))
        self.left -= n
        return [heapq.heappop(self.heap)[-1] for _ in range(n)]

    def spread(self, shape: tuple[int, int]) -> DoubleArray:
        """(H, W): the effect of each tile divided evenly among its pixels."""
        values = np.zeros(shape)
        for tile in (*self.pixels, *(tile for *_, tile in self.heap)):
            values[tile.area] += tile.effect / (tile.height * tile.width)
        return values


def _masked(
    values: FloatArray, filled: FloatArray, image: IntArray, all_masks: list[BoolArray], batch_size: int
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Batches of images (B, H, W, C) of which only some pixels are shown, and which image each one is."""
    buffers = in_turn(min(batch_size, len(all_masks)), *values.shape[1:])
    for start in range(0, len(all_masks), batch_size):
        rows, masks = image[start : start + batch_size], all_masks[start : start + batch_size]
        batch = next(buffers)[: len(rows)]
        for i, variants in runs(rows):
            shown_or_hidden(values[i], filled[i], masks[variants], batch[variants])
        yield rows, batch


METHODS = (PartitionShap,)
