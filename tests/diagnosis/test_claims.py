from __future__ import annotations

import numpy as np
import pytest

from fruitaudit.config.claims import parse_claim
from fruitaudit.diagnosis.claims import check_claims, judge_claims
from fruitaudit.diagnosis.factors.registry import causes
from fruitaudit.errors import ConfigError
from fruitaudit.records.diagnosis import Decomposition, EffectNotRun, GapShare
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.states import Estimate, NotRun

LABELS = np.repeat([0, 1], 50)


def predictions(right: int) -> Predictions:
    predicted = LABELS.copy()
    predicted[right:] = 1 - predicted[right:]
    p = np.eye(2, dtype=np.float32)[predicted]
    return Predictions("store", "field", ("a", "b"), tuple(map(str, range(100))), LABELS, p, p)


def number(value: float, half_width: float = 0.03) -> Estimate:
    return Estimate(value, 100, value - half_width, value + half_width)


def gap(**points: float) -> Decomposition:
    shares = tuple(GapShare(f, f, number(p), p, p, True, "") for f, p in points.items())
    return Decomposition("test", "store", number(1), number(0.4), number(0.6), number(0.4), number(0), shares,
                         number(0), (), "all subsets")  # fmt: skip


@pytest.mark.parametrize(
    ("claim", "state"),
    [
        ("accuracy[store] >= 0.99", "refuted"),
        ("accuracy[store] >= 0.5", "supported"),
        ("accuracy[store] >= 0.85", "undecided"),
        ("accuracy[store] <= 0.95", "supported"),
        ("accuracy[moon] >= 0.5", "undecided"),
        ("cause: scale", "supported"),
        ("cause: camera", "refuted"),
        ("cause: several", "undecided"),
        ("accuracy[store] > 0.99", "refuted"),
        ("accuracy[store] < 0.95", "supported"),
    ],
)
def test_claims_are_judged_by_intervals(claim: str, state: str) -> None:
    [result] = judge_claims(
        [parse_claim(claim)], {"store": predictions(85)}, [gap(scale=0.35, several=0.2, light=0.04)], []
    )
    assert result.state == state, result.sentence


def test_what_could_not_be_measured_is_not_refuted() -> None:
    unmeasured = EffectNotRun("noise", "Noise", "toward_field", "test", NotRun("no masks", "not_computed"))
    [result] = judge_claims([parse_claim("cause: camera")], {}, [gap(scale=0.55)], [unmeasured])
    assert result.state == "undecided"
    assert "no masks" in result.sentence


def test_what_does_not_differ_is_refuted_whatever_its_sentence() -> None:
    no_difference = EffectNotRun(
        "noise", "Noise", "toward_field", "test", NotRun("quiet on both", code="no_difference")
    )
    [result] = judge_claims([parse_claim("cause: camera")], {}, [gap(scale=0.55)], [no_difference])
    assert result.state == "refuted"


def test_without_a_gap_no_cause_is_decided() -> None:
    assert judge_claims([parse_claim("cause: light")], {}, [], [])[0].state == "undecided"


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ("cause: backgruond", "claim 'cause: backgruond': there is no cause backgruond; did you mean background?"),
        ("cause: astrology", "there is no cause astrology; known are "),
        ("cause:", "there is no cause ; known are "),
        ("recall[store][*] >= 0.9", "no experiment speaks of this; write accuracy[split] >= number, or cause: and one"),
        ("accuracy[store][device=phone] >= 0.9", "no experiment speaks of this"),
        ("accuracy[store] >= baseline - 0.1", "no experiment speaks of this"),
    ],
)
def test_claims_that_nothing_can_decide_are_refused_before_the_audit(claim: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_claims([parse_claim("cause: light"), parse_claim(claim)])
    assert message in str(error.value)


def test_each_cause_may_be_claimed() -> None:
    check_claims([parse_claim(f"cause: {name}") for name in causes()])
