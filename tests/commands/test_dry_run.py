"""A dry run counts what an audit costs, and runs nothing of the user's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fruitaudit.commands.plan import plan
from fruitaudit.config.load import load_config


def planned(capsys: pytest.CaptureFixture[str], config: Path, *more: object) -> tuple[int, str]:
    """Exit code and what was printed."""
    from fruitaudit.cli import main

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(sys, "argv", ["fruitaudit", "evaluate", str(config), "--dry-run", *map(str, more)])
        main()
    done = capsys.readouterr()
    assert "Traceback" not in done.err
    return int(stop.value.code or 0), done.out + done.err


@pytest.fixture
def evil(tmp_path: Path) -> tuple[Path, Path]:
    """A model of digits that writes a file whenever it is called, and that file."""
    import keras
    from keras import layers

    marker = tmp_path / "marker"
    harm = layers.Lambda(eval(f"lambda x: (open({str(marker)!r}, 'w').close(), x)[1]"), name="harmless")
    parts = [keras.Input((28, 28, 1)), harm, layers.Flatten(), layers.Dense(10, activation="softmax")]
    keras.Sequential(parts).save(tmp_path / "evil.keras")
    marker.unlink()
    return tmp_path / "evil.keras", marker


def test_a_model_that_is_code_is_not_opened(
    digits: Path, evil: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    model, marker = evil
    config = digits / "fruitaudit.yaml"
    code, text = planned(capsys, config, "--model", model)
    assert code == 2
    assert "pass --allow-code" in text
    code, text = planned(capsys, config, "--model", model, "--allow-code")
    assert code == 0
    words = " ".join(text.split())
    assert "The model was not opened, as a dry run runs no code: 'harmless' (Lambda) is a Python function" in words
    assert "predict field" in words
    code, text = planned(capsys, config, "--model", model, "--allow-code", "--json")
    found = json.loads(text)
    assert code == 0
    assert found["seconds"] is found["memory"] is found["memory_mb"] is None
    assert [stage["passes"]["forward"] for stage in found["stages"]][-1] == 397
    assert not marker.exists()


def test_a_model_without_code_is_timed_whatever_is_allowed(digits: Path) -> None:
    found = plan(load_config(digits / "fruitaudit.yaml", allow_code=True, methods="occlusion").config)
    assert found.not_opened == ""
    assert found.seconds is not None
    assert found.seconds > 0


def test_no_interpreter_is_started(digits: Path, tmp_path: Path) -> None:
    program, marker = tmp_path / "python", tmp_path / "started"
    program.write_text(f"#!/bin/sh\ntouch {marker}\n")
    program.chmod(0o755)
    overrides = [f"providers.alibi.python={program}"]
    arguments: dict[str, Any] = {"overrides": overrides, "methods": "cem@alibi", "allow_code": True}
    found = plan(load_config(digits / "fruitaudit.yaml", **arguments).config)
    assert any(stage.title.startswith("cem@alibi") for stage in found.stages)
    assert not marker.exists()
    subprocess.run([program], check=True)
    assert marker.exists(), "the program does leave a trace"
