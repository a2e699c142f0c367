"""Gates and claims as keys of a config: text in the file, read once when the config is."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from fruitaudit.config.claims import parse_claim
from fruitaudit.config.gates import parse_gate
from fruitaudit.records.conditions import CauseClaim, Claim, ExplanationGate, FigureGate, Gate

# pydantic asks for a ValueError, also where the type is wrong.


def _gate(value: Any) -> Gate:
    if isinstance(value, FigureGate | ExplanationGate):
        return value
    if not isinstance(value, str):
        raise ValueError("write a gate as text, such as accuracy[store] >= 0.9")
    return parse_gate(value)


def _claim(value: Any) -> Claim:
    if isinstance(value, FigureGate | CauseClaim):
        return value
    if not isinstance(value, str):
        raise ValueError('write a claim as text in quotes, such as "cause: light"')
    return parse_claim(value)


def _as_written(parsed: Gate | Claim) -> str:
    return parsed.text


_TEXT = (PlainSerializer(_as_written, return_type=str), WithJsonSchema({"type": "string"}))

ParsedGate = Annotated[Gate, PlainValidator(_gate), *_TEXT]
ParsedClaim = Annotated[Claim, PlainValidator(_claim), *_TEXT]
