"""Background reliance of every group that was explained, from the maps that the report shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.explanations import ExplanationNotRun, ExplanationRow, Group
from fruitaudit.records.states import Quantity
from fruitaudit.records.trust import GroupReliance
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.small_samples import SHARE, mean_over_images
from fruitaudit.trust.localization import usable_masks
from fruitaudit.trust.mosaics import share_inside


def reliance(
    group: Group,
    methods: Iterable[str],
    rows: Sequence[ExplanationRow | ExplanationNotRun],
    masks: FloatArray | None,
    maps_of: Callable[[ExplanationRow], FloatArray],
    streams: Streams,
    groups: IntArray | None = None,
) -> GroupReliance | None:
    """Share of the positive evidence beside the object, by method; None without a usable mask.

    `rows` are the explanations by method and group, of namesakes the first; `masks` (N, H, W) are those of
    the group's images: 1 on the object, NaN for an image without one; `maps_of` gives the stored maps (N, H, W).
    `groups` (N,) number the objects or scenes that the images show.
    """
    usable = None if masks is None else usable_masks(masks == 1)
    if masks is None or usable is None or not usable.any():
        return None
    on_object, units = masks[usable] == 1, None if groups is None else groups[usable]
    of_group = {row.method: row for row in reversed(rows) if row.group == group.name}
    background: dict[str, Quantity] = {}
    for name in methods:
        match of_group.get(name):
            case ExplanationRow(kind="maps" | "segments") as row:
                background[name] = mean_over_images(
                    1 - share_inside(maps_of(row)[usable], on_object), streams, within=SHARE, groups=units
                )
            case ExplanationNotRun() as row:
                background[name] = row.reason
    share = mean_over_images(1 - on_object.mean(axis=(1, 2)), streams, within=SHARE, groups=units)
    return GroupReliance(group.name, group.title, share, background)
