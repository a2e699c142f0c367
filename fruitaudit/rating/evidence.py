"""The maps that people rate: what speaks for the explained class, all methods in one palette, and hidden controls.

Blue and red, or the superpixels' numbers, would tell a method to those who know it. So a sheet draws only the evidence
for the class, from none to the strongest of the group's maps, and the controls in the same way.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from fruitaudit.attribution.methods.controls import METHODS as CONTROLS
from fruitaudit.attribution.methods.controls import random_maps, sobel
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import ExplanationRow, Maps, Segments
from fruitaudit.report.figures import Scale, scale_of
from fruitaudit.report.folder import Folder
from fruitaudit.report.panels import title_among
from fruitaudit.report.views import WEAK
from fruitaudit.runtime.streams import Streams

CONTROL_PREFIX = "control_"
OTHER_PICTURE = "control_other_picture"


@dataclass(frozen=True)
class Source:
    """Where a map comes from: a method with its options, or a control."""

    method: str
    """As the config writes it, e.g. "saliency@tf-keras-vis"."""
    title: str
    """With the options in which it differs from its namesakes of this audit: unique."""

    @property
    def control(self) -> bool:
        """Whether it knows nothing of the model."""
        return self.method.startswith(CONTROL_PREFIX)


@dataclass(frozen=True, eq=False)
class RatedMap:
    """`values` (N, H, W) >= 0 for `sample_ids`; `scale` is that of all of them, None where every map is empty."""

    source: Source
    sample_ids: tuple[str, ...]
    values: FloatArray
    scale: Scale | None

    def drawable(self, sample_id: str) -> FloatArray | None:
        """The map (H, W) of a sample, or None where there would be nothing to see."""
        if self.scale is None or sample_id not in self.sample_ids:
            return None
        values = self.values[self.sample_ids.index(sample_id)]
        return values if np.isfinite(values).all() and values.max() >= WEAK * self.scale.end else None


def rated_rows(folder: Folder) -> list[ExplanationRow]:
    """What can be rated: one map per image, by a method that is no control."""
    return [
        row
        for row in folder.results.explanations
        if isinstance(row, ExplanationRow)
        and row.kind in ("maps", "segments")
        and not row.method.startswith(CONTROL_PREFIX)
    ]


def evidence_of(folder: Folder, row: ExplanationRow, rows: Sequence[ExplanationRow]) -> RatedMap:
    """The maps of one row, titled so that it is told from the other rows; none can be drawn of a damaged file."""
    title, _, provider = title_among(row, rows), *row.method.partition("@")[1:]
    source = Source(row.method, f"{title} by {provider}" if provider else title)
    explanation = folder.explanation(row)
    if not isinstance(explanation, Maps | Segments):
        return RatedMap(source, row.sample_ids, _NOTHING, None)
    return _evidence(source, row.sample_ids, explanation.values, probability=row.explains == "probability")


def hidden_controls(folder: Folder, sample_ids: tuple[str, ...], streams: Streams) -> list[RatedMap]:
    """Noise and edges, from the pictures as the model sees them: no model is needed."""
    pixels = np.stack([input_pixels(folder, i) for i in sample_ids])
    ends = np.zeros(pixels.shape[-1], np.float32), np.ones(pixels.shape[-1], np.float32)
    images = Images(pixels, sample_ids, *ends)
    maps_of = {"control_random": random_maps(images, streams), "control_edges": sobel(images)}
    titles = {control.registration.name: control.registration.title for control in CONTROLS}
    return [_evidence(Source(name, titles[name]), sample_ids, maps) for name, maps in maps_of.items()]


def of_another_picture(
    methods: Sequence[RatedMap], sample_id: str, sheet_ids: Collection[str], streams: Streams
) -> RatedMap:
    """The map that one of the methods drew for another picture of the group: like a real one, but in the wrong place.

    Of a picture that is not on the sheet (`sheet_ids`), so far as there is one. Empty where no method has another map.
    """
    rng = streams.rng("rating", "another picture", sample_id)
    for k in rng.permutation(len(methods)):
        other_ids = [i for i in methods[k].sample_ids if i != sample_id and methods[k].drawable(i) is not None]
        if other_ids := [i for i in other_ids if i not in sheet_ids] or other_ids:
            at = methods[k].sample_ids.index(other_ids[rng.integers(len(other_ids))])
            return replace(
                methods[k], source=_OTHER_SOURCE, sample_ids=(sample_id,), values=methods[k].values[at : at + 1]
            )
    return RatedMap(_OTHER_SOURCE, (), _NOTHING, None)


_NOTHING = np.empty((0, 1, 1), np.float32)
_OTHER_SOURCE = Source(OTHER_PICTURE, "Control: other picture")


def input_pixels(folder: Folder, sample_id: str) -> FloatArray:
    """(H, W, 3) 0..1: the picture as the model sees it. Raises OSError where its file is missing or damaged."""
    path = folder.file(folder.pictures[sample_id].seen)
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB")).astype(np.float32) / np.float32(255)
    except Exception as error:  # broken files make Pillow raise anything
        raise OSError(f"{path} is no readable picture") from error


def _evidence(source: Source, sample_ids: tuple[str, ...], maps: FloatArray, *, probability: bool = False) -> RatedMap:
    values = np.maximum(maps, 0)
    end = float(values[np.isfinite(values).all(axis=(1, 2))].max(initial=0))
    scale = scale_of(values, end, signed=False, probability=probability) if end > 0 else None
    return RatedMap(source, sample_ids, values, scale)
