"""What somebody claims, and what the experiments say to it: supported, refuted or undecided."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from fruitaudit.diagnosis.factors.registry import causes
from fruitaudit.records.diagnosis import ClaimResult, Decomposition, EffectNotRun
from fruitaudit.records.evaluation import Predictions
from fruitaudit.statistics.intervals import wilson

MOST, LITTLE = 0.5, 0.25
"""Share of the gap from which a cause is supported, and under which it is refuted."""
_FIGURE = re.compile(r"accuracy\[(?P<split>[^\]]+)\]\s*(?P<sign>>=|<=)\s*(?P<number>[0-9.]+)\s*$")


def judge_claims(
    claims: Sequence[str], predictions: Mapping[str, Predictions], decompositions: Sequence[Decomposition],
    unmeasured: Sequence[EffectNotRun],
) -> tuple[ClaimResult, ...]:  # fmt: skip
    """`accuracy[SPLIT] >= NUMBER` (or <=) and `cause: NAME`, NAME one of `causes()`; anything else is undecided."""
    return tuple(_judge(claim, predictions, decompositions, unmeasured) for claim in claims)


def _judge(
    claim: str,
    predictions: Mapping[str, Predictions],
    gaps: Sequence[Decomposition],
    unmeasured: Sequence[EffectNotRun],
) -> ClaimResult:
    figure = _FIGURE.match(claim.strip())
    if figure:
        return _of_accuracy(claim, figure, predictions)
    kind, _, name = claim.partition(":")
    if kind.strip() == "cause" and name.strip() in causes():
        return _of_cause(claim, name.strip(), gaps, unmeasured)
    known = (
        f"No experiment speaks of this; write accuracy[SPLIT] >= NUMBER, or cause: and one of {', '.join(causes())}."
    )
    return ClaimResult(claim, "undecided", known)


def _of_accuracy(claim: str, figure: re.Match[str], predictions: Mapping[str, Predictions]) -> ClaimResult:
    told = predictions.get(figure["split"])
    if told is None:
        return ClaimResult(claim, "undecided", f"There is no split {figure['split']}.")
    right, n, wanted = int((told.predicted == told.labels).sum()), len(told.labels), float(figure["number"])
    measured = wilson(right, n)
    low, high = measured.low or 0.0, measured.high or 1.0
    above, below = low >= wanted, high < wanted
    if figure["sign"] == "<=":
        above, below = high <= wanted, low > wanted
    state: Literal["supported", "refuted", "undecided"]
    state = "supported" if above else "refuted" if below else "undecided"
    return ClaimResult(
        claim, state, f"{right} of {n} images of {told.split} are right: {100 * measured.value:.1f} %, 95 % interval "
        f"{100 * low:.1f} to {100 * high:.1f} %.",
    )  # fmt: skip


def _of_cause(claim: str, name: str, gaps: Sequence[Decomposition], unmeasured: Sequence[EffectNotRun]) -> ClaimResult:
    """By the share of the gap that its factors explain together; a sum of intervals is wider than that of the sum."""
    factors = causes()[name]
    if not gaps:
        return ClaimResult(claim, "undecided", "There is no gap between lab and field that was divided among causes.")
    gap = max(gaps, key=lambda g: g.gap.value)
    shares = [s for s in gap.shares if s.factor in factors]
    counted = [s for s in shares if s.counts]
    total = gap.gap.value
    value = sum(s.points.value for s in shares)
    high = sum(s.points.high or s.points.value for s in shares)
    low = sum(s.points.low or 0.0 for s in counted)
    blind = [e for e in unmeasured if e.direction == "toward_field" and e.factor in factors
             and not e.reason.reason.startswith("the field does not differ")]  # fmt: skip
    told = (f"{', '.join(factors)} explain {100 * value:.1f} of the {100 * total:.1f} points lost between "
            f"{gap.lab_split} and {gap.field_split} (Shapley shares, {gap.method})")  # fmt: skip
    if low >= MOST * total:
        return ClaimResult(claim, "supported", f"{told}, at least {100 * low:.1f}.")
    if high <= LITTLE * total and not blind:
        return ClaimResult(claim, "refuted", f"{told}, at most {100 * high:.1f}.")
    why = f"; {blind[0].factor} could not be measured: {blind[0].reason.reason}" if blind else ""
    return ClaimResult(claim, "undecided", f"{told}{why}.")
