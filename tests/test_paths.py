"""Output paths: what is wrong with one is said before anything is computed, and nothing is made on the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fruitaudit.errors import ConfigError
from fruitaudit.runtime.paths import output_file, output_folder
from fruitaudit.runtime.staging import staged
from fruitaudit.runtime.text import shown


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    monkeypatch.chdir(tmp_path)
    return tmp_path


BOTH = {
    "a" * 256: "has a name of more than 255 bytes",
    "new/" * 1100 + "x": "is longer than 4095 bytes",
    "n/" * 400: "lies more than 300 folders deep",
    "new/\0": "holds a NUL character",
    os.fsdecode(b"caf\xe9/x"): "is not UTF-8 text",
    "~nouser/x": "begins with ~nouser, and there is no user of that name",
    "dangling": "is a link to nothing",
    "dangling/deeper": "dangling, a link to nothing",
    "file/below": "which is no folder",
}
FOLDERS = BOTH | {"/": "is the root of the file system", "file": "is a file, not a folder"}
FILES = BOTH | {"/": "is a folder, not a file", "folder": "is a folder, not a file", "/dev/null": "is no regular file"}


@pytest.mark.parametrize("path", FOLDERS, ids=lambda path: repr(path)[1:20])
def test_folders_that_cannot_be_filled(place: Path, path: str) -> None:
    for refuse in (output_folder, lambda out: staged(out).__enter__()):
        with pytest.raises(ConfigError) as caught:
            refuse(Path(path))
        sentence = str(caught.value)
        assert sentence.startswith("the output folder ")
        assert FOLDERS[path] in sentence
        assert sentence.endswith("; name another with --out")
    assert sorted(os.listdir()) == ["dangling", "file", "folder"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: repr(path)[1:20])
def test_files_that_cannot_be_written(place: Path, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        output_file(Path(path))
    assert FILES[path] in str(caught.value)
    assert sorted(os.listdir()) == ["dangling", "file", "folder"]


def test_an_output_folder_leaves_room_for_the_names_within(place: Path) -> None:
    with pytest.raises(ConfigError, match="is too long"):
        output_folder(Path("/".join(["n" * 200] * 18)))


def test_what_may_not_be_written_to(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As root, every folder may be: what the system says is put in its mouth.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ConfigError, match="folder cannot be made: it may not be written to"):
        output_folder(place / "folder")
    with pytest.raises(ConfigError, match=f"lies below {place}/folder, which may not be written to"):
        output_folder(place / "folder" / "a" / "b")
    with pytest.raises(ConfigError, match="may not be written to"):
        output_file(place / "folder" / "a.html")


def test_what_can_be_written_is_given_back(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(place))
    assert output_folder(Path("~/new/a")) == place / "new" / "a"
    assert output_file(Path("~/file")) == place / "file"
    assert output_folder(place / "folder") == place / "folder"
    assert not (place / "new").exists()


def test_long_paths_are_shown_by_both_ends() -> None:
    assert shown("a/b") == "a/b"
    assert shown("a" * 300 + "z") == "a" * 100 + "..." + "a" * 99 + "z"
