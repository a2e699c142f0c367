"""The verdict rules, on records made by hand: each rule can fail, and nothing unmeasured passes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from trust.trust_records import GONE, GOOD, at, changes, comparison, depth

from fruitaudit.records.states import Estimate
from fruitaudit.records.trust import Randomization
from fruitaudit.trust.rules import RULES, judge


def randomization(first, last):
    return Randomization((depth(first), depth(last)), (), 5)


def faithful(*gains, centre=None):
    return {
        n: comparison(g, centre) for n, g in zip(("deletion", "insertion", "road", "mu_fidelity"), gains, strict=True)
    }


CASES = {
    "telling": [
        ({"telling": Estimate(0.8, 32)}, "with_care"),
        ({"telling": Estimate(0.4, 32)}, "do_not_read"),
    ],
    "weights": [
        ({"randomization": randomization(0.9, 0.8)}, "do_not_read"),
        ({"randomization": randomization(1.0, 0.3), "changes": changes(noise=0.85)}, "do_not_read"),
        ({"randomization": randomization(0.95, 0.3)}, "read"),
        ({"randomization": Randomization((depth(0.5), replace(depth(1), spearman=Estimate(1.0, 32))), (), 5)},
         "do_not_read"),
        ({"randomization": Randomization((depth(0.1), replace(depth(-0.9), spearman_absolute=at(0.9))), (), 5)},
         "do_not_read"),
        ({"randomization": Randomization((depth(0.1), replace(depth(0.1), spearman_absolute=GONE)), (), 5)},
         "with_care"),
        ({"randomization": randomization(GONE, 0.3)}, "with_care"),
        ({"randomization": randomization(0.5, GONE)}, "with_care"),
        ({"randomization": GONE}, "with_care"),
    ],
    "controls": [
        ({"faithfulness": faithful(0.2, 0.2, 0, 0)}, "read"),
        ({"faithfulness": faithful(0.2, 0.2, 0.2, 0.2, centre=0)}, "read"),
        ({"faithfulness": faithful(0.2, 0.2, 0.2, -0.2)}, "with_care"),
        ({"faithfulness": faithful(0.2, 0.2, 0.2, 0.2) | {"road": comparison(0.2, centre=-0.2)}}, "read"),
        ({"faithfulness": faithful(0.2, 0.2, 0.2, 0.2) | {"road": comparison(-0.2, centre=0)}}, "with_care"),
        ({"faithfulness": faithful(0.2, 0, 0, 0)}, "with_care"),
        ({"faithfulness": faithful(0, 0, 0, 0)}, "do_not_read"),
        ({"faithfulness": faithful(0, 0, 0, 0), "images": 8}, "with_care"),
        ({"faithfulness": faithful(0.2, 0.2, -0.2, -0.2)}, "do_not_read"),
        ({"faithfulness": faithful(0.2, 0.2, 0.2, 0.2, centre=-0.2)}, "do_not_read"),
        ({"faithfulness": dict.fromkeys(("deletion", "insertion", "road", "mu_fidelity"), GONE)}, "with_care"),
        ({"faithfulness": {}}, "with_care"),
    ],
    "stability": [
        ({"changes": changes(noise=0.52)}, "with_care"),
        ({"changes": changes(shift=0.2)}, "with_care"),
        ({"changes": changes(jpeg=GONE)}, "with_care"),
        ({"changes": ()}, "with_care"),
        ({"changes": changes(noise=GONE)}, "with_care"),
    ],
    "seeds": [
        ({"seeds": at(0.52)}, "with_care"),
        ({"seeds": GONE}, "with_care"),
        ({"seeds": Estimate(1.0, 32)}, "read"),
    ],
    "completeness": [
        ({"promises_sum": True, "completeness": at(0.2)}, "with_care"),
        ({"promises_sum": True, "completeness": at(0.01, 0.005)}, "read"),
        ({"promises_sum": True}, "with_care"),
    ],
    "class": [
        ({"other_class": Estimate(1.0, 32)}, "with_care"),
        ({"other_class": GONE}, "with_care"),
        ({"grid_pointing": comparison(0.2)}, "read"),
        ({"grid_pointing": comparison(0.2, centre=0.04)}, "with_care"),
        ({"grid_pointing": replace(comparison(0.2), gains={"random": Estimate(0.03, 32, 0.01, 0.05)})}, "with_care"),
    ],
}  # fmt: skip


def test_a_good_method_is_to_be_read_and_says_why() -> None:
    verdict = judge(GOOD)
    assert verdict.reading == "read"
    assert verdict.sentence.startswith("Read. Its maps change when what the model learned is destroyed.")
    numbers = {reason.rule: reason.numbers for reason in verdict.reasons}
    assert "wins deletion, insertion, ROAD, mu-fidelity and loses none, of 4 tests" in numbers["controls"]
    assert numbers["weights"].startswith("rank correlation with all weights drawn anew 0.30 (0.25–0.35)")


@pytest.mark.parametrize(
    ("rule", "change", "expected"), [(rule, *case) for rule, cases in CASES.items() for case in cases]
)
def test_each_rule(rule: str, change: dict, expected: str) -> None:
    verdict = judge(replace(GOOD, **change))
    reasons = {reason.rule: reason for reason in verdict.reasons}
    assert reasons[rule].points_to == expected
    if expected != "read":
        assert reasons[rule].sentence in verdict.sentence
        assert verdict.reading != "read"


def test_every_rule_is_told_and_can_fail() -> None:
    assert set(RULES) == set(CASES) == {reason.rule for reason in judge(GOOD).reasons}
    assert all(any(expected != "read" for _, expected in cases) for cases in CASES.values())


def test_the_verdict_is_the_worst_that_any_rule_points_to() -> None:
    verdict = judge(replace(GOOD, seeds=at(0.1), faithfulness=faithful(-0.2, -0.2, 0, 0)))
    assert verdict.reading == "do_not_read"
    assert "find better what it needs: noise and edges and contrast and a spot in the middle." in verdict.sentence
    assert "seed" not in verdict.sentence
