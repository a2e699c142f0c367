"""Images that come in groups (one object, patient or burst): how many independent images they are worth."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import BoolArray, DoubleArray, IntArray
from fruitaudit.records.states import NotRun

FEWEST_GROUPS = 5
"""Groups below which their spread says too little for an interval."""

SKEWED_FROM = 10
"""Groups from which the end of an interval away from one half takes the normal quantile."""

Z = NormalDist().inv_cdf(0.975)


def few_groups(n_groups: int) -> NotRun | None:
    """Why there is no interval, or None where there are groups enough."""
    if n_groups >= FEWEST_GROUPS:
        return None
    named = f"{n_groups} group{'' if n_groups == 1 else 's'}"
    return NotRun(f"its images come from {named} (group_id), and an interval asks for {FEWEST_GROUPS}",
                  "too_few_groups")  # fmt: skip


def few_groups_note(few: NotRun) -> str:
    """For the note of an estimate without an interval."""
    return f"no interval: {few.reason}"


def first_of(groups: IntArray | None, n: int) -> IntArray | None:
    """The groups of the first n images."""
    return None if groups is None else groups[:n]


def numbered(groups: IntArray) -> tuple[IntArray, int]:
    """(N,) the number of each image's group, 0 .. G-1 in the order in which they first occur, and G."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    return place[inverse], len(first)


@dataclass(frozen=True)
class DesignEffect:
    """How many independent images tell as much: `n_effective`, and what the low and the high end are made with.

    The ends ask for fewer, because the design effect is itself estimated.
    """

    n_effective: float
    n_low: float
    n_high: float


def design_effect(hits: BoolArray, groups: IntArray) -> DesignEffect:
    """Of the share p of hits (N,) in `groups` (N,), by the variance of the ratio estimator over groups.

    With x_g hits of m_g images and e_g = x_g - p m_g: v = G / (G - 1) sum e_g^2 / n^2, design effect
    d = max(1, v n / (p (1 - p))), n_effective = n / d. Where p is 0 or 1 no spread is seen, and
    n_effective = n^2 / sum m_g^2: the number of groups where they are of one size.
    The normal quantile z of Wilson's interval stands for Student's t with G - 1 degrees of freedom: its n is
    (z / t)^2 n_effective. Where fewer than five groups have the rarer answer, the spread is not seen either: there the
    end toward one half counts whole groups.
    Papers: Korn, Graubard 1998, Surv. Methodol. 24(2), 193-201; Dean, Pagano 2015, J. Surv. Stat. Methodol. 3(4),
    484-503 (Wilson on the effective number, with Student's quantile).
    Differs from the papers: d is at least 1, whole groups are counted as said, and from ten groups on the end away from
    one half keeps z, because the error there is skewed. Coverage: `benchmarks/intervals.md`.
    """
    inverse, n_groups = numbered(groups)
    n = len(hits)
    if n_groups == n:
        return DesignEffect(n, n, n)
    sizes = np.bincount(inverse, minlength=n_groups)
    of_group = np.bincount(inverse, weights=hits.astype(np.float64), minlength=n_groups)
    return DesignEffect(
        *(float(numbers[0]) for numbers in effective_numbers(np.atleast_2d(of_group).astype(np.float64), sizes))
    )


def effective_numbers(
    hits: DoubleArray, sizes: npt.NDArray[np.integer[Any]]
) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """`n_effective`, `n_low` and `n_high` of `DesignEffect`, each (R,), of R draws of hits (R, G) in groups (G,)."""
    from scipy.stats import t

    n, n_groups = float(sizes.sum()), len(sizes)
    p = hits.sum(axis=1) / n
    squares = (hits - p[:, None] * sizes) ** 2
    total = squares.sum(axis=1)
    varies = (p > 0) & (p < 1)
    # Where groups do not differ at all the ratio is 0: they tell as much as independent images.
    ratio = n_groups / (n_groups - 1) * total / np.where(varies, n * p * (1 - p), 1.0)
    usual = (Z / t.ppf(0.975, n_groups - 1)) ** 2
    whole_groups = n * n / float((sizes.astype(np.float64) ** 2).sum())
    effective = n / np.maximum(ratio, 1.0)
    rarer = np.where(p[:, None] > 0.5, hits < sizes, hits > 0).sum(axis=1)
    far = np.where(rarer < FEWEST_GROUPS, np.minimum(effective, whole_groups), effective) * usual
    near = np.minimum(n, n / np.maximum(ratio, 1e-12) * (usual if n_groups < SKEWED_FROM else 1.0))
    effective, near, far = (np.where(varies, values, whole_groups) for values in (effective, near, far))
    return effective, np.where(p > 0.5, far, near), np.where(p > 0.5, near, far)
