"""What methods show besides one map per image: the inside of a network, made-up inputs, counterfactuals, neighbours.

All pictures are model inputs, so `low` and `high` (C,) say what black and white are; see `records.data.Images`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import FloatArray, IntArray


@dataclass(frozen=True)
class FeatureLayer:
    """Activations of one layer: `values` (N, h, w, K) of the `channels` (K,) shown, of `n_channels` there are."""

    layer: str
    stage: str
    """What was tapped, in words: "before relu", "after relu", "output"."""
    channels: IntArray
    n_channels: int
    values: FloatArray


@dataclass(frozen=True)
class FeatureMaps:
    """What the layers of a network answer to each image, in the order of the network."""

    layers: tuple[FeatureLayer, ...]
    diagnostics: Mapping[str, FloatArray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FilterBank:
    """Weights of one convolution of `shape` (kh, kw, in, out): `values` (kh, kw, I, O), the first of both."""

    layer: str
    values: FloatArray
    shape: tuple[int, int, int, int]


@dataclass(frozen=True)
class LayerFilters:
    """The convolution filters of a network. About the model, not about an image."""

    layers: tuple[FilterBank, ...]
    diagnostics: Mapping[str, FloatArray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unit:
    """One filter of a layer, or one class neuron (`layer` "" then)."""

    layer: str
    index: int
    name: str


@dataclass(frozen=True)
class Synthetic:
    """Inputs made up to excite one unit each. About the model, not about an image.

    `values` (U, H, W, C); `reached` (U,) the unit's response to them; `strongest` (U,) the largest response of a real
    image, `strongest_ids` which one that is, `strongest_values` (U, H, W, C) the image itself.
    """

    units: tuple[Unit, ...]
    values: FloatArray
    low: FloatArray
    high: FloatArray
    reached: FloatArray
    strongest: FloatArray
    strongest_ids: tuple[str, ...]
    strongest_values: FloatArray
    diagnostics: Mapping[str, FloatArray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Counterfactual:
    """One image changed (PN), or reduced to what is enough (PP), for each of N images.

    `values` (N, H, W, C) is what was fed back to the model, `change` (N, H, W, C) what was added to the image (PN) or
    to the no-information image (PP); both NaN where none was `found` (N,). `classes` (N,) and `probabilities` (N,) are
    the model's answer to `values`, -1 and NaN where none was found. `vacuous` holds "" or the reason why a find says
    nothing. `on_object` (N,) is the share of |change| inside the object's mask, NaN without a mask.
    """

    mode: Literal["PN", "PP"]
    found: npt.NDArray[np.bool_]
    values: FloatArray
    change: FloatArray
    classes: IntArray
    probabilities: FloatArray
    vacuous: tuple[str, ...]
    on_object: FloatArray


@dataclass(frozen=True)
class Counterfactuals:
    """Pertinent negatives and positives of N images, and what the autoencoder that guided them makes of each image."""

    parts: tuple[Counterfactual, ...]
    low: FloatArray
    high: FloatArray
    reconstructions: FloatArray | None = None
    """(N, H, W, C), None without an autoencoder."""
    diagnostics: Mapping[str, FloatArray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Neighbours:
    """The k nearest reference images of each of N images in feature space.

    `values` (N, k, H, W, C) the reference images, `labels` (N, k) their classes, `distances` (N, k) ascending;
    `unusual` (N,) the share of reference images that are closer to their own nearest neighbour than this image is:
    near 1 means that nothing like it was there. `boxes` (N, k, 2, 4) top, left, bottom, right, of the patch in
    the image and in the neighbour that match best, in pixels; -1 where no layer has a place.
    """

    values: FloatArray
    labels: IntArray
    distances: FloatArray
    unusual: FloatArray
    sample_ids: tuple[tuple[str, ...], ...]
    boxes: IntArray
    low: FloatArray
    high: FloatArray
    diagnostics: Mapping[str, FloatArray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
