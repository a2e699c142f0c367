"""Every colour case and every kind of bad file, made on the spot."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import tracemalloc
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from fruitaudit.data import decode as d
from fruitaudit.data.decode import BadImage, Decoded, decode

RNG = np.random.default_rng(1)
NOISE = RNG.integers(0, 256, (7, 5, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats_give_the_pixels(kind: str) -> None:
    options = {"lossless": True, "quality": 100} if kind == "WEBP" else {}
    decoded = decode(encoded(Image.fromarray(NOISE), kind, **options))
    np.testing.assert_array_equal(decoded.pixels, NOISE)
    assert decoded.conversions == ()
    assert decoded.pixels.dtype == np.uint8


def test_jpeg() -> None:
    flat = np.full((16, 16, 3), (200, 30, 90), np.uint8)
    decoded = decode(encoded(Image.fromarray(flat), "JPEG", quality=95, subsampling=0))
    assert np.abs(decoded.pixels.astype(int) - flat).max() <= 2
    assert decoded.conversions == ()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied_once(orientation: int, kind: str) -> None:
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = (255, 0, 0)  # red top left
    undo = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270}  # fmt: skip
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(undo[orientation])
    if kind == "TIFF":
        tags = ImageFileDirectory_v2()
        tags[274] = orientation
        data = encoded(stored, kind, tiffinfo=tags)
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "JPEG" else {}
        data = encoded(stored, kind, exif=exif, **options)
    decoded = decode(data)
    assert decoded.pixels.shape == upright.shape
    assert np.abs(decoded.pixels.astype(int) - upright).mean() < 3
    if kind != "TIFF":  # Pillow turns a TIFF itself
        assert (d.ORIENTED in decoded.conversions) == (orientation > 1)


def test_grey() -> None:
    grey = NOISE[:, :, 0]
    decoded = decode(encoded(Image.fromarray(grey)))
    np.testing.assert_array_equal(decoded.pixels, np.repeat(grey[:, :, None], 3, 2))
    assert decoded.conversions == (d.GREY,)


def test_one_bit() -> None:
    decoded = decode(encoded(Image.fromarray(NOISE[:, :, 0] > 128)))
    np.testing.assert_array_equal(decoded.pixels[:, :, 1], np.where(NOISE[:, :, 0] > 128, 255, 0))


def test_transparency_is_laid_on_white() -> None:
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0] = [(10, 20, 30, 255), (10, 20, 30, 0), (0, 0, 0, 51)]
    decoded = decode(encoded(Image.fromarray(rgba)))
    assert decoded.pixels[0].tolist() == [[10, 20, 30], [255, 255, 255], [204, 204, 204]]
    assert decoded.conversions == (d.ON_WHITE,)


def test_an_alpha_channel_that_hides_nothing_is_not_mentioned() -> None:
    rgba = np.dstack([NOISE, np.full(NOISE.shape[:2], 255, np.uint8)])
    decoded = decode(encoded(Image.fromarray(rgba)))
    np.testing.assert_array_equal(decoded.pixels, NOISE)
    assert decoded.conversions == ()


def test_grey_with_alpha() -> None:
    la = np.array([[(100, 255), (100, 0)]], np.uint8)
    decoded = decode(encoded(Image.fromarray(la, "LA")))
    assert decoded.pixels[0].tolist() == [[100] * 3, [255] * 3]
    assert decoded.conversions == (d.GREY, d.ON_WHITE)


@pytest.mark.parametrize("transparent", [False, True])
def test_palette(transparent: bool) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    decoded = decode(encoded(image, transparency=1) if transparent else encoded(image))
    assert decoded.pixels[0].tolist() == [[255, 0, 0], [255, 255, 255] if transparent else [0, 0, 255]]
    assert decoded.conversions == ((d.PALETTE, d.ON_WHITE) if transparent else (d.PALETTE,))


def test_one_transparent_colour_in_rgb() -> None:
    image = Image.fromarray(np.array([[(1, 2, 3), (9, 9, 9)]], np.uint8))
    decoded = decode(encoded(image, transparency=(1, 2, 3)))
    assert decoded.pixels[0].tolist() == [[255, 255, 255], [9, 9, 9]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    deep = np.array([[0, 255, 257, 128 * 257, 40_000, 65_535]], np.uint16)
    decoded = decode(encoded(Image.fromarray(deep), kind))
    assert decoded.pixels[0, :, 0].tolist() == [0, 1, 1, 128, 156, 255]
    assert decoded.conversions == (d.SIXTEEN_BIT, d.GREY)


def test_16_bit_colour() -> None:
    deep = (NOISE.astype(np.uint16) * 257)[:, :, ::-1]
    decoded = decode(cv2.imencode(".png", deep)[1].tobytes())
    np.testing.assert_array_equal(decoded.pixels, NOISE)
    assert decoded.conversions == (d.SIXTEEN_BIT,)


def test_pixels_without_a_known_range_are_refused() -> None:
    for array in (np.ones((2, 2), np.float32), np.full((2, 2), 70_000, np.int32)):
        with pytest.raises(BadImage, match="32 bits, whose black and white are not known"):
            decode(encoded(Image.fromarray(array), "TIFF"))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind: str) -> None:
    """Ink: full magenta and yellow is red, full black is black, none is white. Adobe stores JPEGs inverted."""
    inks = np.zeros((16, 48, 4), np.uint8)
    inks[:, :16], inks[:, 16:32] = (0, 255, 255, 0), (0, 0, 0, 255)
    data = encoded(Image.fromarray(inks, "CMYK"), kind, **({"quality": 100} if kind == "JPEG" else {}))
    assert (b"Adobe" in data) == (kind == "JPEG")
    decoded = decode(data)
    for column, colour in ((8, (255, 0, 0)), (24, (0, 0, 0)), (40, (255, 255, 255))):
        assert np.abs(decoded.pixels[8, column].astype(int) - colour).max() <= 3
    assert decoded.conversions == (d.CMYK,)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_first_frame_of_several(kind: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode(encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert decoded.pixels[0, 0].tolist() == [255, 0, 0]
    assert decoded.conversions == (d.FIRST_FRAME,)


def test_a_phone_photo_with_a_preview_is_no_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert decode(data).conversions == ()


OBJECTS = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"
HUGE = b"{'descr': '|u1', 'fortran_order': False, 'shape': (90000, 90000)}"
BAD = {
    "empty": (b"", "the file is empty"),
    "text": (b"this is not an image\n" * 20, "not a readable JPEG, PNG, WebP, BMP or TIFF image"),
    "zeros": (bytes(1000), "not a readable JPEG, PNG, WebP, BMP or TIFF image"),
    "gif": (
        encoded(Image.new("L", (3, 3)), "GIF"),
        "not a readable JPEG, PNG, WebP, BMP or TIFF image but a GIF; save its first frame as PNG",
    ),
    "photo of a phone": (b"\0\0\0\x18ftypheic" + bytes(50), "image but HEIC; save it as JPEG or PNG"),
    "bomb": (png(40_000, 40_000, 8, 2, b""), "40000 x 40000 pixels by its header, and `memory` has room for 100"),
    "big": (png(10_001, 10_000, 8, 2, b""), "too large to decode: 10001 x 10000 pixels by its header"),
    "header only": (png(10, 10, 8, 2, b"")[:33], "not a readable JPEG"),
    "no pixels": (png(0, 10, 8, 2, b""), "not a readable JPEG, PNG, WebP, BMP or TIFF image"),
    "too wide for anything": (png(2**31 - 1, 2**31 - 1, 8, 2, b""), "too large to decode: 2147483647 x "),
    "wider than a number": (png(2**31, 1, 8, 2, b""), "too large to decode"),
    "another magic": (b"\x89PNG\r\n\x1a\n" + encoded(Image.new("L", (3, 3)), "JPEG"), "not a readable"),
    "an array of objects": (b"\x93NUMPY\x01\x00v\x00" + OBJECTS.ljust(117) + b"\n" + bytes(8), "pickled objects"),
    "an array cut off": (b"\x93NUMPY\x01\x00v\x00" + HUGE.ljust(117) + b"\n" + bytes(8), "does not take the 136"),
    "an array of nothing": (b"\x93NUMPY", "the header of the array is damaged"),
    "no rows": (png(10, 10, 8, 2, b""), "cannot be decoded"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_files_say_why(case: str) -> None:
    data, reason = BAD[case]
    with pytest.raises(BadImage) as caught:
        decode(data)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_truncated_files_are_bad(kind: str, share: float) -> None:
    data = encoded(Image.fromarray(RNG.integers(0, 256, (64, 64, 3), dtype=np.uint8)), kind)
    with pytest.raises(BadImage):
        decode(data[: int(share * len(data))])


def test_a_bomb_costs_no_memory() -> None:
    tracemalloc.start()
    with pytest.raises(BadImage):
        decode(BAD["bomb"][0])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


def test_no_warning_is_ever_printed() -> None:
    """In a process of its own, because pytest catches warnings: a large image, a broken one, odd transparency."""
    script = (
        "import sys; from fruitaudit.data.decode import decode, BadImage\n"
        "for data in eval(sys.stdin.read()):\n"
        "    try: decode(data)\n"
        "    except BadImage: pass\n"
    )
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    exif = encoded(Image.new("RGB", (8, 8)), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    tiff = encoded(Image.fromarray(NOISE), "TIFF")
    cases = [encoded(palette, transparency=b"\x00\xff"), exif, tiff[:-20], BAD["big"][0], BAD["text"][0]]
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", script], input=repr(cases), capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_unreadable_exif_is_said() -> None:
    data = encoded(Image.fromarray(NOISE), "PNG", exif=b"Exif\0\0nonsense")
    decoded = decode(data)
    np.testing.assert_array_equal(decoded.pixels, NOISE)
    assert decoded.conversions in ((), (d.NO_EXIF,))


def row(array: np.ndarray) -> Decoded:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return decode(buffer.getvalue())


def test_rows_of_an_npz() -> None:
    np.testing.assert_array_equal(row(NOISE).pixels, NOISE)
    assert row(NOISE[:, :, :1]).conversions == (d.GREY,)
    floats = row(np.array([[0, 0.5, 1]]))
    assert floats.pixels[0, :, 0].tolist() == [0, 128, 255]
    assert floats.conversions == (d.FROM_FLOAT, d.GREY)
    assert row(np.array([[0, 7, 255]], np.int64)).pixels[0, :, 0].tolist() == [0, 7, 255]
    assert row(np.array([[False, True]])).pixels[0, :, 0].tolist() == [0, 255]
    assert row(np.array([[(0, 0, 0, 0)]], np.uint8)).pixels.tolist() == [[[255, 255, 255]]]


@pytest.mark.parametrize("values", [[[0.0, 17.0]], [[-1.0, 0.0]], [[np.nan, 0.0]]])
def test_float_rows_outside_0_to_1_are_bad(values: list) -> None:
    with pytest.raises(BadImage, match=r"floats must lie in 0\.\.1"):
        row(np.array(values))


def test_libtiff_says_nothing_beside_the_reason(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(encoded(Image.fromarray(np.tile(NOISE, (4, 4, 1))), "TIFF", compression="tiff_lzw"))
    data[200:260] = b"\xff" * 60
    with pytest.raises(d.BadImage):
        decode(bytes(data))
    assert capfd.readouterr().err == ""


def test_a_photograph_of_108_megapixels_is_decoded_where_memory_allows() -> None:
    data = encoded(Image.new("L", (12_000, 9_000), 7))
    with pytest.raises(d.BadImage, match=r"12000 x 9000 pixels by its header, and `memory` has room for 31 million"):
        decode(data, d.max_pixels_in(10**9))
    assert decode(data, d.max_pixels_in(5 * 10**9)).pixels.shape == (9_000, 12_000, 3)
