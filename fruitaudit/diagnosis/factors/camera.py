"""What a camera and a file format do to the whole picture: blur, noise, JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from fruitaudit.diagnosis.factors.colour import NO_DIFFERENCE
from fruitaudit.diagnosis.gap.change import Change
from fruitaudit.diagnosis.gap.contrast import Contrast, Side
from fruitaudit.diagnosis.images.layers import Layers
from fruitaudit.records.data import ByteArray, FloatArray, IntArray
from fruitaudit.records.states import NotRun

_SIGMAS = np.array([0.0, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 2.5, 3.0, 4.0])
_LEAST_BLUR = 0.04
"""Smallest difference of the blur metric (0..1) worth a change."""
_LEAST_NOISE = 2.0
"""Smallest excess of the noise's deviation, of 255, worth a change."""


def measure_blur(contrast: Contrast) -> Change | NotRun:
    """The Gaussian blur after which lab objects are as blurred, by the metric, as the field's."""
    there = float(np.median(_blur_metrics(contrast.field)))
    rows = np.arange(0, len(contrast.lab.material), max(1, len(contrast.lab.material) // 64))
    lab = [(contrast.lab.material.pixels[i], _region(contrast.lab, int(i))) for i in rows]
    here = [float(np.median([blur_metric(_blurred(p.astype(np.float32), s), m) for p, m in lab])) for s in _SIGMAS]
    if there - here[0] < _LEAST_BLUR:
        return NotRun(NO_DIFFERENCE.format(f"photos are no less sharp (blur metric {there:.2f}, lab {here[0]:.2f})"))
    sigma = float(np.interp(there, np.maximum.accumulate(here), _SIGMAS))
    dose = f"Gaussian of {sigma:.1f} pixels (blur metric {here[0]:.2f} in the lab, {there:.2f} in the field)"

    def apply(layers: Layers, rows: IntArray) -> Layers:
        return layers.flattened().with_objects(lambda _, image: _blurred(image, sigma))

    return Change("blur", "Sharpness", dose, apply)


def blur_metric(image: FloatArray, mask: np.ndarray) -> float:
    """How little a further blur takes away from the differences of neighbouring pixels, 0 (sharp) to 1 (blurred).

    1 - sum max(0, d(F) - d(blurred F)) / sum d(F), d the absolute difference of neighbours, over the masked region,
    in the direction in which the image is the more blurred.
    Paper: Crete, Dolmiere, Ladret, Nicolas 2007, SPIE 6492, "The blur effect".
    Differs from the paper: a 5-pixel box instead of 9, because images are small; only within the region.
    """
    grey = cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY)
    worst = 0.0
    for axis, size in ((0, (1, 5)), (1, (5, 1))):
        soft = cv2.blur(grey, size)
        region = np.take(mask, np.arange(1, mask.shape[axis]), axis=axis)
        before, after = (np.abs(np.diff(g, axis=axis))[region] for g in (grey, soft))
        total = float(before.sum())
        if total > 0:
            worst = max(worst, 1 - float(np.maximum(0, before - after).sum()) / total)
    return worst


def _blur_metrics(side: Side) -> list[float]:
    return [blur_metric(image.astype(np.float32), _region(side, i)) for i, image in enumerate(side.material.pixels)]


def _region(side: Side, i: int) -> np.ndarray:
    """The object with its outline; the whole image where there is no sure mask."""
    mask = side.masks.values[i]
    if i not in side.sure:
        return np.ones(mask.shape, bool)
    return cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)


def _blurred(image: FloatArray, sigma: float) -> FloatArray:
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT) if sigma > 0 else image


def measure_noise(contrast: Contrast) -> Change | NotRun:
    """Gaussian noise as strong as what the field's flattest tiles show beyond the lab's."""
    here, there = (
        float(np.median([noise_of(p) for p in side.material.pixels])) for side in (contrast.lab, contrast.field)
    )
    if there - here < _LEAST_NOISE:
        return NotRun(NO_DIFFERENCE.format(f"flat parts are no noisier (deviation {there:.1f}, lab {here:.1f} of 255)"))
    sigma = float(np.sqrt(there**2 - here**2))
    ids, streams = contrast.lab.material.ids, contrast.streams

    def apply(layers: Layers, rows: IntArray) -> Layers:
        def noisy(k: int, image: FloatArray) -> FloatArray:
            rng = streams.rng("noise", ids[rows[k]])
            return np.clip(image + rng.normal(0, sigma, image.shape).astype(np.float32), 0, 255)

        return layers.flattened().with_objects(noisy)

    return Change("noise", "Noise", f"Gaussian, deviation {sigma:.1f} of 255", apply)


def noise_of(image: ByteArray) -> float:
    """Deviation, of 255, of the noise: the lower decile over 8 x 8 tiles of each tile's estimate.

    sigma = sqrt(pi / 2) * mean |I * L| / 6 with L = [[1, -2, 1], [-2, 4, -2], [1, -2, 1]].
    Paper: Immerkaer 1996, Comput. Vis. Image Underst. 64(2), 300-302.
    Differs from the paper: by tiles that are not black, and their lower decile, so that texture is not taken for noise;
    on white, where noise is clipped, half of it is seen.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = np.abs(cv2.filter2D(grey, -1, kernel))
    size = (max(1, grey.shape[1] // 8), max(1, grey.shape[0] // 8))
    tiles, levels = (cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in (response, grey))
    usable = tiles[levels > 8]
    return float(np.sqrt(np.pi / 2) * np.quantile(usable, 0.1) / 6) if usable.size else 0.0


def measure_jpeg(contrast: Contrast) -> Change | NotRun:
    """The field's median JPEG quality, at the model's size."""
    here, there = (int(np.median(side.material.jpeg_quality)) for side in (contrast.lab, contrast.field))
    if there > 90 or there >= here:
        return NotRun(
            NO_DIFFERENCE.format(f"files are compressed no harder (JPEG quality {there}, lab {here}; 100 is none)")
        )
    shrink = float(np.median(contrast.field.material.sizes.prod(axis=1)) ** 0.5) / contrast.side
    notes = () if shrink < 1.5 else (
        f"field photos are {shrink:.1f} times larger when they are compressed, so this overstates the effect",
    )  # fmt: skip

    def apply(layers: Layers, rows: IntArray) -> Layers:
        def compressed(_: int, image: FloatArray) -> ByteArray:
            data = cv2.imencode(".jpg", np.clip(np.rint(image), 0, 255).astype(np.uint8)[..., ::-1],
                                [cv2.IMWRITE_JPEG_QUALITY, there])[1]  # fmt: skip
            return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1]

        return layers.flattened().with_objects(compressed)

    return Change("jpeg", "JPEG compression", f"quality {there}", apply, notes)
