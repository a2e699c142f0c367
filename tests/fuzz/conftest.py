"""How many examples the fuzzers try: bounded, or as many as `--fuzz-examples N` says, of each."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis
import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    # Known to pytest where tests/fuzz is named on the command line.
    parser.addoption("--fuzz-examples", type=int, default=None, help="examples of each fuzzer in tests/fuzz")


@pytest.fixture
def examples(request: pytest.FixtureRequest) -> Callable[[int], hypothesis.settings]:
    """The settings of a fuzzer that tries `n` examples, the same ones each time."""
    asked = request.config.getoption("--fuzz-examples", default=None)

    def settings(n: int) -> hypothesis.settings:
        return hypothesis.settings(
            max_examples=asked or n,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )

    return settings
