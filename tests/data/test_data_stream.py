"""Reading a split: order, full batches, what is noted of bad files, and memory."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fruitaudit.config.schema import SplitSettings
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.splits import Split, open_split
from fruitaudit.data.stream import StreamSummary, read_images, stream
from fruitaudit.errors import DataError
from fruitaudit.records.data import BadFile, ColourNote

NAMES = ("a", "b")
FIT = Preprocessor(6, 6, 3, "stretch", "area", "0-255")


def split_of(path: Path) -> Split:
    return open_split(SplitSettings(name="s", path=path, role="test"), NAMES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """50 images whose grey value is their number; nine of them broken in different ways."""
    for i in range(50):
        path = tmp_path / "s" / NAMES[i % 2] / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (6, 6), (i, i, i)).save(path)
    for i in range(0, 45, 5):
        path = tmp_path / "s" / NAMES[i % 2] / f"{i:02d}.png"
        path.write_bytes([b"", b"text", path.read_bytes()[:50]][i % 3])
    Image.new("L", (6, 6), 49).save(tmp_path / "s" / "b" / "49.png")
    return tmp_path / "s"


def test_full_batches_in_order_whatever_is_broken(folder: Path) -> None:
    split, reading = split_of(folder), StreamSummary()
    gone = next(s for s in split.samples if s.id == "s/a/02.png")
    gone.path.unlink()
    batches = list(stream(split, FIT, 8, reading))
    assert [len(b.samples) for b in batches] == [8, 8, 8, 8, 8]
    for batch in batches:
        numbers = [int(sample.path.stem) for sample in batch.samples]
        assert batch.values[:, 3, 3, 0].tolist() == numbers
    ids = [s.id for b in batches for s in b.samples]
    assert ids == [s.id for s in split.samples if s.id in ids]
    assert reading.n_used == 40
    assert reading.n_used + len(reading.bad) == split.n_found == 50
    assert reading.bad[0] == BadFile("a/00.png", "the file is empty")
    assert reading.bad[1] == BadFile("a/02.png", "missing: there is no such file")
    assert {b.reason for b in reading.bad[2:]} == {
        "the file is empty", "not a readable JPEG, PNG, WebP, BMP or TIFF image",
        "cannot be decoded: image file is truncated",
    }  # fmt: skip
    assert reading.conversions == (ColourNote("grey read as RGB", 1),)


def test_fingerprint_is_of_ids_labels_and_contents(folder: Path) -> None:
    def fingerprint(path: Path = folder, batch: int = 8, names: tuple[str, ...] = NAMES) -> str:
        reading = StreamSummary()
        split = open_split(SplitSettings(name="s", path=path, role="test"), names)
        list(stream(split, FIT, batch, reading))
        return reading.fingerprint

    first = fingerprint()
    expected = hashlib.sha256()
    for batch in stream(split_of(folder), FIT, 8):
        for sample in batch.samples:
            expected.update(
                f"{sample.id}\0{sample.label}\0".encode() + hashlib.sha256(sample.path.read_bytes()).digest()
            )
    assert first == expected.hexdigest() == fingerprint(batch=50)
    assert fingerprint(names=("b", "a")) != first
    (folder / "a" / "46.png").rename(folder / "a" / "46x.png")
    renamed = fingerprint()
    Image.new("RGB", (6, 6)).save(folder / "a" / "46x.png")
    assert len({first, renamed, fingerprint()}) == 3


def test_conversions_of_a_grey_model(folder: Path) -> None:
    reading = StreamSummary()
    list(stream(split_of(folder), Preprocessor(6, 6, 1, "stretch", "area", "0-1"), 8, reading))
    assert reading.conversions == (ColourNote("colour reduced to grey", 40),)


def test_npz_rows_stream_like_files(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (70, 6, 6, 3), dtype=np.uint8)
    np.savez_compressed(tmp_path / "s.npz", x=images, y=np.arange(70) % 2)
    split, reading = split_of(tmp_path / "s.npz"), StreamSummary()
    values = np.concatenate([b.values for b in stream(split, FIT, 16, reading)])
    np.testing.assert_array_equal(values, images)
    assert reading.bad == []


def test_read_images(folder: Path) -> None:
    samples = split_of(folder).samples
    good = [s for s in samples if s.path.stem in ("49", "03", "46")]
    images = read_images(good, FIT)
    assert images.sample_ids == ("s/a/46.png", "s/b/03.png", "s/b/49.png")
    assert images.values[:, 0, 0, 0].tolist() == [46, 3, 49]
    assert images.high.tolist() == [255, 255, 255]
    assert len(read_images([], FIT)) == 0
    with pytest.raises(DataError, match=r"image s/a/00\.png: the file is empty"):
        read_images(samples[:3], FIT)


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "a" / "pipe.png")
    reading = StreamSummary()
    assert sum(len(b.samples) for b in stream(split_of(folder), FIT, 16, reading)) == reading.n_used
    assert ("a/pipe.png", "not a regular file") in [(bad.name, bad.reason) for bad in reading.bad]


def test_a_stream_that_nobody_finishes_stops_its_threads(folder: Path) -> None:
    import threading

    batches = stream(split_of(folder), FIT, 4)
    next(batches)
    batches.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("decode")]


def test_memory_does_not_grow_with_the_split(tmp_path: Path) -> None:
    (tmp_path / "s" / "a").mkdir(parents=True)
    for i in range(400):
        Image.new("RGB", (100, 100)).save(tmp_path / "s" / "a" / f"{i:03d}.png")
    split = split_of(tmp_path / "s")
    few = Split(split.name, split.role, split.source, split.samples[:100], (), 100)
    fit = Preprocessor(100, 100, 3, "stretch", "area", "0-1")

    def peak(of: Split) -> int:
        tracemalloc.start()
        for _ in stream(of, fit, 16):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(few)
    assert peak(split) < 1.3 * peak(few)
