"""Gates on explanations: what was not tested never passes."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from trust.trust_records import GONE, GOOD, comparison

from fruitaudit.config.schema import GateSettings
from fruitaudit.errors import ConfigError
from fruitaudit.gates import check_gates, judge
from fruitaudit.gates.readings import smallest_gain
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.records.trust import Agreement, MethodTrust, TrustNotRun, TrustReport
from fruitaudit.trust.rules import judge as verdict_on


def report(*methods: MethodTrust | TrustNotRun) -> TrustReport:
    verdicts = tuple(verdict_on(method) for method in methods if isinstance(method, MethodTrust))
    return TrustReport("quick", 32, (), methods, verdicts, Agreement((), ()), {})


def state(gate: str, trust: TrustReport | NotRun, **more: str) -> str:
    [result], _ = judge([GateSettings(gate=gate, **more)], [], [], 0.01, trust)
    assert result.gate == gate
    return result.state


WORSE = replace(
    GOOD, faithfulness={"deletion": comparison(-0.3), "road": comparison(-0.3), "insertion": comparison(0.4)}
)
NAME = GOOD.method


def test_verdicts_are_compared_in_their_order() -> None:
    assert state(f"verdict[{NAME}] == read", report(GOOD)) == "pass"
    assert state(f"verdict[{NAME}] >= with care", report(GOOD)) == "pass"
    assert state(f"verdict[{NAME}] == with_care", report(GOOD)) == "fail"
    assert state(f"verdict[{NAME}] == read", report(WORSE)) == "fail"
    assert state(f"verdict[{NAME}] >= with_care", report(WORSE)) == "fail"
    assert state(f"verdict[{NAME}] == do_not_read", report(WORSE)) == "pass"


def test_faithfulness_is_the_smallest_gain_over_any_control() -> None:
    test, _, gain = smallest_gain(WORSE)
    assert test == "deletion"
    assert isinstance(gain, Estimate)
    assert gain.value == pytest.approx(-0.3)
    assert state(f"faithfulness[{NAME}] >= -0.31", report(WORSE)) == "pass"
    assert state(f"faithfulness[{NAME}] >= -0.29", report(WORSE)) == "fail"
    assert state(f"faithfulness[{NAME}] >= -0.31", report(WORSE), on="lower") == "fail"


def test_what_was_not_tested_is_not_run() -> None:
    incomplete = replace(GOOD, faithfulness={"deletion": comparison(0.3), "road": GONE})
    assert state(f"faithfulness[{NAME}] >= -1", report(incomplete)) == "not_run"
    assert state(f"verdict[{NAME}] == read", NotRun("trust: off", "not_computed")) == "not_run"
    assert state("verdict[lime] == read", report(GOOD)) == "not_run"
    assert (
        state("verdict[lime] == read", report(TrustNotRun("lime", "LIME", NotRun("it failed", "not_computed"))))
        == "not_run"
    )
    assert judge([GateSettings(gate="verdict[lime] == read")], [], [], 0.01, report(GOOD))[1].exit_code == 3


def test_a_method_that_nobody_asked_for() -> None:
    with pytest.raises(ConfigError) as caught:
        check_gates([GateSettings(gate="verdict[saliencey] == read")], ["a"], ["saliency", "lime"])
    assert "no group asks for saliencey; did you mean saliency?" in str(caught.value)


@pytest.mark.parametrize(
    ("gate", "sentence"),
    [
        ("verdict[saliency] == good", "write verdict[saliency] == read"),
        ("verdict[saliency] > read", "write verdict[saliency] == read"),
        ("verdict[saliency] <= read", "write verdict[saliency] == read"),
        ("verdict[saliency][Pear] == read", "write verdict[method], with the name of one method"),
        ("verdict[*] == read", "write verdict[method], with the name of one method"),
        ("faithfulness[saliency] == 0.1", "write faithfulness[saliency] >= 0.1"),
        ("faithfulness[saliency] <= 0.1", "write faithfulness[saliency] >= 0.1"),
        ("faithfulness[saliency] >= much", "'much' is no finite number"),
    ],
)
def test_wrong_gates_say_what_to_write(gate: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        GateSettings(gate=gate)
