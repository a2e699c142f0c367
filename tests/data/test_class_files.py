"""Every way in which people and libraries write down which output is which class."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fruitaudit.data.class_files import ClassFile, read_class_file

NAMES = ("ash", "birch", "cedar")
LINES = "ash\r\nbirch\r\ncedar\r\n"
WRITTEN = {
    "plain.txt": LINES.encode(),
    "notepad.txt": b"\xef\xbb\xbf" + LINES.encode(),
    "unicode.txt": LINES.encode("utf-16"),
    "list.json": b'\xef\xbb\xbf["ash", "birch", "cedar"]',
    "json_in.txt": b'["ash", "birch", "cedar"]',
    "class_indices.json": b'{"birch": 1, "ash": 0, "cedar": 2}',
    "index_to_name.json": b'{"2": "cedar", "0": "ash", "1": "birch"}',
    "config.json": b'{"model": "x", "id2label": {"0": "ash", "1": "birch", "2": "cedar"}}',
}
NUMBERED = (
    "0 ash\n1 birch\n2 cedar",
    "2,cedar\n0,ash\n1,birch",
    "0: ash\n1: birch\n2: cedar",
    "0\tash\n1\tbirch\n2\tcedar",
    "ash,0\ncedar,2\nbirch,1",
)


@pytest.mark.parametrize("name", WRITTEN)
def test_names_are_read_in_the_order_of_the_outputs(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(WRITTEN[name])
    assert read_class_file(tmp_path / name) == ClassFile(NAMES, {})


@pytest.mark.parametrize("text", NUMBERED)
def test_lines_of_index_and_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.txt").write_text(text)
    read = read_class_file(tmp_path / "labels.txt")
    assert read.names == NAMES
    assert read.other_names == {line: NAMES.index(next(n for n in NAMES if n in line)) for line in text.splitlines()}


def test_numbers_that_belong_to_the_names_stay(tmp_path: Path) -> None:
    (tmp_path / "coins.txt").write_text("1 cent\n2 cent\n5 cent\n")
    assert read_class_file(tmp_path / "coins.txt").names == ("1 cent", "2 cent", "5 cent")
    (tmp_path / "digits.txt").write_text("0\n1\n2\n")
    assert read_class_file(tmp_path / "digits.txt").names == ("0", "1", "2")


def test_the_class_index_of_imagenet(tmp_path: Path) -> None:
    file = tmp_path / "imagenet_class_index.json"
    file.write_text('{"0": ["n01440764", "tench"], "1": ["n02012849", "crane"], "2": ["n03126707", "crane"]}')
    read = read_class_file(file)
    assert read.names == ("tench", "crane (1)", "crane (2)")
    assert read.other_names == {"n01440764": 0, "n02012849": 1, "n03126707": 2}
    assert read.told_apart == 1


def test_a_name_that_stands_twice_as_a_key(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"crane": 0, "ash": 1, "crane": 2}')
    assert read_class_file(tmp_path / "c.json").names == ("crane (0)", "ash", "crane (2)")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"ash": 1, "birch": 2}, "its numbers must be those of the 2 outputs, from 0 on, each once; 0 is missing"),
        ({"1": "ash", "3": "birch"}, "from 0 on, each once; 0 is missing"),
        (
            {"ash": "birch", "0": 1},
            "its mapping must lead from names to the numbers of outputs, or from these to names",
        ),
        ([], "it names no class"),
        (["ash", None], "it must hold a list of names"),
        ("ash", "it must hold a list of names or a mapping"),
        (["\ud800"], "surrogates not allowed"),
    ],
)
def test_sentences_for_unusable_files(tmp_path: Path, value: object, sentence: str) -> None:
    (tmp_path / "c.json").write_text(json.dumps(value))
    with pytest.raises(ValueError, match=sentence):
        read_class_file(tmp_path / "c.json")
