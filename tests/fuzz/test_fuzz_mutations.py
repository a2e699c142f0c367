"""The fuzzers themselves can fail: what is no sentence, or no error of a user, is a find."""

from __future__ import annotations

import pytest
from fuzz.mutations import sentence_of

from fruitaudit.errors import DataError

pytestmark = pytest.mark.slow


def fail(error: Exception) -> object:
    def run() -> None:
        raise error

    return run


def test_what_a_fuzzer_lets_pass_and_what_it_finds() -> None:
    assert sentence_of(lambda: None) is None
    assert sentence_of(fail(DataError("a.png: it is empty"))) == "a.png: it is empty"
    for error in (KeyError("a"), DataError(""), DataError("one\ntwo"), DataError("x" * 3000), RecursionError()):
        with pytest.raises((AssertionError, type(error))):
            sentence_of(fail(error))
