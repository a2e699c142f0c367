"""What is a sample, what is a bad file, and which sentence says that a split is unusable."""

from __future__ import annotations

import os
import struct
import tracemalloc
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fruitaudit.config.schema import SplitSettings
from fruitaudit.data.decode import decode, read_bytes
from fruitaudit.data.labels import ClassList
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.splits import class_names_of, open_split
from fruitaudit.data.stream import StreamSummary, stream
from fruitaudit.errors import DataError

NAMES = ("Apple", "Pear")


def picture(path: Path, colour: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), colour).save(path)
    return path


def settings(path: Path, **more: object) -> SplitSettings:
    return SplitSettings.model_validate({"name": "store", "role": "field", "path": path, **more})


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    root = tmp_path / "lab" / "store"
    for name in ("Pear/b.png", "Pear/a.JPG", "Apple/deep/er/c.png", "Apple/.hidden.png", ".cache/x.png", "loose.png"):
        picture(root / name)
    for name in (
        "Apple/Thumbs.db",
        "Apple/.DS_Store",
        "Apple/desktop.ini",
        "Apple/notes.txt",
        "Apple/raw",
        "README.md",
    ):
        (root / name).write_text("x")
    return root


def test_class_folders(folders: Path) -> None:
    assert class_names_of(settings(folders)) == NAMES
    split = open_split(settings(folders), NAMES)
    assert [(s.id, s.label) for s in split.samples] == [
        ("store/Apple/deep/er/c.png", 0), ("store/Pear/a.JPG", 1), ("store/Pear/b.png", 1),
    ]  # fmt: skip
    assert {b.name: b.reason for b in split.bad} == {
        "loose.png": "lies in no class folder",
        "Apple/notes.txt": "not an image file: its name ends in .txt",
        "Apple/raw": "not an image file: its name ends in nothing",
    }
    assert split.n_found == len(split.samples) + len(split.bad) == 6
    assert split.source == "class folders store"


def test_a_class_without_images_is_still_a_class(folders: Path) -> None:
    (folders / "Banana").mkdir()
    assert class_names_of(settings(folders)) == ("Apple", "Banana", "Pear")


def test_a_label_the_model_does_not_know(folders: Path) -> None:
    with pytest.raises(DataError) as caught:
        open_split(settings(folders), ("Apple", "Peer"))
    assert str(caught.value) == (
        "split store: 'Pear' (2 images, nearest class 'Peer') is none of the model's 2 classes (Apple, Peer); "
        "write under class_map which class that is, or null to leave its images out"
    )
    with pytest.raises(DataError, match=r"'Apple' \(1 image\), 'Pear' \(2 images\) are none of the model's 1 classes"):
        open_split(settings(folders), ("Kiwi",))
    (folders / "Empty").mkdir()
    assert len(open_split(settings(folders), NAMES).samples) == 3


def test_labels_that_are_mapped(folders: Path) -> None:
    split = open_split(settings(folders), ClassList(("Apple",), class_map={"Pear": None}))
    assert [(s.id, s.label) for s in split.samples] == [("store/Apple/deep/er/c.png", 0)]
    assert (split.left_out, split.n_found, split.mapped, split.notes) == ({"Pear": 2}, 4, ("Pear",), ())
    split = open_split(settings(folders), ClassList(("Fruit", "Other"), class_map={"pear": "fruit", "Apple": "Fruit"}))
    assert [s.label for s in split.samples] == [0, 0, 0]
    assert split.notes == ("by class_map 'Apple' is 'Fruit'", "by class_map 'Pear' is 'Fruit'")
    for name in ("loose.png", "Apple/notes.txt", "Apple/raw"):
        (folders / name).unlink()
    with pytest.raises(DataError, match="split store: class_map leaves out all of its 3 images"):
        open_split(settings(folders), ClassList(("Kiwi",), class_map={"Pear": None, "Apple": None}))


