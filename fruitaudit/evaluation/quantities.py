"""From figures and their resamples to the records: estimates with intervals, or reasons why there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fruitaudit.evaluation.bootstrap import ROUGH_BELOW, Values, estimate
from fruitaudit.evaluation.facts import Facts
from fruitaudit.evaluation.intervals import proportion
from fruitaudit.records.data import IntArray
from fruitaudit.records.evaluation import AverageRow, ClassRow
from fruitaudit.records.states import Estimate, NotRun, Quantity

NO_IMAGES = "the split has no images"
_UNDEFINED = {
    "cohen_kappa": "undefined: all images are of one class and were called so",
    "mcc": "undefined where all images are of one class, or all are called one class",
    "auc_macro": "no class has images of its own and of others",
    "auc_micro": "the model has a single class",
    "average_precision_macro": "no class has images of its own and of others",
    "log_loss": "infinite",
}


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
        accuracy = proportion(int(facts.hits.sum()), facts.n, otherwise=NO_IMAGES)
        out: dict[str, Quantity] = {"accuracy": accuracy, "no_information_rate": self._no_information_rate()}
        for top in top_k:
            hits = int((ranks < top).sum())
            always = f"the model has {k} classes: one of its first {top} is always right"
            out[f"top{top}_accuracy"] = NotRun(always) if top >= k else proportion(hits, facts.n, otherwise=NO_IMAGES)
        ranked = f"mean over the {len(facts.sweeps)} of {k} classes that have images of their own and of others"
        out["balanced_accuracy"] = self._scalar("balanced_accuracy", "mean recall of the classes that have images")
        out["log_loss"] = self._scalar("log_loss", "nats, from the logits")
        out["cohen_kappa"] = self._scalar("cohen_kappa")
        out["mcc"] = self._scalar("mcc")
        out["auc_macro"] = self._scalar("auc_macro", ranked)
        out["auc_micro"] = self._scalar("auc_micro", "all pairs of an image and a class pooled")
        out["average_precision_macro"] = self._scalar("average_precision_macro", ranked)
        out["brier"] = self._scalar("brier", "sum over the classes, 0 to 2")
        out["ece"] = self._scalar("ece", "15 bins of equal width")
        out["mean_confidence"] = self._scalar("mean_confidence")
        out["f1_macro"] = self._scalar("f1_macro", self._macro_note)
        out["f1_micro"] = accuracy
        out["f1_weighted"] = self._scalar("f1_weighted", "mean over the images' classes")
        return out

    def classes(self) -> tuple[ClassRow, ...]:
        """A row a class, in the model's order."""
        return tuple(self._class_row(c) for c in range(len(self.class_names)))

    def averages(self) -> tuple[AverageRow, ...]:
        """Macro, micro and weighted means; micro is accuracy, because each image has one class and gets one."""
        accuracy = proportion(int(self.facts.hits.sum()), self.facts.n, otherwise=NO_IMAGES)
        weighted = "undefined precision counts 0, as in scikit-learn"
        return (
            AverageRow("macro", *(self._scalar(f"{name}_macro", self._macro_note) for name in _RATES)),
            AverageRow("micro", accuracy, accuracy, accuracy),
            AverageRow(
                "weighted",
                self._scalar("precision_weighted", weighted),
                accuracy,
                self._scalar("f1_weighted", "mean over the images' classes"),
            ),
        )

    @property
    def _macro_note(self) -> str:
        n, k = int(self.facts.occurring.sum()), len(self.class_names)
        return f"mean over the {n} of {k} classes that occur, undefined ones counted 0, as in scikit-learn"

    def _no_information_rate(self) -> Quantity:
        n, largest = self.facts.n, int(self.facts.support.max(initial=0))
        if not n:
            return NotRun(NO_IMAGES)
        name = self.class_names[int(self.facts.support.argmax())]
        return Estimate(largest / n, n, successes=largest, note=f"share of {name}: no interval, it describes the split")

    def _scalar(self, name: str, note: str = "") -> Quantity:
        if not self.facts.n:
            return NotRun(NO_IMAGES)
        value = float(self.values[name])
        if not np.isfinite(value):
            return NotRun(_UNDEFINED[name])
        few = int(((self.facts.support > 0) & (self.facts.support < ROUGH_BELOW)).sum())
        if few:
            rough = f"rough: {few} classes have fewer than {ROUGH_BELOW} images, and resampling understates the doubt"
            note = f"{note}; {rough}" if note else rough
        n = self.facts.n
        return estimate(
            value, self.samples[name], n, support=max(n, ROUGH_BELOW) if n > 1 else n, pivot=name == "ece", note=note
        )

    def _class_row(self, c: int) -> ClassRow:
        facts = self.facts
        support, called, hits = int(facts.support[c]), int(facts.called[c]), int(facts.hits[c])
        absent = "no image of this class" if facts.n else NO_IMAGES
        return ClassRow(
            name=self.class_names[c],
            support=support,
            predicted=called,
            hits=hits,
            precision=proportion(hits, called, otherwise="never predicted"),
            recall=proportion(hits, support, otherwise=absent),
            f1=self._of_class("f1", c, support) if support else NotRun(absent),
            auc=self._of_class("auc", c, support),
            average_precision=self._of_class("average_precision", c, support),
        )

    def _of_class(self, name: str, c: int, support: int) -> Quantity:
        n = self.facts.n
        if not support:
            return NotRun("no image of this class" if n else NO_IMAGES)
        if name == "f1":
            return estimate(float(self.values[name][c]), self.samples[name][c], n, support=support)
        if support == n:
            return NotRun("no image of another class")
        return estimate(float(self.values[name][c]), self.samples[name][c], n, support=min(support, n - support))


_RATES = ("precision", "recall", "f1")
