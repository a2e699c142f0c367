from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Diagnostic, Model, Passes, Registration, Shape
from fruitaudit.attribution.methods.smoothgrad import SmoothGrad
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams

SETTINGS = ((0.05, 80), (0.10, 40), (0.20, 20))
"""Noise as a share of the range, and how many noisy copies: much noise with few, little with many."""


@dataclass(frozen=True, config=OPTIONS)
class SmoothGradSweep:
    """SmoothGrad at three levels of noise, and what they have in common.

    P_s = M_s / sum_ij |M_s| of SmoothGrad with 5 % noise on 80 copies, 10 % on 40 and 20 % on 20;
    M_ij = min_s |P_s,ij|, with the sign of the P_s where all three have the same one, else 0.
    So a pixel counts as much as in the setting that thinks least of it, and sum_ij |M| is the share of the maps that
    all three have in common (the intersection of three histograms): 1 where noise does not matter, 0 where no pixel
    is in all.
    Paper: Smilkov, Thorat, Kim, Viegas, Wattenberg 2017, arXiv:1706.03825, sec. 3.1 varies noise and copies.
    Differs from the paper: it compares the maps by eye; what they share is defined here.

    Parameters: `channels` joins the colour channels ("sum" keeps the sign).
    Returns maps (N, H, W), a pixel's share of its map, >= 0 unless `channels` is "sum"; the three P_s are parts.
    Diagnostics, (N,): "common" sum_ij |M|, 0..1.
    """

    registration: ClassVar[Registration] = Registration(
        name="smoothgrad_sweep",
        title="SmoothGrad, common to three levels of noise",
        family="gradient",
        question="Where does the score react to the pixels whatever the level of noise?",
        paper="Smilkov et al. 2017, arXiv:1706.03825",
        explains="logit",
        channels="maxabs",
        signed=False,
        needs=("gradients",),
        cost=f"{sum(copies for _, copies in SETTINGS)} gradients",
        diagnostics=(Diagnostic("common", "common"),),
        contrast=True,
        sensitivity_options=(("channels", "sum"),),
    )

    channels: Literal["maxabs", "l2", "sum"] = "maxabs"

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        parts = {
            f"{noise:.0%} noise, {copies} copies": share_of_total(
                SmoothGrad(copies, noise, self.channels)(model, images, targets, streams).values
            )
            for noise, copies in SETTINGS
        }
        values = in_common(np.stack(list(parts.values())))
        return Maps(values, {"common": abs(values).sum(axis=(1, 2))}, parts=parts)

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(gradient=n_images * sum(copies for _, copies in SETTINGS))


def share_of_total(maps: FloatArray) -> FloatArray:
    """(N, H, W) divided by the sum of magnitudes of each map; an empty map stays empty."""
    total = abs(maps).sum(axis=(1, 2), keepdims=True)
    return np.divide(maps, total, out=np.zeros_like(maps), where=total > 0)


def in_common(maps: FloatArray) -> FloatArray:
    """(S, N, H, W) -> (N, H, W): the smallest magnitude where all signs agree, else 0."""
    return np.where((maps > 0).all(axis=0), maps.min(axis=0), np.where((maps < 0).all(axis=0), maps.max(axis=0), 0))


METHODS = (SmoothGradSweep,)
