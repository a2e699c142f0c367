"""Which output is which class, where nobody wrote it down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fruitaudit.audit.opening import open_splits
from fruitaudit.config.schema import Config
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.splits import open_split
from fruitaudit.errors import ConfigError, DataError
from fruitaudit.inputs.classes import Classes, Wiring, class_list, settled
from fruitaudit.runtime.streams import Streams

K = 12
BY_NUMBER = tuple(str(k) for k in range(K))
BY_NAME = tuple(sorted(BY_NUMBER))


class Grey:
    """Tells K greys apart; output j stands for the grey order[j]."""

    def __init__(self, order: tuple[str, ...]) -> None:
        self.greys = np.array([int(name) * 20 / 255 for name in order])

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        return np.exp(-100 * abs(values.mean(axis=(1, 2, 3))[:, None] - self.greys))


def config_of(path: Path, role: str = "test") -> Config:
    split = {"name": "test", "path": path, "role": role}
    return Config.model_validate({"model": {"path": "m.keras"}, "splits": [split]})


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for k in range(K):
        (tmp_path / "test" / str(k)).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (4, 4), (20 * k,) * 3).save(tmp_path / "test" / str(k) / f"{i}.png")
    return tmp_path / "test"


def outcome(config: Config, model: Grey) -> Classes:
    classes, prepared = class_list(config), Preprocessor(4, 4, 3, "stretch", "nearest", "0-1")
    wirings = [Wiring(open_split(config.splits[0], c), prepared) for c in (classes, classes.turned)]
    return settled(classes, tuple(wirings), model, Streams(1))  # type: ignore[arg-type]


@pytest.mark.parametrize(("order", "how", "other"), [(BY_NUMBER, "number", 9), (BY_NAME, "name", 9)])
@pytest.mark.parametrize("suffix", ["", ".csv"])
def test_the_data_tell_whether_numbers_go_by_number_or_by_name(
    folders: Path, order: tuple[str, ...], how: str, other: int, suffix: str
) -> None:
    if suffix:
        rows = [f"test/{k}/{i}.png,{float(k)}\n" for k in range(K) for i in range(3)]
        (folders.parent / "list.csv").write_text("path,label\n" + "".join(rows), encoding="utf-8-sig")
    config = config_of(folders.parent / "list.csv" if suffix else folders)
    assert class_list(config).names == (BY_NUMBER if suffix else BY_NAME)
    classes = outcome(config, Grey(order))
    assert classes.names == order
    assert classes.source == (
        f"the labels of test split test, sorted by {how}: so 36 of 36 images of test are right, else 6"
    )


def test_the_field_and_a_model_that_knows_nothing_leave_it_a_guess(folders: Path) -> None:
    field = outcome(config_of(folders, "field"), Grey(BY_NUMBER))
    assert field.names == BY_NAME
    assert "sorted by name, which is a guess: sorted by number they would be wired otherwise" in field.source
    assert "which is a guess" in outcome(config_of(folders), Grey(("0",) * K)).source


def test_splits_that_spell_a_class_otherwise_add_none(tmp_path: Path) -> None:
    for split, names in {"a": ("Pêche", "pear", "fig"), "b": ("Pe\u0302che", "Pear")}.items():
        for name in names:
            (tmp_path / split / name).mkdir(parents=True)
    splits = [{"name": name, "path": tmp_path / name, "role": "reference"} for name in "ab"]
    config = Config.model_validate({"model": {"path": "m.keras"}, "splits": splits})
    assert class_list(config).names == tuple(sorted(("Pêche", "pear", "fig")))


def test_a_file_whose_names_occur_twice(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("crane\nash\ncrane\n")
    config = config_of(tmp_path)
    classes = class_list(
        config.model_copy(update={"model": config.model.model_copy(update={"classes": tmp_path / "labels.txt"})})
    )
    assert classes.names == ("crane (0)", "ash", "crane (2)")
    assert classes.source == (
        "model.classes (labels.txt), 1 names that occur more than once told apart by the number of their output"
    )


def mapped(folders: Path, class_map: dict[str, str | None], classes: list[str] | None = None) -> Config:
    config = config_of(folders).model_dump()
    return Config.model_validate({**config, "class_map": class_map, "model": {"path": "m", "classes": classes}})


def test_mapped_labels_are_no_classes_of_their_own(folders: Path) -> None:
    config = mapped(folders, {"10": None, "11": "1", "9": "9"})
    classes = class_list(config)
    assert classes.names == tuple(map(str, range(10)))
    (split,) = open_splits(config, classes)
    assert np.bincount([s.label for s in split.samples]).tolist() == [3, 6, *[3] * 8]
    assert split.left_out == {"10": 3}


@pytest.mark.parametrize(
    ("class_map", "sentence"),
    [
        ({"0": "ahs"}, "class_map: '0' leads to 'ahs', which is no class of the model; did you mean ash?"),
        ({"0": "ash", "eleven": None}, "class_map: 'eleven' is no label of the splits; known are 0, 1, 10"),
    ],
)
def test_a_map_from_nothing_or_to_nothing(folders: Path, class_map: dict[str, str | None], sentence: str) -> None:
    config = mapped(folders, class_map, ["ash", *map(str, range(1, K))])
    with pytest.raises(ConfigError) as caught:
        open_splits(config, class_list(config))
    assert str(caught.value).startswith(sentence)


def test_a_manifest_of_a_windows_machine_is_told_so_and_not_of_a_class_map(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text("path,label\nfolder\\1.png,ash\n")
    with pytest.raises(DataError, match=r"none of the 1 files .* write its path with / instead of"):
        class_list(config_of(tmp_path / "test.csv"))
