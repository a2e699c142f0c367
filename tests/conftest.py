"""Fixtures that several rooms share."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
import zoo

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tests say themselves when they mean a CI machine.
os.environ.pop("CI", None)

# The same examples on every machine: a red run can be run again.
hypothesis.settings.register_profile("fixed", derandomize=True)
hypothesis.settings.load_profile("fixed")

ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests whose parameter is a slow kind of model."""
    for item in items:
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if any(isinstance(value, str) and value in zoo.SLOW for value in parameters):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def store16() -> Path:
    """Real photographs and a real model; development only, so absent from a user's checkout."""
    folder = ROOT.parent / "shared" / "data" / "store16"
    if not folder.is_dir():
        pytest.skip("the store16 photographs (../shared/data/store16) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def market() -> Path:
    """Real photographs without a model; development only."""
    folder = ROOT.parent / "shared" / "data" / "market"
    if not folder.is_dir():
        pytest.skip("the market photographs (../shared/data/market) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """`made_once("digits", make)`: a folder filled by the first worker that asks for it; tests only read it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def once(name: str, make: Callable[[Path], object]) -> Path:
        done = shared / f"{name}.done"
        with open(shared / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                make(shared / name)
                done.touch()
        return shared / name

    return once


@pytest.fixture(scope="session")
def digits(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The folder of the digits case: images, model and config."""
    from fruitaudit.demo.digits import make_case

    return made_once("digits", make_case)