def test_names_that_are_no_utf_8_are_spelled_out(tmp_path: Path) -> None:
    odd = tmp_path / "store" / "Pear" / os.fsdecode(b"caf\xe9.png")
    picture(odd)
    picture(tmp_path / "store" / os.fsdecode(b"P\xeache") / "a.png")
    classes = ClassList(NAMES, class_map={r"P\xeache": None})
    split = open_split(settings(tmp_path / "store", originals=tmp_path / "store"), classes)
    assert [(s.id, s.path, s.original) for s in split.samples] == [(r"store/Pear/caf\xe9.png", odd, odd)]
    assert class_names_of(settings(tmp_path / "store")) == (r"P\xeache", "Pear")


def test_linked_class_folders_are_followed_and_circles_are_not(tmp_path: Path) -> None:
    picture(tmp_path / "real" / "a.png")
    root = tmp_path / "split"
    root.mkdir()
    (root / "Apple").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "again").symlink_to(tmp_path / "real")
    assert [s.id for s in open_split(settings(root), NAMES).samples] == ["store/Apple/a.png"]


def test_sentences_for_unusable_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"split store: .*nowhere does not exist"):
        open_split(settings(tmp_path / "nowhere"), NAMES)
    picture(tmp_path / "flat" / "a.png")
    with pytest.raises(DataError, match="holds no class folders; put the images of each class in a folder of its name"):
        class_names_of(settings(tmp_path / "flat"))
    (tmp_path / "empty" / "Apple").mkdir(parents=True)
    with pytest.raises(DataError, match=r"split store: .* holds no images"):
        open_split(settings(tmp_path / "empty"), NAMES)
    (tmp_path / "a.zip").touch()
    with pytest.raises(DataError, match=r"neither a folder nor a \.csv, \.parquet or \.npz file"):
        open_split(settings(tmp_path / "a.zip"), NAMES)


def test_pictures_that_are_not_read_are_named_as_such(folders: Path) -> None:
    (folders / "Pear" / "x.GIF").write_bytes(b"GIF89a")
    reasons = {bad.name: bad.reason for bad in open_split(settings(folders), NAMES).bad}
    assert reasons["Pear/x.GIF"] == ".GIF images are not read; save it as PNG"


def test_originals_pair_by_path_without_suffix(folders: Path, tmp_path: Path) -> None:
    high = picture(tmp_path / "hi" / "Pear" / "b.webp")
    split = open_split(settings(folders, originals=tmp_path / "hi"), NAMES)
    assert {s.id: s.original for s in split.samples if s.original} == {"store/Pear/b.png": high}
    assert split.notes == ("1 of 3 samples have an original",)
    (tmp_path / "hi2").mkdir()
    with pytest.raises(DataError, match=r"none of the 0 images in .*hi2 has the relative path of a sample"):
        open_split(settings(folders, originals=tmp_path / "hi2"), NAMES)
    with pytest.raises(DataError, match=r"folder of originals .*hi3 does not exist"):
        open_split(settings(folders, originals=tmp_path / "hi3"), NAMES)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_manifest(tmp_path: Path, suffix: str) -> None:
    for name in ("m/i/a.png", "m/i/b.png", "c.png", "m/c.png", "m/hi/a.png"):
        picture(tmp_path / name)
    rows = [
        {
            "path": "i/a.png",
            "label": "Pear",
            "group_id": "fruit-7",
            "original": "hi/a.png",
            "mask": None,
            "shop": "Ulm",
        },
        {"path": "i/b.png", "label": "Apple", "original": "hi/b.png", "price": 1.5},
        {"path": "../c.png", "label": "Apple"},
        {"path": "c.png", "label": "Apple"},
        {"path": "i/./a.png", "label": "Pear"},
        {"path": "i/gone.png", "label": "Pear"},
        {"path": "i/a.png", "label": None},
        {"path": "i/b.png", "label": "Kiwi"},
        {"path": None, "label": "Pear"},
    ]
    file, frame = tmp_path / "m" / f"list{suffix}", pd.DataFrame(rows)
    _ = frame.to_csv(file, index=False) if suffix == ".csv" else frame.to_parquet(file)
    split = open_split(settings(file), NAMES)
    assert [(s.id, s.label) for s in split.samples] == [
        ("store/i/a.png", 1), ("store/i/b.png", 0), ("store/c.png", 0), ("store/c.png~4", 0),
    ]  # fmt: skip
    first = split.samples[0]
    assert (first.group_id, first.original, first.mask) == ("fruit-7", tmp_path / "m/hi/a.png", None)
    assert (first.metadata, split.samples[1].metadata) == ({"shop": "Ulm"}, {"price": "1.5"})
    assert [(b.name, b.reason) for b in split.bad] == [
        ("i/a.png", "listed again, after row 1"),
        ("i/gone.png", "missing: there is no such file"),
        ("i/a.png", "its row has no label"),
        (
            "i/b.png",
            "one picture with two labels: 'Apple' in row 2, which counts, and 'Kiwi' in row 8; remove the wrong one",
        ),
        ("row 9", "its row has no path"),
    ]
    assert split.n_found == 9
    assert split.notes == (f"1 files named as original in list{suffix} do not exist",)


