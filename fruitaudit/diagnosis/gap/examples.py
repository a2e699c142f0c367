"""What each change looks like: the same few lab images before and after, written as pictures for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from fruitaudit.diagnosis.factors.base import Change
from fruitaudit.diagnosis.gap.change import changed
from fruitaudit.diagnosis.gap.contrast import SplitPair
from fruitaudit.diagnosis.gap.measuring import Factors
from fruitaudit.diagnosis.images.material import PixelClassifier
from fruitaudit.records.data import ByteArray, IntArray
from fruitaudit.records.diagnosis import Decomposition, Example
from fruitaudit.runtime.files import atomic

IMAGES = 4
TOGETHER, FIELD = "together", "field"


def draw_examples(
    eye: PixelClassifier,
    contrast: SplitPair,
    factors: Factors,
    gap: Decomposition,
    class_names: Sequence[str],
    out: Path,
) -> Iterator[Example]:
    """Every factor of the decomposition on the same lab images, then all of them together, then the field itself.

    Pictures are `out`/diagnosis/<field split>/<factor>-<i>-{before,after}.png at the model's size.
    """
    rows = example_rows(contrast)
    lab, field = contrast.lab.material, contrast.field.material
    changes = [factors.changes[share.factor] for share in gap.shares]
    wanted: list[tuple[str, list[Change]]] = [(change.factor, [change]) for change in changes]
    if len(changes) > 1:
        wanted.append((TOGETHER, changes))
    shown = [(name, rows, changed(contrast.lab, some, rows)) for name, some in wanted]
    same = rows[field.labels[contrast.partner[rows]] == lab.labels[rows]]
    shown.append((FIELD, same, field.pixels[contrast.partner[same]]))
    for name, of, pixels in shown:
        called = eye.predicted(pixels) if len(of) else of
        for i, row in enumerate(of):
            stem = f"diagnosis/{field.split}/{name}-{i}"
            yield Example(
                factor=name,
                sample_id=lab.ids[row],
                before=write_picture(out, f"{stem}-before.png", lab.pixels[row]),
                after=write_picture(out, f"{stem}-after.png", pixels[i]),
                answer_before=class_names[lab.predicted[row]],
                answer_after=class_names[called[i]],
                true_class=class_names[lab.labels[row]],
                field_split=field.split,
            )


def example_rows(contrast: SplitPair) -> IntArray:
    """(4,) or fewer rows of the lab, drawn with the seed: right answers with a sure mask first, one image a class."""
    material = contrast.lab.material
    fit = np.isin(np.arange(len(material)), contrast.lab.sure) + material.correct
    rng = contrast.streams.rng("diagnosis examples", material.split, contrast.field.material.split)
    order = rng.permutation(len(material))
    order = order[np.argsort(-fit[order], kind="stable")]
    first = np.sort(np.unique(material.labels[order], return_index=True)[1])
    others = np.setdiff1d(np.arange(len(order)), first)
    return order[np.concatenate([first, others])][:IMAGES]


def write_picture(out: Path, name: str, pixels: ByteArray) -> str:
    """(H, W, 3) uint8 as a PNG; its name."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    with atomic(out / name) as stream:
        stream.write(buffer.getvalue())
    return name
