"""What a suspected cause is: one thing that may differ between lab and field, and all that can be done with it.

A file of this folder that defines `FACTORS`, a tuple of `Factor`, is found by `registry`: a new factor is one file here
and one test file. Files without `FACTORS` are what several factors share. None of them imports TensorFlow or
scikit-learn, so that a config's `cause:` claims can be checked before anything is opened.

Units: pixels are 8-bit RGB, 0 (black) to 255; lengths are in pixels of the model's input, or in image sides where they
say so; gains are natural logarithms; angles are degrees.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

from fruitaudit.diagnosis.gap.split_pair import SplitPair
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import IntArray
from fruitaudit.records.diagnosis import Remedy
from fruitaudit.records.states import NotRun

T = TypeVar("T")
FactorKind = Literal["cause", "probe"]
Stage = Literal["object", "place", "surroundings", "light", "camera"]
STAGES: tuple[Stage, ...] = ("object", "place", "surroundings", "light", "camera")
"""The order in which changes are applied: as a picture comes about."""
TRAIN = "train again with these layers before the model (they act in training only)"
"""What remedies by data augmentation have in common."""


@dataclass(frozen=True)
class Change:
    """`apply(layers, rows)` changes the layers of these rows of the material that it was measured for.

    The parameters of an image are the same whatever else is changed, so that effects are compared on equal terms.
    `dose` says how much, in words.
    """

    factor: str
    dose: str
    apply: Callable[[Layers, IntArray], Layers]
    notes: tuple[str, ...] = ()
    classes: tuple[int, ...] = ()
    """The classes that it changes; empty for all."""
    guessed: bool = False
    """Where it must be made is not known: its effect speaks neither for the cause nor against it."""


@dataclass(frozen=True)
class Factor:
    """All that claims, tables, findings, remedies and the documentation say about a factor, and its functions.

    A "cause" is measured by how the field differs from the lab. A "probe" is tried at a fixed dose, because nothing in
    the field says how much of it there is: it shows how sensitive the model is, and is never a cause.
    """

    name: str
    title: str
    sentence: str
    """What it is, as the subject of a finding: "<sentence>: this explains 12 points of the loss"."""
    order: int
    """Its place in tables, and among the changes of its stage: smaller first. Unlike any other factor's."""
    stage: Stage
    measured: str
    """How the field's dose is found, a clause for the table of causes; of a probe the dose itself."""
    applied: str
    """What is done to the lab's images."""
    measure: Callable[[Measurements], Change | NotRun]
    """The change of lab images at the field's own dose. NotRun where the field does not differ, or none can be told."""
    undone: str = ""
    """What is done to the field's images to take it back; empty where nothing does."""
    undo: Callable[[Measurements], Change | NotRun] | None = None
    """The change of field images that takes the factor back; asked only where it was measured."""
    remedy: Callable[[Measurements, str], Remedy] | None = None
    """What to do, at the dose that was measured. Every cause has one; a probe has none."""
    claims: tuple[str, ...] = ()
    """What may follow `cause:` and means this factor, beside its own name; several factors may share one."""
    of_few: tuple[str, str] | None = None
    """Slug and sentence of the finding where only few classes are changed; `{}` is put in for their names."""
    kind: FactorKind = "cause"


@dataclass(frozen=True)
class Measurements:
    """A lab split beside a field split, and what was measured of them so far: each thing once."""

    pair: SplitPair
    factors: Mapping[str, Factor]
    _results: dict[Callable[[Measurements], Any], Any] = field(default_factory=dict, compare=False, repr=False)

    def once(self, measurement: Callable[[Measurements], T]) -> T:
        """What `measurement` finds; remembered, so that factors can share it."""
        if measurement not in self._results:
            self._results[measurement] = measurement(self)
        return cast(T, self._results[measurement])

    def change(self, factor: str) -> Change | NotRun:
        """The change of lab images that another factor is measured to need."""
        return self.once(self.factors[factor].measure)


def no_difference(comparison: str) -> NotRun:
    """There is no reason to change the lab in this. `comparison` says what was compared, with the figures."""
    return NotRun(f"the field does not differ from the lab in this: {comparison}", code="no_difference")


def without_masks(pair: SplitPair) -> NotRun | None:
    """Why something that needs the object's mask cannot be undone; None where it can."""
    if pair.field.separable:
        return None
    return NotRun(
        f"it cannot be taken back on the field's photos without sure masks: {pair.field.masks.text}",
        code="no_masks",
    )
