"""A method's scores beside those of the controls, paired by image."""

from __future__ import annotations

from collections.abc import Mapping

from fruitaudit.records.data import DoubleArray, IntArray
from fruitaudit.records.states import NotRun
from fruitaudit.records.trust import ControlComparison
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.small_samples import mean_over_images


def compare_with_controls(
    method_scores: DoubleArray,
    controls: Mapping[str, DoubleArray],
    streams: Streams,
    *,
    higher_is_better: bool = True,
    groups: IntArray | None = None,
) -> ControlComparison | NotRun:
    """Means of the method and of each control on the same images, and the mean paired gain over each control."""
    mean = mean_over_images(method_scores, streams, groups=groups)
    if isinstance(mean, NotRun):
        return mean
    sign = 1 if higher_is_better else -1
    return ControlComparison(
        mean,
        {name: mean_over_images(scores, streams, groups=groups) for name, scores in controls.items()},
        {
            name: mean_over_images(sign * (method_scores - scores), streams, groups=groups)
            for name, scores in controls.items()
        },
        higher_is_better,
    )
