"""The bytes of one image file -> RGB pixels, or the reason why not."""

from __future__ import annotations

import contextlib
import ctypes
import stat
import threading
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from fruitaudit.config.loaders import Alpha, Exif
from fruitaudit.data import npz
from fruitaudit.data.arrays import MAGIC, DamagedArray, read_npy
from fruitaudit.records.data import ByteArray, Sample
from fruitaudit.runtime.lfs import INSTEAD, is_pointer
from fruitaudit.runtime.text import shown

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
MAX_PIXELS = npz.MAX_PIXELS
"""An image whose header promises more is refused before anything is decoded, where `memory` says nothing else."""
_BYTES_PER_PIXEL = 32
"""Of `memory`: an image in colour takes up to 16 bytes per pixel while it is decoded, converted and fitted."""
_LARGE = 25_000_000
"""Images with more pixels are decoded one at a time."""
_one_large = threading.Lock()

GREY = "grey read as RGB"
ORIENTED = "turned upright as its EXIF orientation says"
ON_WHITE = "transparency laid on white"
ON_BLACK = "transparency laid on black"
ALPHA_DROPPED = "transparency dropped, as the loader does"
NOT_ORIENTED = "EXIF orientation ignored, as the loader does"
PALETTE = "palette read as RGB"
CMYK = "CMYK read as RGB, without a colour profile"
OTHER_SPACE = "another colour space read as RGB"
SIXTEEN_BIT = "16 bits per channel reduced to 8"
FIRST_FRAME = "only the first of several frames read"
NO_EXIF = "EXIF data unreadable, orientation unknown"
FROM_FLOAT = "0..1 floats read as 8-bit pixels"

# Pillow warns of large, odd and half-broken files; what matters of it becomes a `BadImage`. A filter for its modules
# alone, because `warnings.catch_warnings` does not work across threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
# Its own limit stands in the way of a larger one, and does no more than `decode`.
Image.MAX_IMAGE_PIXELS = None


# libtiff prints what it finds wrong on stderr; what matters of it becomes a `BadImage` too.
for _library in (*Path(PIL.__file__).parent.parent.glob("pillow.libs/libtiff*"),
                 *Path(PIL.__file__).parent.glob(".dylibs/libtiff*")):  # fmt: skip
    with contextlib.suppress(OSError, AttributeError):
        for _handler in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            getattr(ctypes.CDLL(str(_library)), _handler)(None)


_OTHERS = (
    (b"GIF8", "a GIF", "save its first frame as PNG"),
    *((b"ftyp" + kind, "HEIC", "save it as JPEG or PNG") for kind in (b"hei", b"hev", b"mif1")),
    (b"ftypavi", "AVIF", "save it as JPEG or PNG"),
)
"""How files of other kinds begin, what they are called, and what to do with them."""


_ALPHA = {"white": ON_WHITE, "black": ON_BLACK, "dropped": ALPHA_DROPPED}


class BadImage(Exception):
    """The file is no usable image; `str` is the reason."""


@dataclass(frozen=True)
class Decoded:
    """`pixels` (height, width, 3) uint8 RGB; `conversions` names what had to be done to get there."""

    pixels: ByteArray
    conversions: tuple[str, ...] = ()


def read_bytes(sample: Sample) -> bytes:
    """What `decode` takes: the file of a sample, or its row of an NPZ. Raises OSError or BadImage."""
    if sample.index is not None:
        return npz.row_bytes(sample)
    if not stat.S_ISREG(sample.path.stat().st_mode):
        raise BadImage("not a regular file")  # a pipe would be waited for without end
    return sample.path.read_bytes()


def max_pixels_in(memory: float) -> int:
    """How many pixels an image may have where an audit may take so many bytes."""
    return int(memory / _BYTES_PER_PIXEL)


def decode(data: bytes, max_pixels: int = MAX_PIXELS, exif: Exif = "upright", alpha: Alpha = "white") -> Decoded:
    """Decode JPEG, PNG, WebP, BMP, TIFF, or one NPZ row. Raises BadImage."""
    if not data:
        raise BadImage("the file is empty")
    if data.startswith(MAGIC):
        return _decode_row(data, alpha)
    if is_pointer(data):
        raise BadImage(INSTEAD)
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
    except Exception as error:
        raise BadImage(_no_image(error, data)) from None
    with image:
        width, height = image.size
        if width * height > max_pixels:
            raise BadImage(f"too large to decode: {width} x {height} pixels by its header, and `memory` has room for "
                           f"{max_pixels / 1e6:.0f} million")  # fmt: skip
        try:
            with _one_large if width * height > _LARGE else contextlib.nullcontext():
                return _decode(image, exif, alpha)
        except (BadImage, MemoryError):
            raise
        except Exception as error:  # broken files make Pillow raise anything
            raise BadImage(_undecoded(error)) from None


