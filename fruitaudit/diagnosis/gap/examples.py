"""What each change looks like: the same few lab images before and after, written as pictures for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from fruitaudit.diagnosis.factors.base import Change
from fruitaudit.diagnosis.gap.change import changed_pixels
from fruitaudit.diagnosis.gap.measuring import Factors
from fruitaudit.diagnosis.gap.split_pair import SplitPair
from fruitaudit.diagnosis.images.split_sample import PixelClassifier
from fruitaudit.records.data import ByteArray, IntArray
from fruitaudit.records.diagnosis import Decomposition, Example
from fruitaudit.runtime.files import atomic

IMAGES = 4
TOGETHER, FIELD = "together", "field"


def draw_examples(
    pixel_classifier: PixelClassifier,
    pair: SplitPair,
    factors: Factors,
    gap: Decomposition,
    class_names: Sequence[str],
    out: Path,
) -> Iterator[Example]:
    """Every factor of the decomposition on the same lab images, then all of them together, then the field itself.

    Pictures are `out`/diagnosis/<field split>/<factor>-<i>-{before,after}.png at the model's size.
    """
    rows = example_rows(pair)
    lab, field = pair.lab.material, pair.field.material
    changes = [factors.changes[share.factor] for share in gap.shares]
    change_sets: list[tuple[str, list[Change]]] = [(change.factor, [change]) for change in changes]
    if len(changes) > 1:
        change_sets.append((TOGETHER, changes))
    picture_sets = [(name, rows, changed_pixels(pair.lab, subset, rows)) for name, subset in change_sets]
    same_class = rows[field.labels[pair.partner[rows]] == lab.labels[rows]]
    picture_sets.append((FIELD, same_class, field.pixels[pair.partner[same_class]]))
    for name, selected_rows, pixels in picture_sets:
        predicted = pixel_classifier.predicted(pixels) if len(selected_rows) else selected_rows
        for i, row in enumerate(selected_rows):
            stem = f"diagnosis/{field.split}/{name}-{i}"
            yield Example(
                factor=name,
                sample_id=lab.ids[row],
                before=write_picture(out, f"{stem}-before.png", lab.pixels[row]),
                after=write_picture(out, f"{stem}-after.png", pixels[i]),
                answer_before=class_names[lab.predicted[row]],
                answer_after=class_names[predicted[i]],
                true_class=class_names[lab.labels[row]],
                field_split=field.split,
            )


def example_rows(pair: SplitPair) -> IntArray:
    """(4,) or fewer rows of the lab, drawn with the seed: right answers with a sure mask first, one image per class."""
    material = pair.lab.material
    suitability = np.isin(np.arange(len(material)), pair.lab.sure) + material.correct
    rng = pair.streams.rng("diagnosis examples", material.split, pair.field.material.split)
    order = rng.permutation(len(material))
    order = order[np.argsort(-suitability[order], kind="stable")]
    first_of_class = np.sort(np.unique(material.labels[order], return_index=True)[1])
    others = np.setdiff1d(np.arange(len(order)), first_of_class)
    return order[np.concatenate([first_of_class, others])][:IMAGES]


def write_picture(out: Path, name: str, pixels: ByteArray) -> str:
    """(H, W, 3) uint8 as a PNG; its name."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    with atomic(out / name) as stream:
        stream.write(buffer.getvalue())
    return name
