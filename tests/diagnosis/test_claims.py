from __future__ import annotations

import numpy as np
import pytest

from fruitaudit.diagnosis.claims import judge_claims
from fruitaudit.records.diagnosis import Decomposition, EffectNotRun, GapShare
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.states import Estimate, NotRun

LABELS = np.repeat([0, 1], 50)


def told(right: int) -> Predictions:
    called = LABELS.copy()
    called[right:] = 1 - called[right:]
    p = np.eye(2, dtype=np.float32)[called]
    return Predictions("store", "field", ("a", "b"), tuple(map(str, range(100))), LABELS, p, p)


def number(value: float, reach: float = 0.03) -> Estimate:
    return Estimate(value, 100, value - reach, value + reach)


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
        ("cause: astrology", "undecided"),
        ("it is the camera", "undecided"),
    ],
)
def test_claims_are_judged_by_intervals(claim: str, state: str) -> None:
    [result] = judge_claims([claim], {"store": told(85)}, [gap(scale=0.35, several=0.2, light=0.04)], [])
    assert result.state == state, result.sentence


def test_what_could_not_be_measured_is_not_refuted() -> None:
    blind = EffectNotRun("noise", "Noise", "toward_field", "test", NotRun("no masks"))
    [result] = judge_claims(["cause: camera"], {}, [gap(scale=0.55)], [blind])
    assert result.state == "undecided"
    assert "no masks" in result.sentence


def test_without_a_gap_no_cause_is_decided() -> None:
    assert judge_claims(["cause: light"], {}, [], [])[0].state == "undecided"
