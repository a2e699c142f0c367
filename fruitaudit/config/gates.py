"""How a gate is written, and what to say where it is written wrong.

    metric[split] op bound
    metric[split][class] op bound             a figure of one class; [*] for every class that has images
    metric[split][column=value] op bound      a figure of the images with this value; also after [class]
    verdict[method] == read                   or >= with_care
    faithfulness[method] >= number

`op` is one of >=, >, <=, <; `bound` a number, or `baseline - number` (or +, or ±). A name that holds = [ ] * or a quote
is written in quotes, and a quote within it twice: recall[store]["Onion [red]"] >= 0.7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import Literal, cast

from fruitaudit.config.spelling import nearest
from fruitaudit.records.conditions import (
    OPERATORS,
    READINGS,
    Baseline,
    Every,
    ExplanationGate,
    FigureGate,
    Gate,
    Operator,
    Slice,
)
from fruitaudit.records.metrics import PER_CLASS, SCALARS, TOP_K

OF_EXPLANATIONS = ("verdict", "faithfulness")
"""Figures of a method, not of a split."""
_QUOTED = r'"(?:[^"]|"")*+"'
_NAME = rf'{_QUOTED}|[^\[\]=*"]++'
_BRACKET = re.compile(rf'\[((?:{_QUOTED}|[^\[\]"])*+)\]\s*')
_INSIDE = re.compile(rf"(?:\s*+(?P<column>{_NAME})\s*=)?\s*+(?P<name>{_NAME}|\*|)\s*")
_GATE = re.compile(
    rf"\s*(?P<metric>\w+)\s*(?P<brackets>(?:{_BRACKET.pattern})+)(?P<op>>=|<=|==|>|<)(?P<bound>.*)", re.DOTALL
)
_BASELINE = re.compile(r"baseline\s*(?P<sign>[-+±])\s*(?P<margin>[0-9.][^\s]*)")


def parse_gate(text: str) -> Gate:
    """Read the expression. Raises ValueError, which says what is valid."""
    parts = _split_up(text, "gate")
    if parts.metric in OF_EXPLANATIONS:
        return _explanation_gate(parts)
    return _figure_gate(parts)


def parse_figure(text: str, noun: str) -> FigureGate:
    """Read an expression on a figure of a split; sentences call it a `noun`. Raises ValueError."""
    return _figure_gate(_split_up(text, noun))


def spell(gate: Gate) -> str:
    """The expression that reads back to the same gate, with quotes only where they are needed."""
    if isinstance(gate, ExplanationGate):
        metric = "faithfulness" if isinstance(gate.least, float) else "verdict"
        return f"{metric}[{_spell_name(gate.method)}] {gate.op} {_spell_bound(gate.least)}"
    inside = [_spell_name(gate.split)]
    if gate.class_name is not None:
        inside.append(_spell_name(gate.class_name))
    if gate.slice is not None:
        inside.append(f"{_spell_name(gate.slice.column)}={_spell_name(gate.slice.value)}")
    return f"{gate.metric}{''.join(f'[{part}]' for part in inside)} {gate.op} {_spell_bound(gate.bound)}"


@dataclass(frozen=True)
class _Parts:
    """An expression cut at its brackets. `inside` holds (column or None, name) of each."""

    text: str
    noun: str
    metric: str
    inside: tuple[tuple[str | None, str | Every], ...]
    op: Operator
    bound: str

    def wrong(self, sentence: str) -> ValueError:
        return ValueError(f"{self.noun} {self.text!r}: {sentence}")


def _split_up(text: str, noun: str) -> _Parts:
    match = _GATE.fullmatch(text)
    inside = [_INSIDE.fullmatch(part) for part in _BRACKET.findall(match["brackets"])] if match else []
    whole = [m for m in inside if m and (m["name"] or m["column"] is None)]
    names = tuple((None if m["column"] is None else _name(m["column"]), _one_or_every(m["name"])) for m in whole)
    if not match or len(names) < len(inside):
        raise _unreadable(text, noun)
    return _Parts(text, noun, match["metric"], names, cast(Operator, match["op"]), match["bound"].strip())


def _unreadable(text: str, noun: str) -> ValueError:
    return ValueError(
        f"{noun} {text!r} cannot be read: write metric[split] >= 0.9 or metric[split][Class Name] >= 0.9, with one of "
        f"{', '.join(OPERATORS)}, and names that hold = [ ] * in quotes"
    )


def _name(text: str) -> str:
    text = text.strip()
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def _one_or_every(text: str) -> str | Every:
    return Every() if text == "*" else _name(text)


def _figure_gate(parts: _Parts) -> FigureGate:
    (column, split), *more = parts.inside
    of_class = more.pop(0)[1] if more and more[0][0] is None else None
    of_slice = Slice(more[0][0], more.pop(0)[1]) if more and more[0][0] is not None else None
    if column is not None or isinstance(split, Every) or more:
        raise _unreadable(parts.text, parts.noun)
    _check_metric(parts, split, of_class)
    if parts.op == "==":
        raise _unreadable(parts.text, parts.noun)
    return FigureGate(parts.text, parts.metric, split, of_class, of_slice, parts.op, _bound(parts))


def _check_metric(parts: _Parts, split: str, class_name: str | Every | None) -> None:
    metric = parts.metric
    if metric in PER_CLASS:
        if not class_name:
            raise parts.wrong(
                f"{metric} is a figure of one class; write {metric}[{split}][*] for every class, "
                "or the name of one class in place of the *"
            )
    elif metric not in SCALARS and not TOP_K.fullmatch(metric):
        names = (*SCALARS, "top3_accuracy", *PER_CLASS, *(OF_EXPLANATIONS if parts.noun == "gate" else ()))
        raise parts.wrong(f"there is no metric {metric}; {nearest(metric, names)}")
    elif class_name is not None:
        raise parts.wrong(
            f"{metric} is a figure of the whole split; leave out [{_spell_name(class_name)}], "
            f"or judge one of {', '.join(PER_CLASS)}"
        )


def _bound(parts: _Parts) -> float | Baseline:
    if not parts.bound.startswith("baseline"):
        return _number(parts, parts.bound)
    match = _BASELINE.fullmatch(parts.bound)
    if not match:
        raise parts.wrong("write the distance from the baseline, such as baseline - 0.01")
    return Baseline(cast(Literal["+", "-", "±"], match["sign"]), _number(parts, match["margin"]))


def _number(parts: _Parts, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise parts.wrong(f"{text!r} is no finite number; write one such as 0.9, without a % sign")
    return number


def _explanation_gate(parts: _Parts) -> ExplanationGate:
    (column, method), *more = parts.inside
    if column is not None or isinstance(method, Every) or more:
        raise parts.wrong(f"write {parts.metric}[method], with the name of one method")
    if parts.metric == "faithfulness":
        if parts.op not in (">=", ">"):
            raise parts.wrong(f"write faithfulness[{method}] >= 0.1, a gain over the controls")
        return ExplanationGate(parts.text, method, parts.op, _number(parts, parts.bound))
    least = next((reading for reading in READINGS if reading == parts.bound.replace(" ", "_")), None)
    if least is None or parts.op not in ("==", ">="):
        raise parts.wrong(f"write verdict[{method}] == read or verdict[{method}] >= with_care")
    return ExplanationGate(parts.text, method, parts.op, least)


def _spell_name(name: str | Every) -> str:
    if isinstance(name, Every):
        return "*"
    plain = name and name == name.strip() and not set(name) & set('[]=*"')
    return name if plain else '"' + name.replace('"', '""') + '"'


def _spell_bound(bound: float | Baseline | str) -> str:
    if isinstance(bound, Baseline):
        return f"baseline {bound.sign} {_spell_bound(bound.margin)}"
    if isinstance(bound, str):
        return bound
    short = f"{bound:g}"
    return short if float(short) == bound else repr(bound)
