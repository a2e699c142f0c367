"""Where masks of the objects exist: is the evidence on the object or on the background?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import DoubleArray, FloatArray, IntArray
from fruitaudit.records.states import NotRun
from fruitaudit.records.trust import Localization
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.small_samples import SHARE, mean_over_images
from fruitaudit.trust.control_comparison import compare_with_controls
from fruitaudit.trust.mosaics import share_inside
from fruitaudit.trust.ordering import score_usable_maps


def pointing(maps: FloatArray, masks: npt.NDArray[np.bool_]) -> DoubleArray:
    """Whether the highest value lies inside the mask, (N,), 0..1; of several highest pixels, their share inside.

    Paper: Zhang, Bargal, Lin, Brandt, Shen, Sclaroff 2016, arXiv:1608.00507, sec. 4.1.
    Differs from the paper: no tolerance of 15 pixels around the mask.
    """

    def score(usable: IntArray) -> DoubleArray:
        usable_maps = maps[usable]
        highest = usable_maps == usable_maps.max(axis=(1, 2), keepdims=True)
        return (highest & masks[usable]).sum(axis=(1, 2)) / highest.sum(axis=(1, 2))

    return score_usable_maps(maps, score)


def usable_masks(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(N, H, W) -> (N,): whether a mask separates object and background: neither empty nor everywhere."""
    covers = masks.mean(axis=(1, 2))
    return (covers > 0) & (covers < 1)


def localization(
    maps: FloatArray,
    controls: Mapping[str, FloatArray],
    masks: npt.NDArray[np.bool_],
    class_names: Sequence[str],
    streams: Streams,
    groups: IntArray | None = None,
) -> Localization | NotRun:
    """Energy inside the object (Wang et al. 2020, arXiv:1910.01279, sec. 4.3) and pointing game, beside the controls.

    `class_names` (N,) names the class explained per image. A mask that is empty or covers all is left out.
    """
    usable = usable_masks(masks)
    if not usable.any():
        return NotRun("no image has a mask of its object that leaves background over", "no_masks")
    maps, masks, units = maps[usable], masks[usable], None if groups is None else groups[usable]
    others = {name: control[usable] for name, control in controls.items()}
    inside = share_inside(maps, masks)
    energy = compare_with_controls(
        inside, {name: share_inside(m, masks) for name, m in others.items()}, streams, groups=units
    )
    hits = compare_with_controls(
        pointing(maps, masks), {name: pointing(m, masks) for name, m in others.items()}, streams, groups=units
    )
    if isinstance(energy, NotRun):
        return energy
    if isinstance(hits, NotRun):
        return hits
    names, covers = np.array(class_names)[usable], masks.mean(axis=(1, 2))
    of_class = {name: names == name for name in sorted(set(names.tolist()))}
    background, shares = (
        {
            name: mean_over_images(
                1 - scores[rows], streams, within=SHARE, groups=None if units is None else units[rows]
            )
            for name, rows in of_class.items()
        }
        for scores in (inside, covers)
    )
    return Localization(energy, hits, mean_over_images(covers, streams, within=SHARE, groups=units), background, shares)