def test_sentences_for_unusable_manifests(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("file;label\na;b\n")
    with pytest.raises(
        DataError, match=r"list\.csv has no column path and label; its columns are file;label; separate them by commas"
    ):
        open_split(settings(file), NAMES)
    file.write_text("path\x1clabel,shop\na.png,Ulm,more\n")
    with pytest.raises(DataError, match=r"its columns are path\\x1clabel, shop; name them so"):
        open_split(settings(file), NAMES)
    file.write_text("path,label,label\na.png,Pear,Apple\n")
    with pytest.raises(DataError, match="it has two columns label; keep one"):
        open_split(settings(file), NAMES)
    file.write_text("path,label\nPêche.png,Pear\n", encoding="latin-1")
    with pytest.raises(DataError, match="is not UTF-8 text; save it as UTF-8"):
        open_split(settings(file), NAMES)
    file.write_text("path,label\n")
    with pytest.raises(DataError, match="holds no images"):
        open_split(settings(file), NAMES)
    file.write_text("path,label\na.png,Pear,more\n")
    with pytest.raises(DataError, match=r"a\.png: its row has more cells than the header"):
        open_split(settings(file), NAMES)
    (tmp_path / "list.parquet").write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"list\.parquet cannot be read"):
        open_split(settings(tmp_path / "list.parquet"), NAMES)


ODD_CELLS = {
    "a" * 256 + ".png": "column path of row 2 has a name of more than 255 bytes",
    "a/" * 2100: "column path of row 2 is longer than 4095 bytes",
    "a\0b.png": "column path of row 2 holds a NUL character, which no file name can",
    "a\nb.png": "missing: there is no such file",
    "~nouser/a.png": "missing: there is no such file",
    "../../../../../../../../etc/nothing.png": "missing: there is no such file",
    "/nowhere/a.png": "missing: there is no such file",
    "a\\b.png": "missing: there is no such file; write its path with / instead of \\",
    "C:\\photos\\a.png": (
        "missing: its path is that of a Windows machine; write it as seen from the manifest, with / between folders"
    ),
    "good.png/a.png": "missing: there is no such file",
    "circle": "cannot be looked at: Too many levels of symbolic links",
    ".": "not a regular file",
}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("cell", ODD_CELLS, ids=lambda cell: repr(cell)[1:20])
def test_cells_that_name_no_file_are_bad_files(tmp_path: Path, suffix: str, cell: str) -> None:
    picture(tmp_path / "good.png")
    (tmp_path / "circle").symlink_to("circle")
    file, frame = tmp_path / f"list{suffix}", pd.DataFrame({"path": ["good.png", cell], "label": ["Pear", "Apple"]})
    _ = frame.to_csv(file, index=False) if suffix == ".csv" else frame.to_parquet(file)
    split = open_split(settings(file), NAMES)
    assert [s.id for s in split.samples] == ["store/good.png"]
    assert [b.reason for b in split.bad] == [ODD_CELLS[cell]]
    assert len(split.bad[0].name) < 300


