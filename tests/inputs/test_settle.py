"""How images are prepared: found where the file or the lab tells, and said to be undecided where neither does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from fruitaudit.config.schema import Normalization, PreprocessingSettings, SplitSettings
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.splits import Split, open_split
from fruitaudit.errors import ConfigError, DataError, ModelError
from fruitaudit.findings.inputs import of_preparation, sensitivity
from fruitaudit.inputs.settle import settle_preprocessing
from fruitaudit.models.memory import MemoryNeeds
from fruitaudit.records.data import FloatArray
from fruitaudit.records.inputs import Entrance, PreprocessingSummary
from fruitaudit.runtime.streams import Streams

NAMES = ("dark", "light", "red")
COLOURS = {"dark": (60, 60, 60), "light": (190, 190, 190), "red": (200, 60, 60)}
OPEN = PreprocessingSettings()
FITTED = PreprocessingSettings(resize="stretch", interpolation="area")


class Nearest:
    """Knows each class by its mean colour under one preparation, and nothing else."""

    n_classes, memory_needs = 3, MemoryNeeds(1000, 1000)

    def __init__(self, way: Preprocessor, entrance: Entrance | None = None, order: tuple[int, ...] = (0, 1, 2)) -> None:
        self.input_shape: tuple[int | None, ...] = (8, 8, 3)
        colours = [COLOURS[NAMES[i]] for i in order]
        self.typical = np.stack([way(np.full((8, 8, 3), c, np.uint8)).mean((0, 1)) for c in colours])
        self.file, self.asked = entrance, 0

    def entrance(self) -> Entrance | None:
        return self.file

    def probabilities(self, values: FloatArray) -> FloatArray:
        self.asked += len(values)
        z = -((values.mean((1, 2))[:, None] - self.typical) ** 2).sum(2) / np.ptp(self.typical) ** 2 * 20
        z[z.max(1) < -0.5] = (1, 0, 0)  # what it has never seen is dark
        p = np.exp(z - z.max(1, keepdims=True))
        return cast("FloatArray", (p / p.sum(1, keepdims=True)).astype(np.float32))


class Told(Nearest):
    """Answers by a function."""

    def __init__(self, answer: Callable[[FloatArray], Any]) -> None:
        super().__init__(Preprocessor(8, 8, 3, "stretch", "area", "0-1"))
        self.answer = answer

    def probabilities(self, values: FloatArray) -> FloatArray:
        return cast("FloatArray", self.answer(values).astype(np.float32))


def way_of(scale: str, order: str = "rgb") -> Preprocessor:
    return Preprocessor(8, 8, 3, "stretch", "area", scale, channel_order=order)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 images of 8 x 8 in three colours."""
    root = tmp_path_factory.mktemp("split")
    rng = np.random.default_rng(0)
    for i in range(120):
        name = NAMES[i % 3]
        path = root / name / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        pixels = np.clip(np.array(COLOURS[name]) + rng.normal(0, 12, (8, 8, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    (root / "dark" / "broken.png").write_bytes(b"broken")
    return root


def opened(folder: Path, role: str = "reference") -> Split:
    return open_split(SplitSettings(name="train", path=folder, role=role), NAMES)


def settle(
    model: Any, folder: Path, settings: PreprocessingSettings = OPEN, role: str = "reference"
) -> PreprocessingSummary:
    return settle_preprocessing(settings, [opened(folder, role)], model, Streams(9))[1]


WAYS = [("0-1", "rgb"), ("0-255", "rgb"), ("-1-1", "rgb"), ("resnet50", "rgb"), ("densenet", "rgb"), ("0-1", "bgr")]


@pytest.mark.parametrize(("scale", "order"), WAYS)
def test_what_a_model_was_trained_on_is_decided_by_the_data(folder: Path, scale: str, order: str) -> None:
    summary = settle(Nearest(way_of(scale, order)), folder)
    assert (summary.scale, summary.channel_order) == (scale, order)
    assert summary.source_of("scale") == "data"
    assert summary.source_of("channel_order") == "data"
    assert summary.accuracy is not None
    assert f"scale {scale}: decided by 63 images of train; right 63 of 63 with" in summary.evidence[2]
    assert not any(trial.possible for trial in summary.trials)


@pytest.mark.parametrize("scale", ["0-255", "-1-1"])
def test_photographs_of_the_field_rank_the_ways_and_decide_nothing(folder: Path, scale: str) -> None:
    summary = settle(Nearest(way_of(scale)), folder, role="field")
    assert summary.scale == scale
    assert summary.undecided == ("scale", "channel_order")
    assert "images of the field alone cannot tell a setting from a cause" in summary.evidence[2]


def test_a_model_that_cannot_tell_is_undecided(folder: Path) -> None:
    summary = settle(Told(lambda values: np.full((len(values), 3), 1 / 3)), folder, FITTED)
    assert summary.undecided == ("scale", "channel_order")
    assert len([trial for trial in summary.trials if trial.possible]) == 8
    [finding] = of_preparation(summary)
    assert (finding.slug, finding.severity) == ("preparation-undecided", "note")
    assert sensitivity(summary) == ""


def test_a_model_that_only_grows_surer_is_undecided(folder: Path) -> None:
    """Right on every scale, and surer on large numbers: likelihood decides nothing."""

    def answer(values: FloatArray) -> Any:
        mean = values.mean((1, 2))
        z = np.stack([mean[:, 0] - 2 * mean[:, 1], mean[:, 1], mean[:, 0] - mean[:, 1]], 1) * 1e-2
        p = np.exp(z - z.max(1, keepdims=True))
        return p / p.sum(1, keepdims=True)

    summary = settle(Told(answer), folder, FITTED)
    assert "scale" in summary.undecided
    assert {"0-1", "0-255"} <= {summary.scale, *(t.values.get("scale", "") for t in summary.trials if t.possible)}


def test_answers_that_are_no_numbers_are_wrong(folder: Path) -> None:
    honest = Nearest(way_of("-1-1"))
    broken = Told(lambda v: honest.probabilities(v) if v.min() < -0.1 else np.full((len(v), 3), np.nan))
    assert settle(broken, folder, FITTED).scale == "-1-1"


RESCALING = Entrance(np.eye(3) / 127.5, np.full(3, -1.0), "conv")
NORMALIZATION = Entrance(np.eye(3) / 0.25, np.full(3, -2.0), "conv")


def test_the_file_speaks_first(folder: Path) -> None:
    summary = settle(Nearest(way_of("0-255"), RESCALING), folder, FITTED)
    assert (summary.scale, summary.source_of("scale"), summary.source_of("channel_order")) == ("0-255", "file", "data")
    assert summary.file_says == (
        "The model file itself changes pixels before its first trained layer, conv: of pixels on the scale 0-255 it "
        "makes -1 to 1."
    )
    assert [finding.slug for finding in of_preparation(summary)] == ["preparation-established"]


def test_a_file_that_allows_two_scales_leaves_them_to_the_data(folder: Path) -> None:
    summary = settle(Nearest(way_of("-1-1"), NORMALIZATION), folder, FITTED)
    assert (summary.scale, summary.source_of("scale")) == ("-1-1", "data")


def test_file_against_data_is_undecided_and_loud(folder: Path) -> None:
    summary = settle(Nearest(way_of("0-1"), RESCALING), folder, FITTED)
    assert (summary.scale, summary.source_of("scale")) == ("0-255", "undecided")
    assert "the model file says so, though" in summary.evidence[0]
    [finding] = of_preparation(summary)
    assert finding.slug == "preparation-undecided"


def test_whole_numbers_are_pixels(folder: Path) -> None:
    entrance = Entrance(np.eye(3), np.zeros(3), "conv", whole_numbers=True)
    summary = settle(Nearest(way_of("0-255"), entrance), folder, FITTED)
    assert (summary.scale, summary.source_of("scale")) == ("0-255", "file")


def test_class_names_in_another_order_do_not_hide_the_scale(folder: Path) -> None:
    summary = settle(Nearest(way_of("-1-1"), order=(2, 0, 1)), folder, FITTED)
    assert (summary.scale, summary.source_of("scale")) == ("-1-1", "data")
    assert summary.tried_on == "train, class names moved to the outputs that answer them"


def test_what_is_written_is_kept_and_warned_of_where_another_way_is_surely_better(folder: Path) -> None:
    written = PreprocessingSettings(resize="stretch", interpolation="area", scale="-1-1")
    good = settle(Nearest(way_of("-1-1")), folder, written)
    assert (good.scale, good.settings, list(of_preparation(good))) == ("-1-1", (), [])
    bad = settle(Nearest(way_of("0-255")), folder, written)
    assert (bad.scale, bad.undecided) == ("-1-1", ())
    [finding] = of_preparation(bad)
    assert (finding.slug, finding.severity) == ("preparation-worse", "warning")
    assert "model.preprocessing.scale is surely worse" in finding.sentence
    own = settle(Nearest(way_of("0-1")), folder, written.model_copy(update={"scale": OWN}))
    assert own.scale.startswith("mean [0.5, 0.5, 0.5]")


OWN = Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def test_what_is_written_against_the_file_is_warned_of(folder: Path) -> None:
    written = PreprocessingSettings(resize="stretch", interpolation="area", scale="0-1")
    summary = settle(Nearest(way_of("0-1"), RESCALING), folder, written)
    assert summary.scale == "0-1"
    [finding] = of_preparation(summary)
    assert finding.slug == "preparation-against-file"


def test_a_guess_stays_one_until_something_establishes_it(folder: Path) -> None:
    guessed = PreprocessingSettings(resize="stretch", interpolation="area", scale="-1-1", guessed=("scale",))
    summary = settle(Nearest(way_of("-1-1")), folder, guessed)
    assert summary.source_of("scale") == "data"
    against = settle(Nearest(way_of("0-255")), folder, guessed)
    assert (against.scale, against.undecided) == ("-1-1", ("scale", "channel_order"))
    unknown = settle(Told(lambda values: np.full((len(values), 3), 1 / 3)), folder, guessed)
    assert "an earlier run guessed it, and nobody confirmed it" in unknown.evidence[0]


def test_the_same_seed_draws_the_same_images(folder: Path) -> None:
    model = Told(lambda values: np.random.default_rng(3).random((len(values), 3)))
    summaries = [settle_preprocessing(FITTED, [opened(folder)], cast("Any", model), Streams(s))[1] for s in (1, 1, 2)]
    assert summaries[0] == summaries[1] != summaries[2]


def test_defaults_that_change_nothing_are_said_so(folder: Path) -> None:
    model = Nearest(way_of("0-1"))
    same = settle(model, folder)
    assert (
        same.evidence[0]
        == "resize center_crop: it changes nothing, since the 79 images looked at already measure 8 x 8."
    )
    assert same.undecided == ()


def test_size(folder: Path) -> None:
    model = Nearest(way_of("0-1"))
    model.input_shape = (None, None, 3)
    sized = FITTED.model_copy(update={"size": (5, 7), "scale": "0-1"})
    assert settle(model, folder, sized).width == 7
    with pytest.raises(
        ConfigError, match=r"model\.preprocessing\.size: the model takes images of any size; write down"
    ):
        settle(model, folder, FITTED)
    model.input_shape = (8, 8, 3)
    with pytest.raises(ConfigError, match="size: 5 x 7 is not what the model takes, 8 x 8; leave size out"):
        settle(model, folder, sized)
    model.input_shape = (8, 8, 4)
    with pytest.raises(ModelError, match="takes 4 channels"):
        settle(model, folder)


def test_a_split_without_a_readable_image(folder: Path) -> None:
    split = opened(folder)
    broken = tuple(s for s in split.samples if s.path.stem == "broken")
    with pytest.raises(
        DataError, match=r"no image can be read to infer the preprocessing from; train/dark/broken\.png: not a"
    ):
        settle_preprocessing(OPEN, [replace(split, samples=broken)], cast("Any", Nearest(way_of("0-1"))), Streams(9))
