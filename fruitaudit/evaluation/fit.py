"""Is the model better than chance in the lab at all? If not, nothing else that is measured means anything."""

from __future__ import annotations

from collections.abc import Sequence

from fruitaudit.records.evaluation import SplitEvaluation
from fruitaudit.records.states import Estimate

LEAST_IMAGES = 30
"""Of a split that can show this."""
MARGIN = 0.1
"""Of balanced accuracy above chance: less than that at the upper end of the interval is no better than chance."""

KNOWN = 0.5
"""Balanced accuracy, at the lower end of the interval, from which images are called known."""


def chance_of(evaluation: SplitEvaluation) -> float:
    """Balanced accuracy of an answer that knows nothing of the picture: 1 / number of classes."""
    return 1 / max(1, len(evaluation.classes))


def at_chance(evaluation: SplitEvaluation) -> bool | None:
    """Whether balanced accuracy ends below chance + 0.1; None for fewer than 30 images, or where nothing tells.

    What lies above is not at chance, also without an interval: all answers right have none.
    """
    balanced, least = evaluation.metrics.get("balanced_accuracy"), chance_of(evaluation) + MARGIN
    if evaluation.n < LEAST_IMAGES or not isinstance(balanced, Estimate):
        return None
    if balanced.value >= least:
        return False
    return None if balanced.high is None else balanced.high < least


def does_not_fit(evaluations: Sequence[SplitEvaluation]) -> bool:
    """Whether every split of the lab that can show it is at chance, and there is one.

    The files and the model then do not belong together as they are put together.
    """
    shown = [at for e in evaluations if e.role != "field" and (at := at_chance(e)) is not None]
    return bool(shown) and all(shown)


def learned_by_heart(evaluations: Sequence[SplitEvaluation]) -> list[tuple[SplitEvaluation, SplitEvaluation]]:
    """(reference, test): a test split at chance, though on a reference split balanced accuracy is surely 0.5."""
    good = [e for e in evaluations if e.role == "reference" and at_chance(e) is False and _low(e) >= KNOWN]
    return [(good[0], e) for e in evaluations if good and e.role == "test" and at_chance(e)]


def _low(evaluation: SplitEvaluation) -> float:
    balanced = evaluation.metrics["balanced_accuracy"]
    if not isinstance(balanced, Estimate):
        return 0.0
    return balanced.value if balanced.low is None else balanced.low
