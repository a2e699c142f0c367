"""How gates and claims are written: what is read of them, and the sentence for what cannot be read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from fruitaudit.config.claims import parse_claim
from fruitaudit.config.gates import parse_figure, parse_gate, spell
from fruitaudit.config.schema import GateSettings
from fruitaudit.records.conditions import READINGS, Baseline, CauseClaim, Every, ExplanationGate, FigureGate, Slice
from fruitaudit.records.metrics import PER_CLASS, SCALARS


def gate(text: str) -> FigureGate:
    parsed = parse_gate(text)
    assert isinstance(parsed, FigureGate)
    return parsed


def test_a_gate_on_a_whole_split() -> None:
    text = "  accuracy [ store ]>=.5 "
    assert gate(text) == FigureGate(text, "accuracy", "store", None, None, ">=", 0.5)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Pear", "Pear"),
        (" Apple Granny Smith ", "Apple Granny Smith"),
        ("*", Every()),
        (' "*" ', "*"),
        ('"Onion [red]"', "Onion [red]"),
        ('"a=b"', "a=b"),
        ('"A[b] >= 1"', "A[b] >= 1"),
        ('""" <b> """', '" <b> "'),
        ('" "', " "),
        ("new\nline", "new\nline"),
        ("日本語", "日本語"),
    ],
)
def test_names_of_classes(text: str, name: str | Every) -> None:
    assert gate(f"recall[store][{text}] < 1").class_name == name


@pytest.mark.parametrize(
    ("text", "of_class", "of_slice"),
    [
        ("accuracy[store][device=phone]", None, Slice("device", "phone")),
        ("accuracy[store][ device = * ]", None, Slice("device", Every())),
        ('accuracy[store]["the = sign"="*"]', None, Slice("the = sign", "*")),
        ('accuracy[store][device=""]', None, Slice("device", "")),
        ("recall[store][Pear][device=phone]", "Pear", Slice("device", "phone")),
        ("recall[store][*][device=*]", Every(), Slice("device", Every())),
    ],
)
def test_slices(text: str, of_class: str | Every | None, of_slice: Slice) -> None:
    parsed = gate(f"{text} >= 0.9")
    assert (parsed.class_name, parsed.slice) == (of_class, of_slice)


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ("1", 1.0),
        ("5.6e-1", 0.56),
        ("-1", -1.0),
        ("baseline - 0.01", Baseline("-", 0.01)),
        ("baseline+.5", Baseline("+", 0.5)),
        ("baseline ± 0.02", Baseline("±", 0.02)),
    ],
)
def test_bounds(bound: str, expected: float | Baseline) -> None:
    assert gate(f"mcc[store] >= {bound}").bound == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accuracy >= 0.9", r"gate .accuracy >= 0.9. cannot be read: write metric\[split\] >= 0.9"),
        ("accuracy[store] == 0.9", "cannot be read"),
        ("accuracy[store] => 0.9", "cannot be read"),
        ("", "cannot be read"),
        ("accuracy[*] >= 0.9", "cannot be read"),
        ("accuracy[a=b] >= 0.9", "cannot be read"),
        ("accuracy[store][a=b][c=d] >= 0.9", "cannot be read"),
        ("recall[store][a=b][Pear] >= 0.9", "cannot be read"),
        ("recall[store][Onion [red]] >= 0.9", r"cannot be read: .* names that hold = \[ \] \* in quotes"),
        ("recall[store][Onion*] >= 0.9", "cannot be read"),
        ('recall[store][5" pipe] >= 0.9', "cannot be read"),
        ("accuracy[store][device=] >= 0.9", "cannot be read"),
        ("acuracy[store] >= 0.9", "there is no metric acuracy; did you mean accuracy?"),
        ("verdikt[store] == read", "there is no metric verdikt; did you mean verdict?"),
        ("zzz[store] >= 0.9", "there is no metric zzz; known are accuracy, no_information_rate,"),
        ("recall[store] >= 0.9", r"recall is a figure of one class; write recall\[store\]\[\*\] for every class"),
        ("recall[store][] >= 0.9", "recall is a figure of one class"),
        ("accuracy[store][Pear] >= 0.9", r"accuracy is a figure of the whole split; leave out \[Pear\]"),
        ("top3_accuracy[store][*] >= 0.9", "figure of the whole split"),
        ("accuracy[store] >= 90 %", "'90 %' is no finite number; write one such as 0.9, without a % sign"),
        ("accuracy[store] >= nan", "'nan' is no finite number"),
        ("accuracy[store] >= inf", "'inf' is no finite number"),
        ("accuracy[store] >= ", "'' is no finite number"),
        ("accuracy[store] >= baseline", "write the distance from the baseline, such as baseline - 0.01"),
        ("accuracy[store] >= baseline - -1", "write the distance from the baseline"),
        ("accuracy[store] >= baseline - 1 %", "write the distance from the baseline"),
    ],
)
def test_gates_written_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_gate(text)


names = st.text(max_size=12)
filled = names.filter(bool)
one_or_every = names | st.builds(Every)
numbers = st.floats(allow_nan=False, allow_infinity=False)
margins = st.floats(0, allow_nan=False, allow_infinity=False)
bounds = numbers | st.builds(Baseline, st.sampled_from(["+", "-", "±"]), margins)
slices = st.none() | st.builds(Slice, names, one_or_every)
operators = st.sampled_from([">=", ">", "<=", "<"])
scalars = st.sampled_from([*SCALARS, "top5_accuracy"])
per_class = st.sampled_from(list(PER_CLASS))
gates = (
    st.builds(FigureGate, st.just(""), scalars, names, st.none(), slices, operators, bounds)
    | st.builds(FigureGate, st.just(""), per_class, names, filled | st.builds(Every), slices, operators, bounds)
    | st.builds(ExplanationGate, st.just(""), names, st.sampled_from(["==", ">="]), st.sampled_from(READINGS))
    | st.builds(ExplanationGate, st.just(""), names, st.sampled_from([">", ">="]), numbers)
)


@given(gates)
def test_what_is_spelled_reads_back(parsed: FigureGate | ExplanationGate) -> None:
    text = spell(parsed)
    again = parse_gate(text)
    assert again == replace(parsed, text=text)
    assert spell(again) == text


@pytest.mark.parametrize(
    "text",
    [
        "accuracy[store] >= 0.9",
        "recall[store][*] >= 0.7",
        'f1[train]["Onion [red]"] < 1',
        "recall[store][Apple Granny Smith][device=*] > 0.5",
        "ece[store] <= baseline ± 0.01",
        "verdict[saliency@tf-keras-vis] >= with_care",
        "faithfulness[grad_cam_pp] >= -0.1",
    ],
)
def test_plain_spellings_stay(text: str) -> None:
    assert spell(parse_gate(text)) == text


pieces = st.sampled_from(
    [*'[]=*"<>+-± .5', "accuracy", "recall", "verdict", "faithfulness", "store", ">=", "==", "baseline", "read"]
)


@given(names | st.lists(pieces, max_size=20).map("".join))
@example('recall[store]["a""] >= 0.5')
@example("accuracy[store]" + "[" * 50)
@example("recall[s][" + '"' * 60)
@example("recall[s][" + " " * 2000)
def test_any_text_is_a_gate_or_a_sentence(text: str) -> None:
    try:
        settings = GateSettings(gate=text)
    except ValidationError as error:
        [problem] = error.errors()
        assert problem["msg"].startswith(f"Value error, gate {text!r}")
    else:
        assert settings.gate.text == text
        assert spell(parse_gate(spell(settings.gate))) == spell(settings.gate)


def test_claims_are_figures_or_causes() -> None:
    assert parse_claim(" cause :  light ") == CauseClaim(" cause :  light ", "light")
    text = 'recall[store]["cause: x"] >= 0.5'
    assert parse_claim(text) == parse_figure(text, "claim")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("it is the camera", r"claim 'it is the camera' cannot be read: write accuracy\[split\] >= 0.99, or cause:"),
        ("", "cannot be read"),
        ("causes: light", "cannot be read"),
        ("acuracy[store] >= 0.9", "claim 'acuracy.store. >= 0.9': there is no metric acuracy; did you mean accuracy?"),
        ("verdict[lime] >= 1", "there is no metric verdict; "),
        ("accuracy[store] => 0.9", "claim .* cannot be read: write metric"),
    ],
)
def test_claims_written_wrong(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_claim(text)


@given(names | st.lists(pieces, max_size=9).map("".join))
def test_any_text_is_a_claim_or_a_sentence(text: str) -> None:
    sentence = ""
    try:
        assert parse_claim(text).text == text
    except ValueError as error:
        sentence = str(error)
    assert not sentence or sentence.startswith("claim ")
