"""Is the model better than chance in the lab at all? If not, nothing else that is measured means anything."""

from __future__ import annotations

from collections.abc import Sequence

from fruitaudit.records.evaluation import SplitEvaluation
from fruitaudit.records.states import Estimate

LEAST_IMAGES = 30
"""Of a split that can show this."""
MARGIN = 0.1
"""Of balanced accuracy above chance: less than that at the upper end of the interval is no better than chance."""


def chance_of(evaluation: SplitEvaluation) -> float:
    """Balanced accuracy of an answer that knows nothing of the picture: 1 / number of classes."""
    return 1 / max(1, len(evaluation.classes))


def at_chance(evaluation: SplitEvaluation) -> bool | None:
    """Whether balanced accuracy ends below chance + 0.1; None for fewer than 30 images, or without an interval."""
    balanced = evaluation.metrics.get("balanced_accuracy")
    if evaluation.n < LEAST_IMAGES or not isinstance(balanced, Estimate) or balanced.high is None:
        return None
    return balanced.high < chance_of(evaluation) + MARGIN


def does_not_fit(evaluations: Sequence[SplitEvaluation]) -> bool:
    """Whether every split of the lab that can show it is at chance, and there is one.

    The files and the model then do not belong together as they are put together.
    """
    shown = [at for e in evaluations if e.role != "field" and (at := at_chance(e)) is not None]
    return bool(shown) and all(shown)


def learned_by_heart(evaluations: Sequence[SplitEvaluation]) -> list[tuple[SplitEvaluation, SplitEvaluation]]:
    """(reference, test): a test split at chance, though a reference split is not."""
    good = [e for e in evaluations if e.role == "reference" and at_chance(e) is False]
    return [(good[0], e) for e in evaluations if good and e.role == "test" and at_chance(e)]
