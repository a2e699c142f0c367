"""What all methods are tested on: images, changed images, mosaics, a network to reinitialise, and the controls' scores.

Each of these is made once, when it is first asked for; a method on fewer images takes the first rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from fruitaudit.errors import CannotExplain
from fruitaudit.models.base import WithScores
from fruitaudit.models.copies import Reinitialisable
from fruitaudit.records.data import DoubleArray, FloatArray, Images, IntArray
from fruitaudit.records.explanations import Explains, Targets
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.groups import first_of
from fruitaudit.trust.changes import ChangedImages, ChangeKind, change
from fruitaudit.trust.controls import control_maps
from fruitaudit.trust.deletion import deletion, insertion
from fruitaudit.trust.mosaics import Mosaics, make_mosaics
from fruitaudit.trust.mu_fidelity import Effects, mu_fidelity, subset_effects
from fruitaudit.trust.neighbours import neighbours
from fruitaudit.trust.plan import OTHER_CHANGES, Allowance, TrustBudget
from fruitaudit.trust.road import road

LOWER_IS_BETTER = frozenset({"deletion"})
FAITHFULNESS = ("deletion", "insertion", "road", "mu_fidelity", "neighbours")


@dataclass
class Bench:
    """`reinitialisable` makes a copy of the network to reinitialise. It and `features` may raise CannotExplain."""

    model: WithScores
    images: Images
    targets: Targets
    streams: Streams
    budget: TrustBudget
    reinitialisable: Callable[[], Reinitialisable]
    features: Callable[[FloatArray], FloatArray]
    _changed_images: dict[tuple[ChangeKind, float], ChangedImages] = field(default_factory=dict)
    _controls: dict[tuple[str, str, int, str], DoubleArray] = field(default_factory=dict)

    def first(self, n: int) -> tuple[Images, Targets]:
        """The first n images and their targets."""
        return self.images.select(slice(0, n)), Targets(self.targets.classes[:n])

    def groups(self, n: int) -> IntArray | None:
        """(n,) the groups of the first n images; None where no image has one."""
        return first_of(self.images.groups, n)

    @cached_property
    def controls(self) -> dict[str, FloatArray]:
        """(N, H, W) each."""
        return control_maps(self.images, self.streams)

    @cached_property
    def other_classes(self) -> Targets:
        """Of each image the most probable class that is not explained."""
        logits = self.model.logits(self.images.values).copy()
        logits[np.arange(len(logits)), self.targets.classes] = -np.inf
        return Targets(logits.argmax(axis=1).astype(np.int64))

    @cached_property
    def mosaics(self) -> Mosaics | None:
        """Mosaics of the images, with the classes that the model sees in them."""
        return make_mosaics(self.model, self.images, self.targets.classes, self.streams, n=self.budget.mosaics)

    @cached_property
    def network(self) -> Reinitialisable | NotRun:
        """The copy whose layers can be reinitialised."""
        try:
            return self.reinitialisable()
        except CannotExplain as reason:
            return NotRun(str(reason), "not_applicable")

    def changes(self, allowance: Allowance) -> list[ChangedImages]:
        """All images after each change: noise of every strength, a one-pixel shift, JPEG."""
        kinds = [*(("noise", strength) for strength in allowance.noise), *OTHER_CHANGES]
        for kind, strength in kinds:
            if (kind, strength) not in self._changed_images:
                self._changed_images[kind, strength] = change(self.model, self.images, kind, strength, self.streams)
        return [self._changed_images[key] for key in kinds]

    def scores(self, test: str, maps: FloatArray, explains: Explains) -> tuple[DoubleArray, dict[str, DoubleArray]]:
        """Scores of maps of the first images in a test of faithfulness, and those of the controls beside them.

        Raises CannotExplain where the model lacks what the test needs.
        """
        maps = maps[: self.budget.road_images] if test == "road" else maps
        n = len(maps)
        # Neighbours are looked for among the images at hand: its scores for fewer images are others.
        n_scored = len(self.images) if test != "neighbours" else n
        n_scored = min(n_scored, self.budget.road_images) if test == "road" else n_scored
        controls = {}
        for name, control in self.controls.items():
            key = (test, name, n_scored, explains if test == "mu_fidelity" else "")
            if key not in self._controls:
                self._controls[key] = self._score(test, control[:n_scored], explains)
            controls[name] = self._controls[key][:n]
        return self._score(test, maps, explains), controls

    def _score(self, test: str, maps: FloatArray, explains: Explains) -> DoubleArray:
        if test == "mu_fidelity":
            if explains not in self._effects.drops:
                raise CannotExplain(f"mu-fidelity compares with a drop of the score, and the method explains the "
                                    f"{explains}")  # fmt: skip
            return mu_fidelity(self._effects.first(len(maps)), maps, explains)
        if test == "neighbours":
            return neighbours(self._features[: len(maps)], maps)
        along_pixels = {"deletion": deletion, "insertion": insertion, "road": road}[test]
        return along_pixels(self.model, *self.first(len(maps)), maps, self.streams)

    @cached_property
    def _effects(self) -> Effects:
        return subset_effects(self.model, self.images, self.targets, self.streams)

    @cached_property
    def _features(self) -> FloatArray:
        return self.features(self.images.values)
