"""From figures and their resamples to the records: estimates with intervals, or reasons why there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fruitaudit.evaluation.facts import Facts
from fruitaudit.records.data import BoolArray, IntArray
from fruitaudit.records.evaluation import AverageRow, ClassRow
from fruitaudit.records.states import Estimate, NotRun, Quantity
from fruitaudit.statistics.bootstrap import ROUGH_BELOW, Values, estimate
from fruitaudit.statistics.intervals import proportion
from fruitaudit.statistics.paired import mcnemar

NO_IMAGES = "the split has no images"
_UNDEFINED = {
    "cohen_kappa": "undefined: all images are of one class and were called so",
    "mcc": "undefined where all images are of one class, or all are called one class",
    "auc_macro": "no class has images of its own and of others",
    "auc_micro": "the model has a single class",
    "average_precision_macro": "no class has images of its own and of others",
}
_WEIGHTED = "mean weighted by each class's images, undefined ones counted 0, as in scikit-learn"
_MIRRORED = frozenset({"ece", "average_precision", "average_precision_macro"})
"""Repeated images inflate these, and with them their resamples."""


@dataclass(frozen=True)
class Quantities:
    """`values` by name, () or (K,), and their resamples, (R,) or (K, R)."""

    facts: Facts
    class_names: Sequence[str]
    values: Values
    samples: Values

    def scalars(self, ranks: IntArray, top_k: Sequence[int]) -> dict[str, Quantity]:
        """`SplitEvaluation.metrics`; `ranks` (N,) counts the classes that come before the true one."""
        facts, k = self.facts, len(self.class_names)
        accuracy = self._accuracy()
        out: dict[str, Quantity] = {"accuracy": accuracy, "no_information_rate": self._no_information_rate()}
        for top in top_k:
            always = f"the model has {k} classes: one of its first {top} is always right"
            out[f"top{top}_accuracy"] = (
                NotRun(always, "not_applicable")
                if facts.n and top >= k
                else proportion(ranks < top, facts.groups, otherwise=NO_IMAGES)
            )
        ranked = f"mean over the {len(facts.sweeps)} of {k} classes that have images of their own and of others"
        notes = {
            "balanced_accuracy": "mean recall of the classes that have images",
            "log_loss": "nats, from the logits",
            "cohen_kappa": "",
            "mcc": "",
            "auc_macro": ranked,
            "auc_micro": "all pairs of an image and a class pooled",
            "average_precision_macro": ranked,
            "brier": "sum over the classes, 0 to 2",
            "mean_confidence": "",
            "f1_macro": self._macro_note,
            "f1_weighted": _WEIGHTED,
        }
        out |= {name: self._scalar(name, note) for name, note in notes.items()}
        return out | {"f1_micro": accuracy, "ece": self._ece()}

    def classes(self) -> tuple[ClassRow, ...]:
        """One row per class, in the model's order."""
        return tuple(self._class_row(c) for c in range(len(self.class_names)))

    def averages(self) -> tuple[AverageRow, ...]:
        """Macro, micro and weighted means; micro, and weighted recall, equal accuracy (one answer per image)."""
        accuracy = self._accuracy()
        macro = (self._scalar(f"{name}_macro", self._macro_note) for name in ("precision", "recall", "f1"))
        precision, f1 = (self._scalar(f"{name}_weighted", _WEIGHTED) for name in ("precision", "f1"))
        return (
            AverageRow("macro", *macro),
            AverageRow("micro", accuracy, accuracy, accuracy),
            AverageRow("weighted", precision, accuracy, f1),
        )

    def _accuracy(self) -> Quantity:
        return proportion(self.facts.correct, self.facts.groups, otherwise=NO_IMAGES)

    def _within(self, rows: BoolArray, otherwise: str) -> Quantity:
        """The share of right answers among these images (N,)."""
        groups = self.facts.groups
        return proportion(self.facts.correct[rows], None if groups is None else groups[rows], otherwise=otherwise)

    @property
    def _n_groups(self) -> int | None:
        return None if self.facts.groups is None else self.facts.units(np.ones(self.facts.n, bool))

    @property
    def _macro_note(self) -> str:
        n, k = int(self.facts.occurring.sum()), len(self.class_names)
        return f"mean over the {n} of {k} classes that occur, undefined ones counted 0, as in scikit-learn"

    def _no_information_rate(self) -> Quantity:
        n, largest = self.facts.n, int(self.facts.support.max(initial=0))
        if not n:
            return NotRun(NO_IMAGES, "no_images")
        name = self.class_names[int(self.facts.support.argmax())]
        return Estimate(largest / n, n, successes=largest, note=f"{name}; no interval: it describes the split")

    def _scalar(self, name: str, note: str = "") -> Quantity:
        n = self.facts.n
        if not n:
            return NotRun(NO_IMAGES, "no_images")
        value = float(self.values[name])
        if not np.isfinite(value):
            return NotRun(_UNDEFINED[name], "undefined")
        carried = np.array([self.facts.units(self.facts.labels == c) for c in np.flatnonzero(self.facts.support)])
        few = int((carried < ROUGH_BELOW).sum())
        if few and n >= ROUGH_BELOW:
            what = "images" if self.facts.groups is None else "groups"
            rough = f"classes with fewer than {ROUGH_BELOW} {what}, where resampling understates the doubt: {few}"
            note = f"{note}; {rough}" if note else rough
        support = n if self._n_groups is None else self._n_groups
        return estimate(value, self.samples[name], n, support=support, mirrored=name in _MIRRORED, note=note,
                        n_groups=self._n_groups)  # fmt: skip

    def _ece(self) -> Quantity:
        """ECE; its interval starts at 0 where a perfectly calibrated model would often show as much."""
        ece = self._scalar("ece", "15 bins of equal width")
        if isinstance(ece, NotRun) or ece.value > np.quantile(self.samples["ece_if_calibrated"], 0.975):
            return ece
        note = f"{ece.note}; a perfectly calibrated model would show as much by chance"
        return replace(ece, low=None if ece.low is None else 0.0, note=note)

    def _class_row(self, c: int) -> ClassRow:
        facts = self.facts
        support, n_predicted, hits = int(facts.support[c]), int(facts.predicted_counts[c]), int(facts.hits[c])
        is_class, is_predicted = facts.labels == c, facts.predicted == c
        return ClassRow(
            name=self.class_names[c],
            support=support,
            predicted=n_predicted,
            hits=hits,
            precision=self._within(is_predicted, "never predicted"),
            recall=self._within(is_class, "no image of this class" if facts.n else NO_IMAGES),
            f1=self._of_class("f1", c),
            auc=self._of_class("auc", c),
            average_precision=self._of_class("average_precision", c),
            chance=mcnemar(is_predicted & ~is_class, is_class & ~is_predicted, facts.groups),
        )

    def _of_class(self, name: str, c: int) -> Quantity:
        n, support = self.facts.n, int(self.facts.support[c])
        others = n if name == "f1" else n - support
        if not support or not others:
            missing = NO_IMAGES if not n else "no image of another class" if support else "no image of this class"
            return NotRun(missing, "undefined" if support else "no_images")
        value, samples = float(self.values[name][c]), self.samples[name][c]
        is_class = self.facts.labels == c
        carried = is_class if name == "f1" or support <= others else ~is_class
        if self.facts.groups is not None and name != "f1":
            carried = min(is_class, ~is_class, key=self.facts.units)
        return estimate(value, samples, n, support=self.facts.units(carried), mirrored=name in _MIRRORED,
                        n_groups=self._n_groups)  # fmt: skip
