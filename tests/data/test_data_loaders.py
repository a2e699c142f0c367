"""Each loader against the library it is named after: the same pixels, before anything is rounded."""

from __future__ import annotations

import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from fruitaudit.config.loaders import LOADERS, WHITE, Resize, loader_of, overrides
from fruitaudit.config.schema import PreprocessingSettings
from fruitaudit.data import decode as d
from fruitaudit.data.decode import decode
from fruitaudit.data.decoders import DIFFERENCES, other_decoder
from fruitaudit.data.preprocess import Preprocessor, ways_to_fit
from fruitaudit.data.splits import Split
from fruitaudit.records.data import ByteArray, FloatArray, Sample

ROOT = Path(__file__).resolve().parents[2]
SIZES = [(37, 53), (64, 64), (150, 91), (7, 5), (1, 3)]
TARGETS = [(64, 64), (31, 17), (20, 33), (1, 1), (80, 11)]
CLOSE = 1e-3
"""Of the grey levels 0 to 255."""


def noise(height: int, width: int) -> ByteArray:
    return np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


def fit(loader: str, target: tuple[int, int], channels: int = 3, **more: Any) -> Preprocessor:
    preset = LOADERS[loader]
    resize, how = more.pop("resize", preset.resize), more.pop("interpolation", preset.interpolation)
    return Preprocessor(*target, channels, resize, how, "0-255", loader=replace(preset, **more))


def assert_close(ours: FloatArray | ByteArray, theirs: Any) -> None:
    assert ours.shape == theirs.shape
    assert np.abs(ours.astype(np.float64) - np.asarray(theirs, np.float64)).max() < CLOSE


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("method", LOADERS["tf.image.resize"].interpolations)
def test_tf_image_resize(method: str, antialias: bool) -> None:
    import tensorflow as tf

    for size in SIZES:
        for target in (*TARGETS, size):
            expected = tf.image.resize(noise(*size), target, method=method, antialias=antialias)
            fitted = fit("tf.image.resize", target, interpolation=method, antialias=antialias).fitted(noise(*size))
            assert fitted.dtype == np.float32
            assert_close(fitted, expected)


def test_antialias_matters() -> None:
    sharp, smooth = (fit("tf.image.resize", (8, 8), antialias=a).fitted(noise(64, 64)) for a in (False, True))
    assert np.abs(sharp - smooth).mean() > 20


@pytest.mark.parametrize(("resize", "method"), [
    (resize, method) for resize in get_args(Resize) for method in LOADERS["image_dataset_from_directory"].interpolations
    if resize != "center_crop" or method not in ("gaussian", "mitchellcubic")
])  # fmt: skip
def test_image_dataset_from_directory(resize: str, method: str, tmp_path: Path) -> None:
    """As Keras itself reads PNGs of odd sizes."""
    import keras

    (tmp_path / "a").mkdir()
    for i, size in enumerate(SIZES):
        Image.fromarray(noise(*size)).save(tmp_path / "a" / f"{i}.png")
    for target in ((48, 48), (33, 20)):
        dataset = keras.utils.image_dataset_from_directory(
            tmp_path, label_mode=None, image_size=target, shuffle=False, batch_size=len(SIZES), interpolation=method,
            crop_to_aspect_ratio=resize == "center_crop", pad_to_aspect_ratio=resize == "pad", verbose=False,
        )  # fmt: skip
        expected = next(iter(dataset)).numpy()
        fitter = fit("image_dataset_from_directory", target, resize=resize, interpolation=method)
        for size, one in zip(SIZES, expected, strict=True):
            assert_close(fitter.fitted(noise(*size)), one)


