from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fruitaudit.errors import ConfigError
from fruitaudit.runtime.cache import StageCache
from fruitaudit.runtime.files import atomic, staged, write_arrays, write_text
from fruitaudit.runtime.hashes import sha256_of, sha256_of_file
from fruitaudit.runtime.streams import Streams


def test_streams_depend_on_seed_and_purpose_alone() -> None:
    first = Streams(9).rng("smoothgrad", "store/a.jpg").standard_normal(4)
    Streams(9).rng("smoothgrad", "store/b.jpg").standard_normal(99)
    assert np.array_equal(first, Streams(9).rng("smoothgrad", "store/a.jpg").standard_normal(4))
    assert not np.array_equal(first, Streams(9).rng("smoothgrad", "store/b.jpg").standard_normal(4))
    assert not np.array_equal(first, Streams(8).rng("smoothgrad", "store/a.jpg").standard_normal(4))


def test_purposes_are_not_glued_together() -> None:
    assert Streams(9).integer("ab", "c") != Streams(9).integer("a", "bc")


def test_integers_fit_their_bits() -> None:
    assert all(0 <= Streams(9).integer(str(i), bits=31) < 2**31 for i in range(100))


def test_atomic_leaves_the_old_file_alone_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic(path, "w") as stream:
        stream.write("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_equal_arrays_give_equal_bytes(tmp_path: Path) -> None:
    arrays = {"a": np.arange(5), "b": np.array("text")}
    write_arrays(tmp_path / "1.npz", arrays)
    write_arrays(tmp_path / "2.npz", arrays)
    assert (tmp_path / "1.npz").read_bytes() == (tmp_path / "2.npz").read_bytes()


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
    (tmp_path / "report.html").write_text("the user's own")
    with pytest.raises(ConfigError, match="which no audit wrote and this one would replace"), staged(tmp_path, owned):
        pass
    assert (tmp_path / "report.html").read_text() == "the user's own"
    (tmp_path / "report.html").rename(tmp_path / "notes.html")
    for names in (owned, owned[1:]):
        with staged(tmp_path, owned) as staging:
            for name in names:
                write_text(staging / name, '{"fruitaudit_version": "1"}')
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


def test_the_cache_makes_once_and_makes_damaged_entries_again(tmp_path: Path) -> None:
    cache, calls = StageCache(tmp_path), []

    def make() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"x": np.arange(3)}

    assert cache.get_or_make("stage", {"seed": 9}, make)[1] is False
    arrays, cached = cache.get_or_make("stage", {"seed": 9}, make)
    assert cached
    assert arrays["x"].tolist() == [0, 1, 2]
    assert cache.get_or_make("stage", {"seed": 8}, make)[1] is False
    for entry in tmp_path.iterdir():
        entry.write_bytes(entry.read_bytes()[:40])
    assert cache.get_or_make("stage", {"seed": 9}, make)[1] is False
    assert len(calls) == 3


def test_hashes_see_every_byte_and_every_name(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "a").write_bytes(b"1")
    first = sha256_of_file(tmp_path / "m")
    (tmp_path / "m" / "a").rename(tmp_path / "m" / "b")
    assert sha256_of_file(tmp_path / "m") != first
    assert sha256_of({"a": 1, "b": 2}) == sha256_of({"b": 2, "a": 1})