def test_cells_beside_the_path_are_looked_at_too(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    pd.DataFrame({"path": "good.png", "label": "Pear", "mask": ["a" * 256]}).to_csv(tmp_path / "list.csv")
    with pytest.raises(DataError, match=r"good\.png: column mask of row 1 has a name of more than 255 bytes"):
        open_split(settings(tmp_path / "list.csv"), NAMES)


def test_number_labels_go_by_number(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "list.csv").write_text("path,label\n" + "".join(f"a.png,{i}\n" for i in (10, 9, 2)))
    assert class_names_of(settings(tmp_path / "list.csv")) == ("10",)  # the others are listed again
    (tmp_path / "list.csv").write_text(f"path,label\na.png,{'9' * 5000}\n")
    assert class_names_of(settings(tmp_path / "list.csv")) == ("9" * 5000,)  # more digits than Python reads
    np.savez(tmp_path / "d.npz", x=np.zeros((3, 2, 2), np.uint8), y=[10, 9, 2])
    assert class_names_of(settings(tmp_path / "d.npz")) == ("2", "9", "10")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path: Path, save: object) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 2, 3), dtype=np.uint8)
    save(tmp_path / "d.npz", images=images, labels=["Pear", "Apple", "Kiwi", "Pear", "Pear"])
    with pytest.raises(DataError, match=r"'Kiwi' \(1 image\) is none of the model's 2 classes"):
        open_split(settings(tmp_path / "d.npz"), NAMES)
    split = open_split(settings(tmp_path / "d.npz"), ClassList(NAMES, class_map={"Kiwi": None}))
    assert [(s.id, s.label, s.index) for s in split.samples] == [
        ("store/0", 1, 0), ("store/1", 0, 1), ("store/3", 1, 3), ("store/4", 1, 4),
    ]  # fmt: skip
    assert (split.bad, split.left_out) == ((), {"Kiwi": 1})
    for sample in reversed(split.samples):
        np.testing.assert_array_equal(decode(read_bytes(sample)).pixels, images[sample.index])


def test_npz_numbers_are_indices_unless_it_names_its_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2, 2), np.uint8), y=[1, 0, 7])
    with pytest.raises(DataError, match=r"'7' \(1 image\) is none .*; outputs are numbered from 0 to 1; write under"):
        open_split(settings(tmp_path / "a.npz"), NAMES)
    split = open_split(settings(tmp_path / "a.npz"), ClassList(NAMES, class_map={"7": None}))
    assert [s.label for s in split.samples] == [1, 0]
    np.savez(tmp_path / "b.npz", x=np.zeros((2, 2, 2), np.uint8), y=[1, 0], class_names=["Pear", "Apple"])
    assert class_names_of(settings(tmp_path / "b.npz")) == ("Pear", "Apple")
    assert [s.label for s in open_split(settings(tmp_path / "b.npz"), NAMES).samples] == [0, 1]


