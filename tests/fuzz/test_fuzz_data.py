"""Manifests, NPZ files and images: each row or file is a sample, a bad file with its reason, or one sentence."""

from __future__ import annotations

import io
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fuzz.mutations import NASTY, Outcomes, damaged, sentence_of
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from PIL import Image

from fruitaudit.config.schema import SplitSettings
from fruitaudit.data.decode import BadImage, decode
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.splits import class_names_of, open_split
from fruitaudit.data.stream import StreamSummary, stream
from fruitaudit.errors import DataError

# Pillow and zipfile warn of what is made here on purpose.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")]

NAMES = ("Apple", "Pear")
FITTERS = [
    Preprocessor(8, 9, channels, resize, "area", "0-1") for channels in (1, 3) for resize in ("center_crop", "pad")
]
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
TABLE = pd.DataFrame(
    {
        "path": ["a.png", "b.png", "sub/c.png"],
        "label": ["Apple", "Pear", "Apple"],
        "group_id": ["1", None, "2"],
        "mask": ["a.png", None, None],
        "shop": [1.5, 2.5, None],
    }
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in ("a.png", "b.png", "d.png", "sub/c.png"):
        Image.fromarray(PIXELS).save(tmp_path / name)
    return tmp_path


def read(path: Path, outcomes: Outcomes) -> None:
    """As an audit reads a split: classes, samples, images. Every row is counted."""
    settings = SplitSettings(name="store", role="field", path=path)

    def run() -> None:
        class_names_of(settings)
        split = open_split(settings, NAMES)
        summary = StreamSummary()
        n_used = sum(len(batch.samples) for batch in stream(split, FITTERS[0], 4, summary))
        assert n_used + len(summary.bad) == len(split.samples)
        for bad in (*summary.bad, *split.bad):
            assert bad.reason
            assert len(bad.reason.splitlines()) == 1
            (bad.name + bad.reason).encode("utf-8")

    outcomes.of(run)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_bytes_of_a_manifest(folder: Path, suffix: str, examples) -> None:
    file, outcomes = folder / f"list{suffix}", Outcomes("store")
    _ = TABLE.to_csv(file, index=False) if suffix == ".csv" else TABLE.to_parquet(file)

    @examples(200)
    @given(damaged(file.read_bytes()))
    def holds(content: bytes) -> None:
        file.write_bytes(content)
        read(file, outcomes)

    holds()
    assert outcomes.seen == {"passed", "refused"}


CELLS = st.one_of(
    st.sampled_from([str(value) for value in NASTY]),
    st.sampled_from(["a.png", "./a.png", "sub/../a.png", "a.png/", "/dev/null", "a\0", "sub", ".", "~root/a.png"]),
    st.text(max_size=30),
)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_cells_of_a_manifest(folder: Path, suffix: str, examples) -> None:
    file, outcomes = folder / f"list{suffix}", Outcomes("store")
    columns = st.sampled_from(["path", "label", "group_id", "original", "mask", "other", "", "é"])

    @examples(150)
    @given(st.lists(st.dictionaries(columns, CELLS, min_size=1, max_size=5), min_size=1, max_size=4))
    def holds(rows: list[dict[str, str]]) -> None:
        # One row in two names an image that no other row does, so that its label matters.
        frame = pd.concat(
            [TABLE, pd.DataFrame([row | ({"path": "d.png"} if i % 2 else {}) for i, row in enumerate(rows)])]
        )
        _ = frame.to_csv(file, index=False) if suffix == ".csv" else frame.to_parquet(file)
        read(file, outcomes)

    holds()
    assert outcomes.seen == {"passed", "refused"}


def npz(arrays: dict[str, np.ndarray], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, array in arrays.items():
            part = BytesIO()
            np.save(part, array)
            archive.writestr(f"{name}.npy", part.getvalue())
    return buffer.getvalue()


ARRAYS = {"images": np.stack([PIXELS] * 4), "labels": np.array([0, 1, 0, 1]), "class_names": np.array(NAMES)}
METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.mark.parametrize("compression", METHODS)
def test_bytes_of_an_npz(folder: Path, compression: int, examples) -> None:
    file, outcomes = folder / "d.npz", Outcomes("store")

    @examples(120)
    @given(damaged(npz(ARRAYS, compression)))
    def holds(content: bytes) -> None:
        file.write_bytes(content)
        read(file, outcomes)

    holds()
    assert outcomes.seen == {"passed", "refused"}


def test_members_of_an_npz(folder: Path, examples) -> None:
    file, members, outcomes = folder / "d.npz", {}, Outcomes("store")
    with zipfile.ZipFile(io.BytesIO(npz(ARRAYS))) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    @examples(250)
    @given(st.data(), st.sampled_from(sorted(members)))
    def holds(data: st.DataObject, name: str) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            for member, content in members.items():
                head, rest = content[:140], content[140:]
                archive.writestr(member, data.draw(damaged(head)) + rest if member == name else content)
        read(file, outcomes)

    holds()
    assert outcomes.seen == {"passed", "refused"}


def test_arrays_of_an_npz(folder: Path, examples) -> None:
    file, outcomes = folder / "d.npz", Outcomes("store")
    kinds = st.one_of(
        nps.scalar_dtypes(), nps.unicode_string_dtypes(), nps.byte_string_dtypes(), nps.array_dtypes(max_size=2)
    )
    odd = nps.arrays(kinds, nps.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4))

    @examples(250)
    @given(st.dictionaries(st.sampled_from(["images", "x", "labels", "y", "class_names", "x_store"]), odd, max_size=4))
    def holds(arrays: dict[str, np.ndarray]) -> None:
        file.write_bytes(npz(ARRAYS | arrays))
        read(file, outcomes)

    holds()
    assert outcomes.seen == {"passed", "refused"}


def encoded(kind: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


IMAGES = {
    "png": encoded("PNG"), "png palette": encoded("PNG", "P"), "png alpha": encoded("PNG", "LA"),
    "png 16 bit": encoded("PNG", "I;16"), "png bit": encoded("PNG", "1"),
    "jpeg": encoded("JPEG"), "jpeg cmyk": encoded("JPEG", "CMYK"),
    "jpeg progressive": encoded("JPEG", progressive=True),
    "webp": encoded("WEBP"), "webp lossless": encoded("WEBP", lossless=True),
    "bmp": encoded("BMP"), "gif": encoded("GIF"), "gif frames": encoded("GIF", save_all=True, append_images=[
        Image.fromarray(PIXELS[::-1])]),
    "apng": encoded("PNG", save_all=True, append_images=[Image.fromarray(PIXELS[::-1])]),
    "tiff": encoded("TIFF"), "tiff lzw": encoded("TIFF", compression="tiff_lzw"),
    "tiff jpeg": encoded("TIFF", compression="jpeg"), "tiff cmyk": encoded("TIFF", "CMYK"),
    "tiff float": encoded("TIFF", "F"), "array": b"",
}  # fmt: skip
NO_IMAGES = {"gif", "gif frames", "tiff float"}
"""Refused undamaged too."""
_BUFFER = BytesIO()
np.save(_BUFFER, PIXELS)
IMAGES["array"] = _BUFFER.getvalue()


def decoded_or_refused(content: bytes) -> None:
    try:
        decode(content)
    except BadImage as reason:
        raise DataError(str(reason)) from None


@pytest.mark.parametrize("kind", IMAGES)
def test_bytes_of_an_image(kind: str, examples) -> None:
    seen = set()

    @examples(120)
    @given(damaged(IMAGES[kind]))
    def holds(content: bytes) -> None:
        refused = sentence_of(lambda: decoded_or_refused(content)) is not None
        seen.add(refused)
        if refused:
            return
        decoded = decode(content)
        assert decoded.pixels.dtype == np.uint8
        assert decoded.pixels.ndim == 3
        assert decoded.pixels.shape[2] == 3
        if decoded.pixels.size < 3_000_000:
            for fitter in FITTERS:
                assert fitter.fitted(decoded.pixels).shape == (fitter.height, fitter.width, fitter.channels)

    holds()
    assert seen == ({True} if kind in NO_IMAGES else {True, False})
