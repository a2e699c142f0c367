"""What somebody claims, and what the experiments say to it: supported, refuted or undecided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from fruitaudit.config.spelling import nearest
from fruitaudit.diagnosis.factors.registry import causes
from fruitaudit.errors import ConfigError
from fruitaudit.records.conditions import Baseline, CauseClaim, Claim, FigureGate
from fruitaudit.records.diagnosis import ClaimResult, Decomposition, EffectNotRun
from fruitaudit.records.evaluation import Predictions
from fruitaudit.statistics.intervals import share_of

MOST, LITTLE = 0.5, 0.25
"""Share of the gap from which a cause is supported, and under which it is refuted."""


def check_claims(claims: Sequence[Claim]) -> None:
    """Raise ConfigError for the first claim that no experiment speaks of."""
    for claim in claims:
        if isinstance(claim, CauseClaim):
            if claim.cause not in causes():
                hint = nearest(claim.cause, tuple(causes()))
                raise ConfigError(f"claim {claim.text!r}: there is no cause {claim.cause}; {hint}")
        elif claim.metric != "accuracy" or claim.slice is not None or isinstance(claim.bound, Baseline):
            raise ConfigError(f"claim {claim.text!r}: no experiment speaks of this; write accuracy[split] >= number, "
                              f"or cause: and one of {', '.join(causes())}")  # fmt: skip


def judge_claims(
    claims: Sequence[Claim], predictions: Mapping[str, Predictions], decompositions: Sequence[Decomposition],
    unmeasured: Sequence[EffectNotRun],
) -> tuple[ClaimResult, ...]:  # fmt: skip
    """Each claim against what was measured; all have passed `check_claims`."""
    return tuple(
        _of_cause(claim.text, claim.cause, decompositions, unmeasured)
        if isinstance(claim, CauseClaim)
        else _of_accuracy(claim, predictions)
        for claim in claims
    )


def _of_accuracy(claim: FigureGate, predictions: Mapping[str, Predictions]) -> ClaimResult:
    split_predictions = predictions.get(claim.split)
    if split_predictions is None:
        return ClaimResult(claim.text, "undecided", f"There is no split {claim.split}.")
    correct = split_predictions.predicted == split_predictions.labels
    n_correct, n = int(correct.sum()), len(correct)
    accuracy = share_of(correct, split_predictions.groups)
    low, high = accuracy.low or 0.0, accuracy.high or 1.0
    outcomes = (claim.holds(low), claim.holds(high))
    state: Literal["supported", "refuted", "undecided"]
    state = "supported" if all(outcomes) else "undecided" if any(outcomes) else "refuted"
    interval = f"95 % interval {100 * low:.1f} to {100 * high:.1f} %" if accuracy.low is not None else accuracy.note
    return ClaimResult(
        claim.text, state,
        f"{n_correct} of {n} images of {claim.split} are right: {100 * accuracy.value:.1f} %, {interval}.",
    )  # fmt: skip


def _of_cause(claim: str, name: str, gaps: Sequence[Decomposition], unmeasured: Sequence[EffectNotRun]) -> ClaimResult:
    """By the share of the gap that its factors explain together; a sum of intervals is wider than that of the sum."""
    factors = causes()[name]
    if not gaps:
        return ClaimResult(claim, "undecided", "There is no gap between lab and field that was divided among causes.")
    gap = max(gaps, key=lambda g: g.gap.value)
    shares = [s for s in gap.shares if s.factor in factors]
    counted_shares = [s for s in shares if s.counts]
    total = gap.gap.value
    value = sum(s.points.value for s in shares)
    high = sum(s.points.high or s.points.value for s in shares)
    low = sum(s.points.low or 0.0 for s in counted_shares)
    missing = [e for e in unmeasured if e.direction == "toward_field" and e.factor in factors
             and e.reason.code != "no_difference"]  # fmt: skip
    sentence = (f"{', '.join(factors)} explain {100 * value:.1f} of the {100 * total:.1f} points lost between "
            f"{gap.lab_split} and {gap.field_split} (Shapley shares, {gap.method})")  # fmt: skip
    if low >= MOST * total:
        return ClaimResult(claim, "supported", f"{sentence}, at least {100 * low:.1f}.")
    if high <= LITTLE * total and not missing:
        return ClaimResult(claim, "refuted", f"{sentence}, at most {100 * high:.1f}.")
    remark = f"; {missing[0].factor} could not be measured: {missing[0].reason.reason}" if missing else ""
    return ClaimResult(claim, "undecided", f"{sentence}{remark}.")