def test_npz_of_several_splits(tmp_path: Path) -> None:
    file = tmp_path / "d.npz"
    np.savez(
        file,
        x_train=np.zeros((1, 2, 2), np.uint8),
        y_train=[0],
        x_store=np.full((2, 2, 2), 9, np.uint8),
        y_store=[1, 1],
    )
    split = open_split(settings(file), NAMES)
    assert [s.label for s in split.samples] == [1, 1]
    assert decode(read_bytes(split.samples[0])).pixels.max() == 9
    with pytest.raises(DataError, match=r"none of its arrays \(x_train, .*\) is named images, x or x_field"):
        open_split(settings(file, name="field"), NAMES)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"x": np.zeros((2, 3, 8, 8), np.uint8), "y": [0]}, r"must be numbers of shape .* not uint8 of shape \(2, 3"),
        ({"x": np.zeros((2, 8, 8), np.uint8)}, "none of its arrays .* is named labels, y or y_store"),
        ({"x": np.zeros((2, 8, 8), np.uint8), "y": [0]}, "labels must be 2 integers or strings, not int64"),
        ({"x": np.asfortranarray(np.zeros((2, 8, 8), np.uint8)), "y": [0, 1]}, "stored in Fortran order"),
        ({"x": np.zeros((2, 8, 8), np.uint8), "y": np.array([0, {}], object)}, "holds pickled objects, which are code"),
        ({"x": np.array([[[0]], [[{}]]], object), "y": [0, 1]}, "x holds pickled objects, which are code"),
        ({"x": np.zeros((2, 8, 8), "<c8"), "y": [0, 1]}, "not complex64 of shape"),
        ({"x": np.zeros((2, 8, 8), "<M8[s]"), "y": [0, 1]}, r"not datetime64\[s\] of shape"),
        ({"x": np.zeros(5, np.uint8), "y": [0, 1, 2, 3, 4]}, r"not uint8 of shape \(5,\)"),
        ({"x": np.uint8(1), "y": [0]}, r"not uint8 of shape \(\)"),
        ({"x": np.zeros((2, 0, 8), np.uint8), "y": [0, 1]}, r"not uint8 of shape \(2, 0, 8\)"),
        ({"x": np.zeros((0, 8, 8), np.uint8), "y": np.zeros(0, int)}, "holds no images"),
        ({"x": np.zeros((1, 8, 8), np.uint8), "y": [0.5]}, "labels must be 1 integers or strings, not float64"),
        ({"x": np.zeros((1, 8, 8), np.uint8), "y": [b"caf\xe9"]}, "y cannot be read: 'utf-8' codec can't decode"),
        ({"x": np.zeros((1, 8, 8), np.uint8), "y": ["\ud800"]}, "y cannot be read: .*surrogates not allowed"),
        ({"x": np.zeros((1, 8, 8), np.uint8), "y": [0], "class_names": "Pear"}, r"class_names must .* of shape \(\)"),
        ({"x": np.zeros((1, 8, 8), np.uint8), "y": [0], "class_names": [["a"]]}, r"class_names must be .* \(1, 1\)"),
        ({"x": np.zeros((1, 8, 8), np.uint8), "y": [0], "class_names": ["a", "a"]}, "class_names holds 'a' twice"),
        ({"x": np.zeros((1, 8, 8), np.uint8), "y": [0], "class_names": np.array([{}])}, "class_names holds pickled"),
    ],
)  # fmt: skip
def test_sentences_for_unusable_npz(tmp_path: Path, arrays: dict, sentence: str) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(DataError, match=sentence):
        open_split(settings(tmp_path / "d.npz"), NAMES)


def test_npz_names_as_bytes_are_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 2, 2), np.uint8), y=[1, 0], class_names=np.array([b"Pear", b"Apple"]))
    assert class_names_of(settings(tmp_path / "a.npz")) == ("Pear", "Apple")


