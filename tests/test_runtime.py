from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fruitaudit.runtime.cache import StageCache
from fruitaudit.runtime.files import atomic, write_arrays, write_text
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
