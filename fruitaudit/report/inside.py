"""What the network has learned and what it computes: filters, made-up images, feature maps, reconstructions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fruitaudit.records.data import FloatArray
from fruitaudit.records.evidence import Counterfactuals, FeatureMaps, FilterBank, LayerFilters, Synthetic
from fruitaudit.records.explanations import OF_THE_MODEL, ExplanationNotRun, ExplanationRow
from fruitaudit.records.states import NotRun
from fruitaudit.report.figures import Scale, draw_map, draw_pixels, pixels_of, scale_of
from fruitaudit.report.folder import Folder
from fruitaudit.report.gallery import keys_of
from fruitaudit.report.words import significant

ACROSS = 8
"""Channels of a layer that stand beside each other."""
CHANNEL_SIDE = 48
"""Feature maps with a longer side are averaged down to it: the raw ones lie in attributions/."""
FILTERS = 32
"""Filters of a layer that are drawn."""
RECONSTRUCTIONS = 7
IMAGES = 1
"""Images of each group whose feature maps are drawn."""


@dataclass(frozen=True)
class Mosaic:
    """Small maps of one layer, side by side, on one scale."""

    title: str
    says: str
    src: str | None
    aspect: str
    scale: Scale | None


@dataclass(frozen=True)
class MadeUp:
    """An image made to excite a unit, beside the real one that excites it most."""

    name: str
    src: str
    real: str
    real_id: str
    says: str


@dataclass(frozen=True)
class InsideBlock:
    """What one method shows. `key` is the picture that feature maps or reconstructions are about."""

    row: ExplanationRow
    title: str = ""
    mosaics: tuple[Mosaic, ...] = ()
    layers: tuple[tuple[str, tuple[MadeUp, ...]], ...] = ()
    key: str = ""
    pairs: tuple[tuple[str, str, str], ...] = ()
    """(key, true class, picture) of each reconstruction."""
    reason: str = ""


def blocks(folder: Folder) -> tuple[list[InsideBlock], list[ExplanationNotRun]]:
    """All that is drawn, about the model first, and what was asked about the model but did not run."""
    rows = folder.results.explanations
    finished = [row for row in rows if isinstance(row, ExplanationRow)]
    selected = [row for row in finished if row.kind in ("filters", "synthetic", "feature_maps", "counterfactuals")]
    not_run = [row for row in rows if isinstance(row, ExplanationNotRun) and row.group == OF_THE_MODEL]
    return [block for row in selected for block in _blocks(folder, row)], not_run


def _blocks(folder: Folder, row: ExplanationRow) -> Iterator[InsideBlock]:
    explanation = folder.explanation(row)
    match explanation:
        case NotRun():
            yield InsideBlock(row, reason=explanation.reason)
        case LayerFilters():
            yield InsideBlock(row, mosaics=tuple(map(_bank, explanation.layers)))
        case Synthetic():
            yield InsideBlock(
                row, layers=_synthetic_layers(explanation, folder.results.model.class_names, bgr=folder.bgr)
            )
        case FeatureMaps():
            for index, sample_id in enumerate(row.sample_ids[:IMAGES]):
                if sample_id in folder.pictures:
                    [(key, true, _)] = keys_of(folder, [sample_id])
                    yield InsideBlock(row, f"{true}, {sample_id}", tuple(_features(explanation, index)), key=key)
        case Counterfactuals(reconstructions=reconstructions) if reconstructions is not None:
            yield InsideBlock(row, pairs=_reconstructions(folder, row, explanation, reconstructions))


def _bank(bank: FilterBank) -> Mosaic:
    """Every output filter as a row of its first inputs, on one signed scale."""
    kh, kw, inputs, outputs = bank.values[..., :FILTERS].shape
    across = min(inputs, 3) if inputs <= 3 else min(inputs, 4)
    tiles = np.moveaxis(bank.values[:, :, :across, :FILTERS], (3, 2), (0, 1)).reshape(outputs * across, kh, kw)
    end = float(np.abs(bank.values).max())
    of = f"{bank.shape[3]} filters of {kh} \u00d7 {kw} over {bank.shape[2]} inputs"
    says = f"{of}; {outputs} shown, {across} inputs each"
    return _mosaic(bank.layer, says, tiles, end, signed=True, across=across * max(1, ACROSS * 2 // across))


def _features(maps: FeatureMaps, index: int) -> Iterator[Mosaic]:
    for layer in maps.layers:
        end = float(np.abs(layer.values[np.isfinite(layer.values)]).max(initial=0))
        tiles = np.moveaxis(layer.values[index], -1, 0)
        signed = bool((layer.values < 0).any())
        height, width = tiles.shape[1:]
        says = f"{len(layer.channels)} of {layer.n_channels} channels of {height} \u00d7 {width}"
        yield _mosaic(f"{layer.layer}, {layer.stage}", says, tiles, end, signed=signed, across=ACROSS)


def _mosaic(title: str, says: str, tiles: FloatArray, end: float, *, signed: bool, across: int) -> Mosaic:
    """Tiles (T, h, w) in rows of `across`, a gap of zero between them."""
    step = math.ceil(max(tiles.shape[1:]) / CHANNEL_SIDE)
    height, width = (side // step * step for side in tiles.shape[1:])
    small = tiles[:, :height, :width].reshape(len(tiles), height // step, step, width // step, step).mean((2, 4))
    rows, across = math.ceil(len(small) / across), min(across, len(small))
    gap = 1
    h, w = small.shape[1] + gap, small.shape[2] + gap
    sheet = np.zeros((rows * h - gap, across * w - gap), np.float32)
    for i, tile in enumerate(small):
        top, left = i // across * h, i % across * w
        sheet[top : top + h - gap, left : left + w - gap] = tile
    aspect = f"{sheet.shape[1]} / {sheet.shape[0]}"
    if not np.isfinite(sheet).all() or end <= 0:
        return Mosaic(title, says, None, aspect, None)
    scale = scale_of(small, end, signed=signed)
    return Mosaic(title, says, draw_map(sheet, scale, shrunk=False), aspect, scale)


def _synthetic_layers(
    synthetic: Synthetic, classes: Sequence[str], *, bgr: bool
) -> tuple[tuple[str, tuple[MadeUp, ...]], ...]:
    pixels = pixels_of(synthetic.values, synthetic.low, synthetic.high, bgr=bgr)
    real = pixels_of(synthetic.strongest_values, synthetic.low, synthetic.high, bgr=bgr)
    layers: dict[str, list[MadeUp]] = {}
    for i, unit in enumerate(synthetic.units):
        says = f"{significant(float(synthetic.reached[i]))}, photograph {significant(float(synthetic.strongest[i]))}"
        name = unit.name if unit.layer else classes[unit.index]
        picture = MadeUp(name, draw_pixels(pixels[i]), draw_pixels(real[i]), synthetic.strongest_ids[i], says)
        layers.setdefault(unit.layer, []).append(picture)
    return tuple((layer, tuple(pictures)) for layer, pictures in layers.items())


def _reconstructions(
    folder: Folder, row: ExplanationRow, counterfactuals: Counterfactuals, reconstructions: FloatArray
) -> tuple[tuple[str, str, str], ...]:
    pairs: list[tuple[str, str, str]] = []
    ids: Sequence[str] = row.sample_ids[:RECONSTRUCTIONS]
    for i, sample_id in enumerate(ids):
        for key, true, _ in keys_of(folder, [sample_id]):
            pixels = pixels_of(reconstructions[i], counterfactuals.low, counterfactuals.high, bgr=folder.bgr)
            pairs.append((key, true, draw_pixels(pixels)))
    return tuple(pairs)
