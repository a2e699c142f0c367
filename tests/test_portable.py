"""Nothing of the machine stands in what is mailed or compared: the same case elsewhere gives the same results."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from fruitaudit.cli import main
from fruitaudit.config.load import config_hash, load_config
from fruitaudit.config.paths import portable_command
from fruitaudit.config.schema import SplitSettings
from fruitaudit.data.manifest import list_manifest
from fruitaudit.report.markdown import escape
from fruitaudit.runtime.text import first_line, harmless, without_folders

SETTINGS = ["methods=[saliency, {cem: {autoencoder: digits_cnn.keras}}]", "max_images=2", "trust=off", "diagnosis=off"]


def case(digits: Path, folder: Path) -> Path:
    """The digits, a few of each split: one file is damaged, and the field is a manifest of absolute paths."""
    shutil.copy(digits / "digits_cnn.keras", folder)
    rows = ["path,label"]
    for name in ("lab/train", "lab/test", "field"):
        for photo in sorted((digits / name).glob("*/*.png"))[::9]:
            copy = folder / photo.relative_to(digits)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(photo, copy)
            if name == "field":
                rows.append(f"{copy},{photo.parent.name}")
    (folder / "field.csv").write_text("\n".join([*rows, f"{folder}/absent/1.png,digit 3"]))
    text = (digits / "fruitaudit.yaml").read_text()
    field = "path: field, role: field, originals: field_originals"
    assert field in text
    config = folder / "fruitaudit.yaml"
    config.write_text(text.replace(field, "path: field.csv, role: field"))
    return config


def test_the_same_case_elsewhere_gives_equal_results_and_no_path(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / "of-joe", tmp_path / "of-ann" / "deeper"]
    for folder in folders:
        folder.mkdir(parents=True)
        config = case(digits, folder)
        overrides = [word for key in SETTINGS for word in ("--set", key.replace("digits_cnn", f"{folder}/digits_cnn"))]
        monkeypatch.setattr(sys, "argv", ["fruitaudit", "evaluate", str(config), "--quiet", *overrides])
        monkeypatch.chdir(folder)
        with pytest.raises(SystemExit):
            main()
    one, other = ({p.relative_to(f): p.read_bytes() for p in f.glob("report/**/*") if p.is_file()} for f in folders)
    one, other = ({name: data for name, data in files.items() if ".cache" not in name.parts} for files in (one, other))
    assert one.keys() == other.keys()
    differing = {p.name for p in one if one[p] != other[p]}
    # Times and the date.
    assert differing <= {"run.json", "report.html"}
    for content in one.values():
        assert b"of-joe" not in content
        assert str(tmp_path).encode() not in content
    again = load_config(folders[0] / "report" / "config.yaml").config
    assert again.splits[0].path == folders[0] / "lab/train"
    assert again.out == folders[0] / "report"


def test_the_hash_of_a_config_is_that_of_its_settings(digits: Path, tmp_path: Path) -> None:
    here = load_config(digits / "fruitaudit.yaml").config
    shutil.copytree(digits, tmp_path / "copy")
    there = load_config(tmp_path / "copy" / "fruitaudit.yaml").config
    assert config_hash(here) == config_hash(there)
    assert config_hash(here) != config_hash(load_config(digits / "fruitaudit.yaml", overrides=["seed=4"]).config)


def test_a_command_names_its_files_as_seen_from_where_it_was_given(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["fruitaudit", "evaluate", f"{tmp_path}/a b.yaml", "--data", f"test={tmp_path.parent}/x", "--set=seed=3",
             f"methods=[{{cem: {{autoencoder: {tmp_path}/ae.keras}}}}, 1/2]"]  # fmt: skip
    assert portable_command(words) == "fruitaudit evaluate 'a b.yaml' --data test=../x --set=seed=3 " + (
        "'methods=[{cem: {autoencoder: ae.keras}}, 1/2]'"
    )


def test_rows_of_a_manifest_are_named_without_the_way_to_them(tmp_path: Path) -> None:
    for name in ("photos/a/1.png", "photos/b/1.png", "lists/own.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    table = tmp_path / "lists" / "table.csv"

    def names(*paths: object) -> list[str]:
        table.write_text("path,label\n" + "\n".join(f"{path},x" for path in paths))
        return [entry.name for entry in list_manifest(SplitSettings(name="s", path=table, role="field")).entries]

    assert names(tmp_path / "photos/a/1.png", tmp_path / "photos/b/1.png") == ["a/1.png", "b/1.png"]
    assert names(tmp_path / "photos/a/1.png") == ["1.png"]
    assert names(tmp_path / "lists/own.png", "../photos/a/1.png") == ["own.png", "photos/a/1.png"]


def test_what_a_library_says_loses_the_folders_of_its_paths() -> None:
    assert without_folders("No such file: '/home/me/x y/model.keras'") == "No such file: 'x y/model.keras'"
    assert without_folders("in /usr/lib/python3/site-packages/keras/ops.py, line 3") == "in ops.py, line 3"
    assert without_folders(r"C:\Users\me\a.png and ~/b/c.png") == "a.png and c.png"
    assert without_folders("either/or, 3/4, a / b, http://x.y/z and and/or") == (
        "either/or, 3/4, a / b, http://x.y/z and and/or"
    )
    assert first_line(OSError("cannot open /a/b/c.so\nmore")) == "OSError: cannot open c.so"


STEERING = "a\x1b[31mred\x07 \u202egnp.exe\u2066 \x9b2J"


def test_text_that_steers_is_made_harmless() -> None:
    assert harmless(STEERING) == "a\ufffd[31mred\ufffd \ufffdgnp.exe\ufffd \ufffd2J"
    for innocent in ("\u0645\u06cc\u200c\u0634\u0648\u062f", "👩\u200d🍳", "two\nlines\t", "non\u00a0breaking"):
        assert harmless(innocent) == innocent


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("see https://x.example/a", "see https:|//x.example/a"),
        ("WWW.x.example", "WWW|.x.example"),
        ("me@x.example, @joe", "me&#64;|x.example, &#64;|joe"),
        ("#12 and C#", "&#35;|12 and C&#35;"),
    ],
)
def test_what_github_would_link_is_broken_by_a_space_without_width(text: str, broken: str) -> None:
    assert escape(text) == broken.replace("|", "\u200b")
