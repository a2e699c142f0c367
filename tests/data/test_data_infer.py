"""Inferred preprocessing: a model that knows one scale must be found out, and doubt must be said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fruitaudit.config.schema import PreprocessingSettings, SplitSettings
from fruitaudit.data.infer import infer_preprocessing
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.splits import Split, open_split
from fruitaudit.errors import ConfigError, DataError, ModelError
from fruitaudit.records.data import FloatArray
from fruitaudit.runtime.streams import Streams

NAMES = ("dark", "light")
OPEN = PreprocessingSettings()


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Split:
    """80 images of 8 x 8: one class darker than middle grey, the other lighter."""
    root = tmp_path_factory.mktemp("split")
    rng = np.random.default_rng(0)
    for i in range(80):
        low, high = ((60, 110), (145, 195))[i % 2]
        path = root / NAMES[i % 2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), rng.integers(low, high), np.uint8)).save(path)
    (root / "dark" / "broken.png").write_bytes(b"broken")
    return open_split(SplitSettings(name="train", path=root, role="reference"), NAMES)


def trained_on(scale: str) -> Callable[[FloatArray], FloatArray]:
    """A model that tells dark from light by the distance to what the two classes look like under its scale."""
    fit = Preprocessor(8, 8, 3, "stretch", "area", scale)
    typical = [fit(np.full((8, 8, 3), grey, np.uint8)).mean((0, 1)) for grey in (85, 170)]
    unit = float(np.abs(typical[1] - typical[0]).mean())

    def score(values: FloatArray) -> FloatArray:
        means = values.mean((1, 2))
        z = np.stack([-np.abs(means - t).mean(1) / unit * 4 for t in typical], 1)
        p = np.exp(z - z.max(1, keepdims=True))
        return (p / p.sum(1, keepdims=True)).astype(np.float32)

    return score


@pytest.mark.parametrize("scale", ["0-1", "0-255", "-1-1", "resnet50", "densenet"])
def test_the_scale_a_model_was_trained_on_is_found(split: Split, scale: str) -> None:
    preprocessor, summary = infer_preprocessing(OPEN, (8, 8, 3), split, trained_on(scale), Streams(9))
    assert preprocessor.scale == summary.scale == scale
    assert summary.inferred == ("resize", "interpolation", "scale")
    assert (summary.resize, summary.interpolation) == ("center_crop", "area")
    assert summary.evidence[2].startswith(
        f"scale {scale}: chosen by the mean log-likelihood of the true labels of 64 images"
    )
    assert "accuracy 100.0 %" in summary.evidence[2]


def test_a_model_that_cannot_tell_gets_0_1_and_the_doubt_is_said(split: Split) -> None:
    uniform = lambda values: np.full((len(values), 2), 0.5, np.float32)  # noqa: E731
    _, summary = infer_preprocessing(OPEN, (8, 8, 3), split, uniform, Streams(9))
    assert summary.scale == "0-1"
    assert "-1-1, densenet, 0-255 and resnet50 cannot be told apart from it" in summary.evidence[2]


def test_a_model_that_only_grows_surer_gets_0_1(split: Split) -> None:
    """A network without biases is right on 0-255 whenever it is right on 0-1, and surer."""

    def score(values: FloatArray) -> FloatArray:
        z = np.clip((values[..., 0].mean((1, 2)) - values[..., 0].max() / 2) * 40, -80, 80)
        return np.stack([1 / (1 + np.exp(z)), 1 / (1 + np.exp(-z))], 1).astype(np.float32)

    _, summary = infer_preprocessing(OPEN, (8, 8, 3), split, score, Streams(9))
    assert summary.scale == "0-1"


def test_probabilities_that_are_not_numbers_count_as_wrong(split: Split) -> None:
    honest = trained_on("-1-1")
    broken = lambda values: honest(values) if values.min() < -0.1 else np.full((len(values), 2), np.nan)  # noqa: E731
    assert infer_preprocessing(OPEN, (8, 8, 3), split, broken, Streams(9))[0].scale == "-1-1"


def test_what_is_written_down_is_kept_and_no_image_is_read(tmp_path: Path) -> None:
    def never(values: FloatArray) -> FloatArray:
        raise AssertionError("the model must not be asked")

    settings = PreprocessingSettings(resize="pad", interpolation="nearest", scale="0-255")
    nothing = Split("s", "reference", "", (), (), 0)
    preprocessor, summary = infer_preprocessing(settings, (8, 9, 1), nothing, never, Streams(9))
    assert preprocessor == Preprocessor(8, 9, 1, "pad", "nearest", "0-255")
    assert (summary.inferred, summary.evidence) == ((), ())


def test_the_same_seed_draws_the_same_images(split: Split) -> None:
    summaries = [infer_preprocessing(OPEN, (8, 8, 3), split, trained_on("0-1"), Streams(s))[1] for s in (1, 1, 2)]
    assert summaries[0] == summaries[1] != summaries[2]


def test_defaults_that_change_nothing_are_said_so(split: Split) -> None:
    same = infer_preprocessing(OPEN, (8, 8, 3), split, trained_on("0-1"), Streams(9))[1].evidence
    assert same[0] == ("resize center_crop: the default; it changes nothing in train, whose 64 images looked at "
                       "already measure 8 x 8.")  # fmt: skip
    aspect = infer_preprocessing(OPEN, (4, 4, 3), split, trained_on("0-1"), Streams(9))[1].evidence
    assert aspect[0].endswith("whose 64 images looked at all have the model's proportions.")
    assert aspect[1] == ("interpolation area: the default, not tried out: 64 of 64 images looked at in train differ "
                         "from the model in size.")  # fmt: skip
    other = infer_preprocessing(OPEN, (4, 8, 3), split, trained_on("0-1"), Streams(9))[1].evidence
    assert other[0].endswith("64 of 64 images looked at in train differ from the model in proportions.")


def test_size(split: Split) -> None:
    options = {"resize": "stretch", "interpolation": "area", "scale": "0-1"}
    sized = PreprocessingSettings(size=(5, 7), **options)
    assert infer_preprocessing(sized, (None, None, 3), split, trained_on("0-1"), Streams(9))[0].width == 7
    with pytest.raises(
        ConfigError, match=r"model\.preprocessing\.size: the model takes images of any size; write down"
    ):
        infer_preprocessing(PreprocessingSettings(**options), (None, None, 3), split, trained_on("0-1"), Streams(9))
    with pytest.raises(ConfigError, match="size: 5 x 7 is not what the model takes, 8 x 8; leave size out"):
        infer_preprocessing(sized, (8, 8, 3), split, trained_on("0-1"), Streams(9))
    with pytest.raises(ModelError, match="takes 4 channels"):
        infer_preprocessing(OPEN, (8, 8, 4), split, trained_on("0-1"), Streams(9))


def test_a_split_without_a_readable_image(split: Split) -> None:
    broken = tuple(s for s in split.samples if s.path.stem == "broken")
    with pytest.raises(
        DataError, match=r"no image can be read to infer the preprocessing from; train/dark/broken\.png: not a"
    ):
        infer_preprocessing(
            OPEN, (8, 8, 3), Split("train", "reference", "", broken, (), 1), trained_on("0-1"), Streams(9)
        )
