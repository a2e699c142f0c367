"""The checks on other versions of Python and of the dependencies: `nox -l` lists them, `nox -s lint` runs one."""

from __future__ import annotations

import nox

nox.options.sessions = ["lint", "docs", "tests"]
nox.options.default_venv_backend = "venv"
# Those that TensorFlow has wheels for.
PYTHONS = ["3.11", "3.12", "3.13"]
SMOKE = ["tests/config", "tests/data", "tests/attribution/test_attribution_contract.py", "tests/test_audit.py"]


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The README's tests with the newest dependencies; arguments go to pytest."""
    session.install(".[dev]")
    session.run("python", "-m", "pytest", "-n", "auto", *session.posargs)


@nox.session(python="3.11")
def pinned(session: nox.Session) -> None:
    """Every test, slow ones too, with the exact versions of CI and under branch coverage."""
    session.install("-c", "constraints.txt", "-e", ".[dev]")
    session.run("python", "-m", "pytest", "-n", "auto", "-m", "", "--cov", "--cov-report=term", *session.posargs)


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """The part of the tests that meets most libraries, with the lowest versions that pyproject.toml allows."""
    session.install("-c", "constraints-lowest.txt", ".[dev]")
    session.run("python", "-m", "pytest", "-n", "auto", *(session.posargs or SMOKE))


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    """Style and types."""
    session.install("-c", "constraints.txt", "-e", ".[dev]")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")


@nox.session(python="3.11")
def docs(session: nox.Session) -> None:
    """The pages of docs/ are those that the code gives."""
    session.install("-c", "constraints.txt", "-e", ".[dev]")
    session.run("python", "-m", "pytest", "tests/test_docs.py")