def _decode(image: Image.Image, exif: Exif, alpha: Alpha) -> Decoded:
    notes: list[str] = []
    # An MPO is a photograph with a preview behind it, as phones write it.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        notes.append(FIRST_FRAME)
    raw_mode = str(getattr(image, "tile", ""))
    image.load()
    try:
        if image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9):
            if exif == "upright":
                ImageOps.exif_transpose(image, in_place=True)
            notes.append(ORIENTED if exif == "upright" else NOT_ORIENTED)
    except Exception:
        notes.append(NO_EXIF)
    if image.mode == "RGB" and ";16" in raw_mode:
        notes.append(SIXTEEN_BIT)  # Pillow keeps the high byte of each colour
    if image.mode != "RGB" or "transparency" in image.info:
        image = _to_rgb(image, raw_mode, notes, alpha)
    return Decoded(np.asarray(image), tuple(notes))


def _to_rgb(image: Image.Image, raw_mode: str, notes: list[str], alpha: Alpha) -> Image.Image:
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and ";16" in raw_mode):
        # `convert` would clip to 255 instead of scaling.
        image = Image.fromarray(np.rint(np.asarray(image, dtype=np.float64) / 257).astype(np.uint8))
        notes += [SIXTEEN_BIT, GREY]
    elif mode in ("I", "F"):
        raise BadImage("pixels of 32 bits, whose black and white are not known; save it with 8 or 16 bits per channel")
    elif mode in ("1", "L", "LA", "La"):
        notes.append(GREY)
    elif mode in ("P", "PA"):
        notes.append(PALETTE)
    elif mode == "CMYK":
        notes.append(CMYK)
    elif mode not in ("RGB", "RGBA", "RGBa", "RGBX"):
        notes.append(OTHER_SPACE)
    if mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] != 255:
            notes.append(_ALPHA[alpha])
            if alpha != "dropped":
                image = Image.alpha_composite(Image.new("RGBA", image.size, alpha), image)
    return image.convert("RGB")


def _no_image(error: Exception, data: bytes) -> str:
    if isinstance(error, UnidentifiedImageError):
        other = next((f" but {name}; {remedy}" for start, name, remedy in _OTHERS if start in data[:16]), "")
        return f"not a readable JPEG, PNG, WebP, BMP or TIFF image{other}"
    return _undecoded(error)


def _undecoded(error: Exception) -> str:
    return f"cannot be decoded: {shown(str(error) or type(error).__name__)}"


def _decode_row(data: bytes, alpha: Alpha) -> Decoded:
    """One row of an NPZ: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); 8-bit, or floats from 0 to 1."""
    try:
        row = read_npy(data, "the array")
    except DamagedArray as error:
        raise BadImage(str(error)) from None
    if not npz.fits((1, *row.shape)) or row.dtype.kind not in "fiub":
        raise BadImage(f"an array of {row.dtype} of shape {row.shape}, which is no picture")
    notes: list[str] = []
    if row.dtype != np.uint8:
        row = _eight_bit(row, notes)
    if row.ndim == 3 and row.shape[2] == 1:
        row = row[:, :, 0]
    image = Image.fromarray(np.ascontiguousarray(row))
    return Decoded(np.asarray(image if image.mode == "RGB" else _to_rgb(image, "", notes, alpha)), tuple(notes))


def _eight_bit(row: npt.NDArray[np.generic], notes: list[str]) -> ByteArray:
    values = row.astype(np.float64)
    top = 1 if row.dtype.kind in "fb" else 255
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > top:
        kind = "floats must lie in 0..1" if top == 1 else "integers must lie in 0..255"
        kind += "; store pixels as uint8"
        raise BadImage(f"pixels from {values.min():g} to {values.max():g}; {kind}")
    if row.dtype.kind == "f":
        notes.append(FROM_FLOAT)
    return np.rint(values * (255 / top)).astype(np.uint8)
