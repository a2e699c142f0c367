"""Fitting and scaling: against Keras, OpenCV and figures worked out by hand."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, roc_auc_score

from fruitaudit.config.loaders import BLACK, LOADERS, WHITE, Colour
from fruitaudit.config.scales import APPLICATIONS
from fruitaudit.config.schema import Normalization, SplitSettings
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.splits import class_names_of, open_split
from fruitaudit.data.stream import stream
from fruitaudit.errors import ConfigError, ModelError

PIXELS = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)


def make(height: int = 9, width: int = 14, channels: int = 3, **more: object) -> Preprocessor:
    return Preprocessor(
        height, width, channels, **{"resize": "stretch", "interpolation": "area", "scale": "0-1", **more}
    )


@pytest.mark.parametrize("name", APPLICATIONS)
def test_scales_equal_keras_applications(name: str) -> None:
    keras = importlib.import_module(f"keras.applications.{name}")
    expected = keras.preprocess_input(PIXELS.astype(np.float32)[None].copy())[0]
    np.testing.assert_allclose(make(scale=name)(PIXELS), expected, rtol=0, atol=1e-6)


def test_every_module_of_keras_applications_is_known() -> None:
    import keras

    names = {n for n in dir(keras.applications) if hasattr(getattr(keras.applications, n), "preprocess_input")}
    assert names - {"imagenet_utils"} == set(APPLICATIONS)


@pytest.mark.parametrize(
    ("scale", "low", "middle", "high"),
    [
        ("0-1", 0, 51 / 255, 1),
        ("0-255", 0, 51, 255),
        ("-1-1", -1, -0.6, 1),
        (Normalization(mean=(0.5,), std=(0.25,)), -2, -1.2, 2),
    ],
)
def test_scales_by_hand(scale: str | Normalization, low: float, middle: float, high: float) -> None:
    preprocessor = make(1, 1, scale=scale)
    assert preprocessor(np.full((1, 1, 3), 51, np.uint8)).ravel() == pytest.approx([middle] * 3, abs=1e-6)
    assert preprocessor.low == pytest.approx([low] * 3)
    assert preprocessor.high == pytest.approx([high] * 3)
    assert preprocessor.low.dtype == preprocessor(PIXELS).dtype == np.float32


def test_low_and_high_follow_the_swapped_channels() -> None:
    np.testing.assert_allclose(make(scale="vgg16").low, [-103.939, -116.779, -123.68], rtol=1e-6)


def test_grey_is_the_luminance_of_bt_601() -> None:
    values = make(9, 14, 1, scale="0-255")(PIXELS)
    assert values.shape == (9, 14, 1)
    np.testing.assert_allclose(values[..., 0], PIXELS @ [0.299, 0.587, 0.114], atol=0.51)
    grey = np.repeat(PIXELS[:, :, :1], 3, 2)
    np.testing.assert_array_equal(make(9, 14, 1, scale="0-255")(grey)[..., 0], grey[..., 0])


def test_images_of_the_models_size_are_left_alone() -> None:
    for resize in ("stretch", "center_crop", "pad"):
        np.testing.assert_array_equal(make(resize=resize, interpolation="lanczos").resized(PIXELS), PIXELS)


def test_center_crop_takes_the_middle() -> None:
    np.testing.assert_array_equal(make(9, 9, resize="center_crop").resized(PIXELS), PIXELS[:, 2:11])
    np.testing.assert_array_equal(make(9, 9, resize="center_crop").resized(np.swapaxes(PIXELS, 0, 1)),
                                  np.swapaxes(PIXELS, 0, 1)[2:11])  # fmt: skip
    np.testing.assert_array_equal(make(4, 14, resize="center_crop").resized(PIXELS), PIXELS[2:6])


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (10, 200, 30)])
def test_pad_is_centred_and_black_unless_said_otherwise(colour: Colour) -> None:
    more = {} if colour == BLACK else {"loader": replace(LOADERS["fruitaudit"], padding=colour)}
    padded = make(20, 14, resize="pad", **more).resized(PIXELS)
    np.testing.assert_array_equal(padded[5:14], PIXELS)
    assert (padded[:5] == colour).all()
    assert (padded[14:] == colour).all()
    grey = make(20, 14, 1, resize="pad", scale="0-255", **more)(PIXELS)
    assert grey[0, 0, 0] == pytest.approx(np.dot(colour, [0.299, 0.587, 0.114]), abs=0.51)


def test_area_averages() -> None:
    board = np.indices((8, 8)).sum(0) % 2 * 255
    pixels = np.repeat(board[..., None], 3, 2).astype(np.uint8)
    assert np.unique(make(4, 4).resized(pixels)).tolist() == [128]
    assert np.unique(make(4, 4, interpolation="nearest").resized(pixels)).tolist() == [0]


def test_interpolations_differ() -> None:
    images = {how: make(23, 5, interpolation=how).resized(PIXELS).tobytes()
            for how in ("nearest", "bilinear", "bicubic", "area", "lanczos")}  # fmt: skip
    assert len(set(images.values())) == 5


@settings(max_examples=60, deadline=None)
@given(
    source=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    target=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    resize=st.sampled_from(["stretch", "center_crop", "pad"]),
    channels=st.sampled_from([1, 3]),
)
def test_a_white_picture_stays_white_in_any_shape(
    source: tuple[int, int], target: tuple[int, int], resize: str, channels: int
) -> None:
    on_white = replace(LOADERS["fruitaudit"], padding=WHITE)
    values = make(*target, channels, resize=resize, loader=on_white)(np.full((*source, 3), 255, np.uint8))
    assert values.shape == (*target, channels)
    assert (values == 1).all()


def test_what_cannot_be_fed_is_refused() -> None:
    with pytest.raises(ModelError, match=r"takes 4 channels per image; 1 \(grey\) and 3 \(RGB\)"):
        make(channels=4)
    with pytest.raises(
        ConfigError, match=r"model\.preprocessing\.scale: vgg16 is made for 3 channels, but the model takes 1"
    ):
        make(channels=1, scale="vgg16")
    with pytest.raises(ConfigError, match="made for 2 channels"):
        make(scale=Normalization(mean=(0, 0), std=(1, 1)))


def test_store16_is_reproduced(store16: Path) -> None:
    """The independent figures of the real model on real photographs: accuracy, confusion matrix and AUC."""
    import keras

    expected = json.loads((store16 / "expected_store.json").read_text())
    where = SplitSettings(name="store", path=store16 / "store", role="field")
    split = open_split(where, class_names_of(where))
    model = keras.models.load_model(store16 / "models" / "fruit_cnn.keras", compile=False)
    batches = list(stream(split, make(100, 100, resize="center_crop"), 64))
    labels = np.array([sample.label for batch in batches for sample in batch.samples])
    probabilities = np.concatenate([model.predict_on_batch(batch.values) for batch in batches])
    assert class_names_of(where) == tuple(expected["class_names"])
    assert (probabilities.argmax(1) == labels).mean() == expected["accuracy"]
    np.testing.assert_array_equal(
        confusion_matrix(labels, probabilities.argmax(1)), expected["confusion_matrix_rows_true"]
    )
    # The softmax of the machine that made the figures underflows to 0 a little earlier than that of others, which
    # makes ties at the bottom of the ranking: 15 pairs of 6000 in two classes.
    probabilities[probabilities < 2.1e-38] = 0
    auc = [roc_auc_score(labels == k, probabilities[:, k]) for k in range(16)]
    assert auc == pytest.approx(list(expected["auc_per_class"].values()), abs=1e-6)
    assert np.mean(auc) == pytest.approx(expected["auc_macro_ovr"], abs=1e-6)


def test_the_store16_recipe_is_opencvs(store16: Path) -> None:
    """Crop, INTER_AREA and /255 as `how` says, pixel for pixel."""
    path = sorted((store16 / "store" / "Avocado").iterdir())[0]
    rgb = cv2.imread(str(path))[..., ::-1]
    height, width = rgb.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.ascontiguousarray(rgb[top : top + side, left : left + side])
    expected = cv2.resize(square, (100, 100), interpolation=cv2.INTER_AREA) / 255
    np.testing.assert_allclose(make(100, 100, resize="center_crop")(rgb), expected, atol=1e-7)