def npy(header: str, values: bytes = b"") -> bytes:
    """An .npy file with this header, whatever it says."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + values


LYING = {
    "more than there is": (
        "{'descr': '|u1', 'fortran_order': False, 'shape': (9, 9000, 9000)}",
        "does not take the 134",
    ),
    "terabytes": ("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 9000, 9000)}", "does not take the 134"),
    "below zero": ("{'descr': '|u1', 'fortran_order': False, 'shape': (-6, 1, -1)}", "does not take the 134"),
    "no literal": ("{'descr': os.getcwd()}", "the header of x is damaged"),
    "no type": ("{'descr': 'nonsense', 'fortran_order': False, 'shape': (6, 1, 1)}", "the header of x is damaged"),
    "deep": ("(" * 110, "the header of x is damaged"),
}


@pytest.mark.parametrize("case", LYING)
@pytest.mark.parametrize("name", ["x", "y", "class_names"])
def test_an_npz_whose_headers_lie_costs_no_memory(tmp_path: Path, case: str, name: str) -> None:
    header, sentence = LYING[case]
    np.savez(tmp_path / "d.npz", **{n: v for n, v in SMALL.items() if n != name})
    with zipfile.ZipFile(tmp_path / "d.npz", "a") as archive:
        archive.writestr(f"{name}.npy", npy(header, bytes(6)))
    tracemalloc.start()
    with pytest.raises(DataError) as caught:
        open_split(settings(tmp_path / "d.npz"), NAMES)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()
    assert str(caught.value).startswith("split store: d.npz cannot be read as an NPZ: ")
    assert sentence.replace(" x ", f" {name} ") in str(caught.value)


SMALL = {"x": np.arange(54, dtype=np.uint8).reshape(6, 3, 3), "y": np.array([0, 1] * 3), "class_names": np.array(NAMES)}


def test_an_array_that_is_there_twice(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", **SMALL)
    with zipfile.ZipFile(tmp_path / "d.npz", "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("y.npy", archive.read("y.npy"))
    with pytest.raises(DataError, match="it holds y twice; keep one"):
        open_split(settings(tmp_path / "d.npz"), NAMES)


def test_an_array_without_its_suffix_is_none(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("x", b"")
    with pytest.raises(DataError, match=r"none of its arrays .* is named images, x or x_store"):
        open_split(settings(tmp_path / "d.npz"), NAMES)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_rows_are_bad_files(tmp_path: Path, save: object) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 30, 30), dtype=np.uint8)
    file = tmp_path / "d.npz"
    save(file, x=images, y=np.zeros(40, int))
    data = bytearray(file.read_bytes())
    data[20_000:20_040] = bytes(40)
    file.write_bytes(data)
    split = open_split(settings(file), NAMES)
    summary = StreamSummary()
    fitter = Preprocessor(30, 30, 1, "stretch", "nearest", "0-255")
    used = sum(len(batch.samples) for batch in stream(split, fitter, 8, summary))
    assert used + len(summary.bad) == 40
    assert summary.bad
    assert all("cannot be read: row" in bad.reason for bad in summary.bad)


def test_a_damaged_npz(tmp_path: Path) -> None:
    (tmp_path / "d.npz").write_bytes(b"PK nonsense")
    with pytest.raises(DataError, match="cannot be read as an NPZ"):
        open_split(settings(tmp_path / "d.npz"), NAMES)


def test_whole_numbers_that_became_floats(tmp_path: Path) -> None:
    for i in range(12):
        picture(tmp_path / f"{i}.png")
    frame = pd.DataFrame({"path": [f"{i}.png" for i in range(12)], "label": np.arange(12, dtype=float)})
    for file in (tmp_path / "list.csv", tmp_path / "list.parquet"):
        _ = frame.to_csv(file, index=False) if file.suffix == ".csv" else frame.to_parquet(file)
        assert class_names_of(settings(file)) == tuple(map(str, range(12)))
        assert open_split(settings(file), tuple(map(str, range(12)))).notes == (
            "labels such as 0.0 were read as whole numbers",
        )
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 2, 2), np.uint8), y=np.array([[1.0], [0.0]], np.float32))
    assert [s.label for s in open_split(settings(tmp_path / "d.npz"), NAMES).samples] == [1, 0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_manifests_of_windows(tmp_path: Path, encoding: str) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "list.csv").write_text("path,label\na.png,pear\n", encoding=encoding)
    split = open_split(settings(tmp_path / "list.csv"), NAMES)
    assert [s.label for s in split.samples] == [1]
    assert split.notes == ("labels spelt otherwise were understood: 'pear' as 'Pear'",)


@pytest.mark.parametrize(("on_disk", "written"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_accents_may_be_composed_otherwise_than_on_disk(tmp_path: Path, on_disk: str, written: str) -> None:
    there, cell = (unicodedata.normalize(form, "Pêche/é.png") for form in (on_disk, written))  # type: ignore[arg-type]
    picture(tmp_path / "i" / there)
    mask = picture(tmp_path / "m" / cell)
    (tmp_path / "list.csv").write_text(f"path,label,original\ni/{cell},{cell.partition('/')[0]},i/{cell}\n")
    name = unicodedata.normalize(on_disk, "Pêche")  # type: ignore[arg-type]
    (sample,) = open_split(settings(tmp_path / "list.csv"), (name,)).samples
    assert (sample.path, sample.original, sample.label) == (tmp_path / "i" / there, tmp_path / "i" / there, 0)
    (sample,) = open_split(settings(tmp_path / "i", masks=tmp_path / "m"), (name,)).samples
    assert sample.mask == mask
