"""The axes on which one method is tested: each makes the maps it needs, and returns numbers or why there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fruitaudit.errors import CannotExplain
from fruitaudit.models.base import WithScores
from fruitaudit.providers.registry import explains_of
from fruitaudit.records.data import DoubleArray, FloatArray, IntArray
from fruitaudit.records.explanations import Targets
from fruitaudit.records.states import Estimate, NotRun, Quantity
from fruitaudit.records.trust import (
    ControlComparison,
    Depth,
    EdgeLikeness,
    Localization,
    Randomization,
    SettingSpread,
    StabilityRow,
)
from fruitaudit.statistics.intervals import share_of
from fruitaudit.statistics.small_samples import CORRELATION, mean_over_images
from fruitaudit.trust.bench import FAITHFULNESS, LOWER_IS_BETTER, Bench
from fruitaudit.trust.changes import ChangedImages, stability
from fruitaudit.trust.control_comparison import compare_with_controls
from fruitaudit.trust.controls import EDGES, control_maps
from fruitaudit.trust.edges import edge_likeness
from fruitaudit.trust.localization import localization
from fruitaudit.trust.mosaics import grid_pointing
from fruitaudit.trust.plan import Allowance, variants
from fruitaudit.trust.randomization import depth, steps
from fruitaudit.trust.similarity import ranks_pixels, spearman
from fruitaudit.trust.subject import Subject

FEWEST_PAIRS = 4
"""Mosaics with a class to be found, below which the grid pointing game is not played."""


@dataclass(frozen=True)
class MethodUnderTest:
    """A method, its share of the budget, and its maps of the first images: what every axis starts from."""

    subject: Subject
    allowance: Allowance
    maps: FloatArray

    @property
    def few(self) -> FloatArray:
        """The maps of the images on which explanations are repeated."""
        return self.maps[: self.allowance.repeated]


def _mean(correlations: DoubleArray, bench: Bench, *, note: str = "") -> Quantity:
    return mean_over_images(
        correlations, bench.streams, note=note, within=CORRELATION, groups=bench.groups(len(correlations))
    )


def usable_share(maps: FloatArray, groups: IntArray | None = None) -> Estimate:
    """Share of the images whose map ranks pixels: finite and not constant."""
    return share_of(ranks_pixels(maps), groups)


def faithfulness(bench: Bench, tested: MethodUnderTest) -> dict[str, ControlComparison | NotRun]:
    """Every test of faithfulness, beside the controls."""
    return {test: _faithfulness(bench, tested, test) for test in FAITHFULNESS}


def _faithfulness(bench: Bench, tested: MethodUnderTest, test: str) -> ControlComparison | NotRun:
    try:
        scores, controls = bench.scores(test, tested.maps, explains_of(tested.subject.method, bench.model))
    except CannotExplain as reason:
        return NotRun(str(reason), "not_applicable")
    return compare_with_controls(
        scores, controls, bench.streams, higher_is_better=test not in LOWER_IS_BETTER, groups=bench.groups(len(scores))
    )


def randomization(bench: Bench, tested: MethodUnderTest) -> tuple[Randomization | NotRun, FloatArray | NotRun]:
    """Similarity of the maps per depth of reinitialisation, and the maps of the network reinitialised throughout."""
    network, allowance = bench.network, tested.allowance
    if isinstance(network, NotRun):
        return network, network
    images, targets = bench.first(len(tested.few))
    depths: dict[bool, list[Depth]] = {True: [], False: []}
    last: FloatArray | NotRun = NotRun("no layer was drawn anew", "not_asked")
    for step in steps(network.layers, cascading=allowance.cascading, independent=allowance.independent):
        maps = tested.subject.maps(network.reinitialised(step.layers), images, targets)
        if isinstance(maps, NotRun):
            depths[step.cascading].append(Depth(step.layers, maps, maps, maps, maps))
        else:
            depths[step.cascading].append(depth(step.layers, tested.few, maps, bench.streams, bench.groups(len(maps))))
        last = maps if step.cascading else last
    return Randomization(tuple(depths[True]), tuple(depths[False]), len(network.layers)), last


def on_copy(bench: Bench, tested: MethodUnderTest, copy: WithScores | NotRun) -> Quantity:
    """Rank correlation of the maps' magnitudes with those of another network of the same kind."""
    if isinstance(copy, NotRun):
        return copy
    maps = tested.subject.maps(copy, *bench.first(len(tested.few)))
    return maps if isinstance(maps, NotRun) else _mean(spearman(abs(tested.few), abs(maps)), bench)


