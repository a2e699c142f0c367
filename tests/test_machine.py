"""Faults of the machine are no verdicts on a model: a closed pipe, a full disk, too little memory, a lost terminal."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from fruitaudit.cli import main
from fruitaudit.data import decode
from fruitaudit.models.memory import MB, machine_memory
from fruitaudit.runtime.memory import is_out_of_memory


@pytest.fixture
def audited(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command line of an audit that is quick and whose only gate passes."""
    monkeypatch.chdir(tmp_path)
    return ["fruitaudit", "evaluate", str(digits / "fruitaudit.yaml"), "--out", "audit", "--set", "methods=[]",
            "--set", "trust=off", "--set", "diagnosis=off", "--set", 'gates=["accuracy[test] >= 0.5"]']  # fmt: skip


def run(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> int:
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize(("where", "more"), [("a closed pipe", []), ("a full disk", ["--json"])])
def test_where_stdout_goes_does_not_change_the_exit_code(
    audited: list[str], capfd: pytest.CaptureFixture[str], where: str, more: list[str]
) -> None:
    target = closed_pipe() if where == "a closed pipe" else os.open("/dev/full", os.O_WRONLY)
    with os.fdopen(target, "w") as stdout, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        assert run(patch, [*audited, *more]) == 0
    assert Path(audited[4], "report.html").exists()
    assert ("stdout: No space left on device" in capfd.readouterr().err) == (where == "a full disk")


def test_a_list_that_nobody_reads_to_the_end_is_no_failed_gate() -> None:
    command = "from fruitaudit.cli import main; main()"
    for arguments in (["methods"], ["schema", "results"]):
        ended = subprocess.run(
            [sys.executable, "-c", command, *arguments], stdout=closed_pipe(), stderr=subprocess.PIPE, check=False
        )
        assert (ended.returncode, ended.stderr) == (0, b"")


def exhausted() -> Exception:
    from fruitaudit.models.keras.backend import tf

    return tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


@pytest.mark.parametrize("fault", [MemoryError, exhausted])
def test_too_little_memory_is_a_sentence_and_exit_code_2(audited, monkeypatch, capsys, fault) -> None:
    def fail(*_: object, **__: object) -> None:
        raise fault()

    monkeypatch.setattr("fruitaudit.pipeline.audit", fail)
    assert run(monkeypatch, [*audited, "--quiet"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: memory ran out: give the process more memory, or lower `memory`")
    assert told.count("\n") == 1


def test_what_is_told_apart_as_lack_of_memory() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(exhausted())
    with pytest.raises(MemoryError) as of_numpy:
        np.zeros((2**22, 2**22))
    assert is_out_of_memory(of_numpy.value)
    assert not is_out_of_memory(ValueError("memory"))
    with pytest.raises(cv2.error) as of_opencv:
        cv2.resize(np.zeros((0, 0), np.uint8), (4, 4))
    assert not is_out_of_memory(of_opencv.value)


def test_an_image_that_memory_cannot_hold_is_no_bad_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(decode, "_decode", fail)
    with pytest.raises(MemoryError):
        decode.decode(cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes())


def test_too_little_address_space_is_told_before_tensorflow_waits_for_it(audited: list[str]) -> None:
    limit = 2 * 10**9
    command = "from fruitaudit.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", command, *audited[1:]], capture_output=True, text=True, check=False, timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    assert ended.returncode == 2
    assert "this process may map 2.0 GB of memory (ulimit -v), and TensorFlow needs 3.5 GB" in ended.stderr


def test_a_limit_of_the_address_space_counts_as_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fruitaudit.models.memory.address_space", lambda: 2500 * MB)
    assert machine_memory() == 500 * MB


def test_a_hang_up_that_is_ignored_stays_ignored(audited: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def hang_up(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        raise KeyError("went on")

    monkeypatch.setattr("fruitaudit.pipeline.audit", hang_up)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run(monkeypatch, [*audited, "--quiet"]) == 4, "it went on, as under nohup"
    finally:
        signal.signal(signal.SIGHUP, before)
