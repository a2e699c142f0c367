"""Whatever happens while an audit moves its files into place, a folder holds the old report or the new one."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fruitaudit.errors import ConfigError
from fruitaudit.runtime.files import write_text
from fruitaudit.runtime.staging import finish, staged

OWNED = ("maps", "report.html", "results.json", "worksheet.csv")
KILLED = """
import os, sys
from pathlib import Path
from fruitaudit.runtime import staging
out, last = Path(sys.argv[1]), int(sys.argv[2])
calls = [0]
def counted(change):
    def run(*args, **kwargs):
        calls[0] += 1
        if calls[0] > last:
            os.kill(os.getpid(), 9)
        return change(*args, **kwargs)
    return run
with staging.staged(out, {owned}, lambda out: (out / "results.json").exists()) as new:
    (new / "maps").mkdir()
    for name in ("maps/1.npz", "report.html", "results.json"):
        (new / name).write_text("new")
    os.replace, Path.unlink, staging.shutil.rmtree = map(counted, (os.replace, Path.unlink, staging.shutil.rmtree))
print(calls[0])
""".replace("{owned}", repr(OWNED))


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


OLD = {"maps/1.npz": "old", "maps/2.npz": "old", "report.html": "old", "results.json": "old", "worksheet.csv": "old",
       "notes.txt": "the user's own"}  # fmt: skip
NEW = {"maps/1.npz": "new", "report.html": "new", "results.json": "new", "notes.txt": "the user's own"}


def test_a_kill_at_any_step_of_the_exchange_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    def run(case: str, steps: int) -> tuple[Path, subprocess.CompletedProcess[str]]:
        folder = tmp_path / case
        for name, text in OLD.items():
            write_text(folder / name, text)
        command = [sys.executable, "-c", KILLED, str(folder), str(steps)]
        return folder, subprocess.run(command, capture_output=True, text=True, check=False)

    whole, ended = run("whole", 99)
    assert contents(whole) == NEW
    steps, seen = int(ended.stdout), set()
    assert steps > 8
    for last in range(steps):
        folder, ended = run(str(last), last)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        again = tmp_path / f"{last} again"
        shutil.copytree(folder, again)
        finish(folder)  # as `render` does
        told = {name: text for name, text in contents(folder).items() if not name.startswith(".staging-")}
        assert told in (OLD, NEW)
        seen.add(told == NEW)
        with staged(again, OWNED, lambda out: (out / "results.json").exists()) as new:
            for name, text in NEW.items():
                if name != "notes.txt":
                    write_text(new / name, text)
        assert contents(again) == NEW, "another audit into the same folder"
    assert seen == {True, False}


def test_what_is_being_filled_is_not_finished_by_another(tmp_path: Path) -> None:
    (tmp_path / ".staging-x").mkdir()
    write_text(tmp_path / ".staging-x" / "ready.json", '{"new": [], "gone": []}')
    with pytest.raises(ConfigError, match="another audit is writing to"), staged(tmp_path):
        write_text(tmp_path / ".staging-y" / "ready.json", '{"new": [], "gone": []}')
        finish(tmp_path)


def test_staged_replaces_whole_folders_and_only_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "old.npz").write_text("old")
    (tmp_path / "kept.txt").write_text("the user's own")
    with staged(tmp_path) as staging:
        write_text(staging / "maps" / "new.npz", "new")
        assert (tmp_path / "maps" / "old.npz").exists()
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["kept.txt", "maps", "maps/new.npz"]


def test_staged_leaves_everything_alone_when_the_audit_fails(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("old")
    with pytest.raises(RuntimeError), staged(tmp_path) as staging:
        write_text(staging / "report.html", "new")
        raise RuntimeError
    assert (tmp_path / "report.html").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_staged_keeps_the_users_own_and_drops_what_the_last_audit_alone_wrote(tmp_path: Path) -> None:
    owned = ("maps", "report.html", "results.json")

    def is_ours(out: Path) -> bool:
        return (out / "results.json").exists()

    (tmp_path / "report.html").write_text("the user's own")
    with pytest.raises(ConfigError, match="which fruitaudit did not write"), staged(tmp_path, owned, is_ours):
        pass
    assert (tmp_path / "report.html").read_text() == "the user's own"
    (tmp_path / "report.html").rename(tmp_path / "notes.html")
    for names in (owned, owned[1:]):
        with staged(tmp_path, owned, is_ours) as staging:
            for name in names:
                write_text(staging / name, "new")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.html", "report.html", "results.json"]


def test_one_audit_at_a_time_fills_a_folder(tmp_path: Path) -> None:
    with staged(tmp_path), pytest.raises(ConfigError, match="another audit is writing to"), staged(tmp_path):
        pass
    with staged(tmp_path):
        pass


def test_staged_clears_what_a_killed_audit_left(tmp_path: Path) -> None:
    (tmp_path / ".staging-killed").mkdir()
    (tmp_path / ".staging-killed" / "report.html").write_text("half")
    with staged(tmp_path) as staging:
        write_text(staging / "report.html", "whole")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_staged_makes_no_folder_for_nothing_and_says_where_it_cannot(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), staged(tmp_path / "audit"):
        raise RuntimeError
    assert not (tmp_path / "audit").exists()
    (tmp_path / "file").write_text("the user's own")
    with pytest.raises(ConfigError, match=r"folder .*file cannot be made: .*; name another"), staged(tmp_path / "file"):
        pass


@pytest.mark.parametrize(
    "plan",
    [
        "[",
        "[" * 100_000,
        "null",
        '{"new": []}',
        '{"new": 3, "gone": []}',
        '{"new": [], "gone": ["../mine"]}',
        '{"new": ["../../mine"], "gone": []}',
        '{"new": [], "gone": [".."]}',
        '{"new": [], "gone": ["/etc"]}',
        '{"new": [], "gone": [3]}',
    ],
    ids=lambda plan: plan[:40],
)
def test_a_folder_from_elsewhere_moves_and_removes_nothing_beside_it(tmp_path: Path, plan: str) -> None:
    out, staging = tmp_path / "theirs", tmp_path / "theirs" / ".staging-x"
    (staging / "new").mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    (staging / "ready.json").write_text(plan)
    for run in (lambda: finish(out), lambda: staged(out).__enter__()):
        with pytest.raises(ConfigError, match="is no exchange that an audit began: remove it"):
            run()
    assert (tmp_path / "mine").is_dir()


def test_an_exchange_through_a_link_is_refused(tmp_path: Path) -> None:
    out, staging = tmp_path / "theirs", tmp_path / "theirs" / ".staging-x"
    staging.mkdir(parents=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").write_text("mine")
    (staging / "new").symlink_to(tmp_path / "mine")
    (staging / "ready.json").write_text('{"new": ["a"], "gone": []}')
    with pytest.raises(ConfigError, match="is no exchange"):
        finish(out)
    assert (tmp_path / "mine" / "a").read_text() == "mine"