def test_the_box_of_keras_at_any_size() -> None:
    """The boxes of crop and pad are of float32 numbers: an image whose pixels say where they are, 200 sizes."""
    import tensorflow as tf
    from keras.preprocessing.image import smart_resize

    rng = np.random.default_rng(0)
    for _ in range(200):
        size, target = rng.integers(2, 300, 2), rng.integers(2, 60, 2)
        rows, columns = np.indices(size) % 251
        pixels = np.stack([rows, columns, np.full(size, 255)], axis=2).astype(np.uint8)
        crop = fit("image_dataset_from_directory", tuple(target), resize="center_crop", interpolation="nearest")
        tensor = tf.cast(pixels, tf.float32)
        assert_close(crop.fitted(pixels), smart_resize(tensor, tuple(target), "nearest"))
        if (np.array(size) / max(size / target) >= 1).all():
            pad = fit("image_dataset_from_directory", tuple(target), resize="pad", interpolation="nearest")
            assert_close(pad.fitted(pixels), tf.image.resize_with_pad(tensor, *target, method="nearest"))


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("method", LOADERS["load_img"].interpolations)
def test_load_img(method: str, channels: int, keep: bool, tmp_path: Path) -> None:
    import keras

    for size in SIZES[:4]:
        Image.fromarray(noise(*size)).save(tmp_path / "x.png")
        for target in TARGETS:
            if keep and not (size[1] * target[0] // target[1] and size[0] * target[1] // target[0]):
                continue  # Pillow refuses an empty box
            expected = keras.utils.load_img(
                tmp_path / "x.png", target_size=target, interpolation=method, keep_aspect_ratio=keep,
                color_mode="rgb" if channels == 3 else "grayscale",
            )  # fmt: skip
            fitter = fit(
                "load_img", target, channels, interpolation=method, resize="center_crop" if keep else "stretch"
            )
            fitted = fitter.fitted(decode((tmp_path / "x.png").read_bytes()).pixels)
            np.testing.assert_array_equal(fitted, np.asarray(expected).reshape(fitted.shape))


@pytest.mark.parametrize("method", ["bilinear", "lanczos"])
def test_pillow_pads_as_image_ops_does(method: str) -> None:
    for size in SIZES:
        for target in TARGETS:
            if min(round(size[0] / size[1] * target[1]), round(size[1] / size[0] * target[0])) == 0:
                continue  # it leaves nothing of the picture, where we leave a line
            how = getattr(Image.Resampling, method.upper())
            expected = ImageOps.pad(Image.fromarray(noise(*size)), target[::-1], how, color="white")
            fitter = fit("load_img", target, interpolation=method, resize="pad", padding=WHITE)
            np.testing.assert_array_equal(fitter.fitted(noise(*size)), np.asarray(expected))


@pytest.mark.parametrize(("method", "flag"), [("nearest", cv2.INTER_NEAREST), ("bilinear", cv2.INTER_LINEAR),
                                              ("bicubic", cv2.INTER_CUBIC), ("area", cv2.INTER_AREA),
                                              ("lanczos", cv2.INTER_LANCZOS4)])  # fmt: skip
def test_opencv(method: str, flag: int) -> None:
    for size in SIZES:
        for target in TARGETS:
            for rounding, kind in (("nearest", np.uint8), ("none", np.float32)):
                pixels = noise(*size).astype(kind)
                expected = cv2.resize(pixels, target[::-1], interpolation=flag)
                fitted = fit("opencv", target, interpolation=method, rounding=rounding).fitted(noise(*size))
                assert fitted.dtype == kind
                np.testing.assert_array_equal(fitted, expected)


def test_nearest_is_the_centre_of_the_cell_but_with_opencv_the_corner() -> None:
    row = np.repeat(np.arange(40, dtype=np.uint8)[None, :, None], 3, 2)
    by_loader = {name: fit(name, (1, 10), resize="stretch", interpolation="nearest").fitted(row)[0, :, 0].tolist()
                 for name in LOADERS}  # fmt: skip
    corner = by_loader.pop("opencv")
    assert corner == list(range(0, 40, 4))
    assert all(columns == list(range(2, 40, 4)) for columns in by_loader.values())


def test_rounding_overrides_what_tensorflow_leaves() -> None:
    exact, rounded, cut = (fit("tf.image.resize", (25, 25), interpolation="bicubic", rounding=r).fitted(noise(9, 9))
                           for r in ("none", "nearest", "floor"))  # fmt: skip
    assert exact.min() < 0
    assert exact.max() > 255
    np.testing.assert_array_equal(rounded, np.clip(np.rint(exact), 0, 255).astype(np.uint8))
    np.testing.assert_array_equal(cut, np.clip(np.floor(exact), 0, 255).astype(np.uint8))
    assert rounded.dtype == np.uint8
    shown = fit("tf.image.resize", (25, 25), interpolation="bicubic").resized(noise(9, 9))
    np.testing.assert_array_equal(shown, rounded)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("resize", get_args(Resize))
def test_padding_is_never_part_of_the_object(loader: str, resize: str) -> None:
    mask = np.full((30, 10, 3), 255, np.uint8)
    fitter = fit(loader, (20, 20), resize=resize, padding=WHITE)
    columns = fitter.fitted_mask(mask).all(axis=0)
    narrow = columns.sum() in (6, 7) and columns[7:12].all()
    assert narrow if resize == "pad" else columns.all()


def file_of(array: ByteArray, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x112] = 6
    return file_of(noise(8, 12), "PNG", exif=exif)


def transparent() -> bytes:
    return file_of(np.dstack([noise(8, 12), noise(8, 12)[..., 0]]), "PNG")


@pytest.mark.parametrize("data", [turned(), transparent()], ids=["turned", "transparent"])
def test_each_decoder_does_the_same_with_orientation_and_transparency(data: bytes, tmp_path: Path) -> None:
    import keras
    import tensorflow as tf

    (tmp_path / "x.png").write_bytes(data)
    with_opencv = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    with_keras = np.asarray(keras.utils.load_img(tmp_path / "x.png"))
    expected = {
        "image_dataset_from_directory": tf.io.decode_image(data, channels=3).numpy(),
        "tf.image.resize": tf.io.decode_image(data, channels=3).numpy(),
        "load_img": with_keras,
        "torchvision": with_keras,  # its pil_loader converts to RGB and no more
        "opencv": with_opencv,
    }
    assert {*expected, "fruitaudit"} == set(LOADERS)
    for loader, pixels in expected.items():
        np.testing.assert_array_equal(fit(loader, (8, 8)).decoded(data).pixels, pixels)


def test_orientation_and_transparency_may_be_overridden_and_are_said() -> None:
    upright, ignored = (fit("load_img", (8, 8), exif=exif).decoded(turned()) for exif in ("upright", "ignored"))
    assert (upright.pixels.shape, upright.conversions) == ((12, 8, 3), (d.ORIENTED,))
    assert (ignored.pixels.shape, ignored.conversions) == ((8, 12, 3), (d.NOT_ORIENTED,))
    solid, alpha = noise(8, 12).astype(float), noise(8, 12)[..., :1] / 255
    for name, colour, note in (("white", 255, d.ON_WHITE), ("black", 0, d.ON_BLACK)):
        laid = fit("fruitaudit", (8, 8), alpha=name).decoded(transparent())
        assert np.abs(laid.pixels - (solid * alpha + colour * (1 - alpha))).max() < 1.01
        assert laid.conversions == (note,)
    assert fit("fruitaudit", (8, 8), alpha="dropped").decoded(transparent()).conversions == (d.ALPHA_DROPPED,)


def test_ways_to_fit_are_every_loader_in_every_shape() -> None:
    ways = list(ways_to_fit(fit("opencv", (8, 8)), PreprocessingSettings()))
    assert len(ways) == len(LOADERS) * 3
    assert len({way.fitted(noise(41, 67)).tobytes() for way in ways}) == len(ways)
    assert {(way.loader.name, way.resize) for way in ways} == {(n, r) for n in LOADERS for r in get_args(Resize)}


def test_ways_to_fit_keep_what_is_written() -> None:
    def tried(**written: Any) -> list[Preprocessor]:
        return list(ways_to_fit(fit("opencv", (8, 8)), PreprocessingSettings(**written)))

    assert {way.loader.padding for way in tried(padding="white")} == {WHITE}
    assert {way.loader.exif for way in tried(exif="ignored")} == {"ignored"}
    assert [(w.loader.name, w.resize) for w in tried(shorter_side=9, loader="torchvision")] == [
        ("torchvision", "center_crop")
    ]
    assert {way.loader.name for way in tried(interpolation="area")} == {
        "fruitaudit", "image_dataset_from_directory", "opencv"
    }  # fmt: skip


def test_overrides_make_the_loader_again() -> None:
    for way in ways_to_fit(fit("opencv", (8, 8)), PreprocessingSettings(padding=(1, 2, 3), alpha="black")):
        keys = {"loader": way.loader.name, "resize": way.resize, "interpolation": way.interpolation}
        assert loader_of(PreprocessingSettings(**keys, **overrides(way.loader))) == way.loader


def split_of(*names: str) -> Split:
    return Split("s", "test", "", tuple(Sample(f"s/{n}", 0, Path(n)) for n in names), (), len(names))


def test_other_jpeg_pixels_are_said_where_jpegs_are_read() -> None:
    keras, png, jpeg = LOADERS["image_dataset_from_directory"], split_of("x.bmp", "a.png"), split_of("b.JPG")
    assert other_decoder(keras, 3, [png, jpeg]) == (
        "loader image_dataset_from_directory: TensorFlow gets other pixels of JPEGs than Pillow, which reads them "
        "here; on photographs by 1 of 255 levels on average, by 17 at most."
    )
    assert "OpenCV gets other grey pixels of JPEGs" in other_decoder(LOADERS["opencv"], 1, [jpeg])
    assert not any((other_decoder(keras, 3, [png]), other_decoder(LOADERS["load_img"], 1, [jpeg]),
                    other_decoder(LOADERS["opencv"], 3, [jpeg])))  # fmt: skip


def test_the_differences_are_those_that_were_measured() -> None:
    text = (ROOT / "benchmarks" / "decoders.md").read_text()
    rows = re.findall(r"^\| (TensorFlow|OpenCV)(, grey)? \| ([\d.]+) \| (\d+) \|", text, re.M)
    measured = {(name, 1 if grey else 3): (float(mean), int(largest)) for name, grey, mean, largest in rows}
    assert measured == {key: value for key, value in DIFFERENCES.items() if key[0] != "Pillow"}


def test_the_decoders_on_photographs(market: Path) -> None:
    import tensorflow as tf

    photos = sorted((market / "photos").rglob("*.jpg"))[::40]
    apart = []
    for photo in photos:
        data = photo.read_bytes()
        ours = decode(data).pixels.astype(int)
        np.testing.assert_array_equal(cv2.imread(str(photo))[..., ::-1], ours)
        np.testing.assert_array_equal(tf.io.decode_jpeg(data, 3, dct_method="INTEGER_ACCURATE"), ours)
        apart.append(np.abs(tf.io.decode_image(data, channels=3).numpy() - ours))
    mean, largest = DIFFERENCES["TensorFlow", 3]
    assert np.mean([a.mean() for a in apart]) == pytest.approx(mean, abs=0.15)
    assert 5 < max(a.max() for a in apart) <= largest


def test_photographs_are_fitted_as_keras_fits_them(market: Path, store16: Path) -> None:
    """The same decoded array, resized as `image_dataset_from_directory` and `load_img` do."""
    import keras
    import tensorflow as tf

    photos = [*sorted((market / "photos").rglob("*.jpg"))[::100], *sorted((store16 / "store").rglob("*.jpg"))[::60]]
    for photo in photos:
        pixels = decode(photo.read_bytes()).pixels
        expected = tf.image.resize(pixels, (100, 100))
        assert_close(fit("image_dataset_from_directory", (100, 100)).fitted(pixels), expected)
        expected = tf.image.resize(pixels, (100, 100), antialias=True)
        assert_close(fit("tf.image.resize", (100, 100), antialias=True).fitted(pixels), expected)
        expected = keras.utils.load_img(photo, target_size=(100, 100))
        np.testing.assert_array_equal(fit("load_img", (100, 100)).fitted(pixels), np.asarray(expected))