def changes(bench: Bench, tested: MethodUnderTest) -> tuple[StabilityRow, ...]:
    """The maps after every small change of the images that leaves the prediction as it is."""
    return tuple(_change(bench, tested, changed) for changed in bench.changes(tested.allowance))


def _change(bench: Bench, tested: MethodUnderTest, changed: ChangedImages) -> StabilityRow:
    n = len(tested.few)
    rows = np.flatnonzero(changed.same_prediction[:n])
    maps_after = np.full(tested.few.shape, np.nan, np.float32)
    if len(rows):
        targets = Targets(bench.targets.classes[rows])
        maps = tested.subject.maps(bench.model, changed.images.select(rows), targets)
        if isinstance(maps, NotRun):
            return StabilityRow(changed.kind, changed.strength, len(rows), n, maps, maps)
        maps_after[rows] = maps
    return stability(bench.first(n)[0], changed.first(n), tested.few, maps_after, bench.streams)


def seeds(bench: Bench, tested: MethodUnderTest) -> Quantity:
    """Mean rank correlation of the maps with those of other seeds."""
    correlations = []
    for k in range(tested.allowance.seeds):
        other = tested.subject.seeded(bench.streams.integer("trust", "seed", str(k)))
        maps = other.maps(bench.model, *bench.first(len(tested.few)))
        if isinstance(maps, NotRun):
            return maps
        if np.array_equal(maps, tested.few):
            return _mean(spearman(maps, tested.few), bench, note="draws no random numbers")
        correlations.append(spearman(tested.few, maps))
    return _mean(np.mean(correlations, axis=0), bench)


def settings(bench: Bench, tested: MethodUnderTest) -> tuple[SettingSpread, ...]:
    """Rank correlation of the maps with those under another value of each option."""
    n = min(tested.allowance.settings, len(tested.maps))
    spreads = []
    for option, value, other in variants(tested.subject.method, bench.model):
        maps = other if isinstance(other, NotRun) else tested.subject.using(other).maps(bench.model, *bench.first(n))
        correlation = maps if isinstance(maps, NotRun) else _mean(spearman(maps, tested.maps[:n]), bench)
        spreads.append(SettingSpread(option, str(value), correlation))
    return tuple(spreads)


def other_class(bench: Bench, tested: MethodUnderTest) -> Quantity:
    """Rank correlation of the maps with those of the most probable other class of the same images."""
    n = len(tested.few)
    maps = tested.subject.maps(bench.model, bench.first(n)[0], Targets(bench.other_classes.classes[:n]))
    return maps if isinstance(maps, NotRun) else _mean(spearman(tested.few, maps), bench)


def pointing_game(bench: Bench, tested: MethodUnderTest) -> ControlComparison | NotRun:
    """The grid pointing game, beside the controls on the same mosaics."""
    if bench.mosaics is None:
        return NotRun(
            "a mosaic takes images of four classes, and the model must see each class in its quarter", "too_few_images"
        )
    mosaics = bench.mosaics.first(tested.allowance.pairs)
    if len(mosaics.images) < FEWEST_PAIRS:
        return NotRun(f"of {mosaics.n_pairs} classes shown in mosaics the model sees only {len(mosaics.images)} in "
                      "their quarter", "too_few_images")  # fmt: skip
    maps = tested.subject.maps(bench.model, mosaics.images, mosaics.targets)
    if isinstance(maps, NotRun):
        return maps
    controls = control_maps(mosaics.images, bench.streams)
    scores = {name: grid_pointing(mosaics, control) for name, control in controls.items()}
    return compare_with_controls(grid_pointing(mosaics, maps), scores, bench.streams)


def edges(bench: Bench, tested: MethodUnderTest, reinitialised_maps: FloatArray | NotRun) -> EdgeLikeness:
    """Likeness to Sobel edges, with what was learned and without."""
    return edge_likeness(
        bench.controls[EDGES][: len(tested.few)],
        tested.few,
        reinitialised_maps,
        bench.streams,
        bench.groups(len(tested.few)),
    )


def on_object(bench: Bench, tested: MethodUnderTest, class_names: Sequence[str]) -> Localization | NotRun:
    """Evidence on the object, where masks exist."""
    n = len(tested.maps)
    masks = bench.first(n)[0].masks
    if masks is None:
        return NotRun("the images have no masks that show where the object is", "no_masks")
    classes: IntArray = bench.targets.classes[:n]
    controls = {name: control[:n] for name, control in bench.controls.items()}
    return localization(
        tested.maps, controls, masks == 1, [class_names[c] for c in classes], bench.streams, bench.groups(n)
    )
