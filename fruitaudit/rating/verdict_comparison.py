"""Ratings beside the audit's own tests: do both put the methods in the same order?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from fruitaudit.gates.readings import smallest_gain
from fruitaudit.rating.agreement import RESAMPLES
from fruitaudit.records.data import DoubleArray, IntArray
from fruitaudit.records.states import Estimate, NotRun, Quantity
from fruitaudit.records.trust import MethodTrust, TrustReport
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.bootstrap import estimate, resample
from fruitaudit.trust.rules import ORDER
from fruitaudit.trust.similarity import standard_ranks

LEAST_METHODS = 3
"""Two methods can only be in the same order or in the other one."""
TELLING_METHODS = 5
"""Chance puts four methods in the same or the reverse order in 2 of 24 cases."""
LEAST_PICTURES = 3
"""A method that was rated on fewer pictures has no place in an order."""
Figure = Literal["verdict", "faithfulness", "on_object"]
"""Of the audit's own tests: the verdict, the smallest gain over the controls, the share of evidence on the object."""


@dataclass(frozen=True)
class Comparison:
    """Spearman's rank correlation, over `methods`, of their ratings with a figure of the audit's own tests.

    Ratings count from those of the controls of the same picture. The interval is that of other pictures, not of other
    methods.
    """

    figure: Figure
    methods: int
    correlation: Quantity


def compare_with_tests(
    gains: DoubleArray, methods: Sequence[str], trust: TrustReport | NotRun, strata: IntArray, streams: Streams
) -> tuple[Comparison, ...]:
    """Compare (pictures, methods) ratings, NaN where there is none, with each figure.

    `strata` (pictures,) says which kind a picture is: resampling keeps the number of each.
    """
    if isinstance(trust, NotRun):
        return tuple(Comparison(figure, 0, trust) for figure in get_args(Figure))
    return tuple(_comparison(gains, methods, trust, figure, strata, streams) for figure in get_args(Figure))


def _comparison(
    gains: DoubleArray, methods: Sequence[str], trust: TrustReport, figure: Figure, strata: IntArray, streams: Streams
) -> Comparison:
    figures = _figures(trust, figure)
    values_of = {method: value for method, value in figures.items() if isinstance(value, float)}
    reason = next((value for value in figures.values() if isinstance(value, NotRun)), None)
    if reason and not values_of:
        return Comparison(figure, 0, reason)
    has_enough = np.isfinite(gains).sum(axis=0) >= LEAST_PICTURES
    compared = [k for k, method in enumerate(methods) if method in values_of and has_enough[k]]
    if len(compared) < LEAST_METHODS:
        coverage = f"{len(compared)} methods have this figure and ratings on {LEAST_PICTURES} pictures"
        return Comparison(
            figure, len(compared), NotRun(f"{coverage}, and an order takes {LEAST_METHODS}", "too_few_images")
        )
    values = np.array([values_of[methods[k]] for k in compared])
    return Comparison(figure, len(compared), _correlation(gains[:, compared], values, strata, streams))


def _figures(trust: TrustReport, name: Figure) -> dict[str, float | NotRun]:
    """By method, higher is better; a verdict counts 2 (read), 1 or 0 (do not read)."""
    if name == "verdict":
        return {v.method: float(len(ORDER) - 1 - ORDER.index(v.reading)) for v in trust.verdicts}
    measured = [method for method in trust.methods if isinstance(method, MethodTrust)]
    quantities = {m.method: smallest_gain(m)[2] if name == "faithfulness" else _on_object(m) for m in measured}
    return {method: q.value if isinstance(q, Estimate) else q for method, q in quantities.items()}


def _on_object(method: MethodTrust) -> Quantity:
    return method.localization if isinstance(method.localization, NotRun) else method.localization.inside.own


def _correlation(scores: DoubleArray, figure: DoubleArray, strata: IntArray, streams: Streams) -> Quantity:
    """Of the mean over pictures with (methods,) figures."""
    if np.ptp(figure) == 0:
        return NotRun(f"it is the same for all {len(figure)} methods", "undefined")
    finite = np.isfinite(scores)
    zero_filled, has_rating = np.where(finite, scores, 0.0), np.atleast_1d(finite.any(axis=1))

    def statistic(counts: npt.NDArray[np.float32]) -> dict[str, DoubleArray]:
        weights = counts.T.astype(np.float64)
        with np.errstate(invalid="ignore"):
            # Rounded, so that equal means are ties whatever the order of their sums.
            return {"rho": spearman(np.round(weights @ zero_filled / (weights @ finite), 5), figure)}

    value = float(statistic(has_rating[:, None].astype(np.float32))["rho"][0])
    if np.isnan(value):
        return NotRun("all methods are rated alike", "undefined")
    rng = streams.rng("rating", "beside tests")
    samples = resample(statistic, strata, rng, resamples=RESAMPLES)["rho"]
    note = "so few methods may be in any order by chance" if len(figure) < TELLING_METHODS else ""
    return estimate(value, samples, int(has_rating.sum()), support=int(has_rating.sum()), note=note)


def spearman(means: DoubleArray, figure: DoubleArray) -> DoubleArray:
    """(B, M) and (M,) -> (B,): rank correlation, NaN where a row is constant or has a gap."""
    with np.errstate(invalid="ignore"):
        ranks, order = (standard_ranks(v[:, None].astype(np.float32)) for v in (means, figure[None]))
        return np.clip(ranks @ order[0], -1, 1)
