"""Tests of two answers to the same images."""

from __future__ import annotations

import numpy as np

from fruitaudit.records.data import BoolArray, IntArray
from fruitaudit.statistics.groups import few_groups, numbered


def mcnemar(one: BoolArray, other: BoolArray, groups: IntArray | None = None) -> float | None:
    """Probability, 0..1, that images (N,) of two kinds are at least as unequal in number by chance (two-sided).

    Images of both kinds or of neither do not count. With `groups` (N,) whole groups are the units: Student's t of the
    differences within groups, a ratio estimator; None under five groups that have such images.
    Papers: McNemar 1947, Psychometrika 12(2), 153-157; with groups Eliasziw, Donner 1991, Stat. Med. 10, 1981-1991.
    Differs from the papers: the exact binomial, not chi-squared; with groups Student's quantile.
    """
    from scipy.stats import binomtest, t

    difference = one.astype(np.int64) - other
    n_one, n_other = int((difference > 0).sum()), int((difference < 0).sum())
    if not n_one + n_other:
        return 1.0
    units, n_units = numbered(groups[difference != 0]) if groups is not None else (None, 0)
    if units is None or n_units == n_one + n_other:
        if units is not None and few_groups(n_units):
            return None
        return float(binomtest(n_one, n_one + n_other).pvalue)
    if few_groups(n_units):
        return None
    of_group = np.bincount(units, weights=difference[difference != 0].astype(np.float64))
    # Under the null the mean is zero, so that squares are taken about zero, as McNemar's test does.
    statistic = abs(float(of_group.sum())) / float(np.sqrt((of_group**2).sum() * n_units / (n_units - 1)) or 1.0)
    return float(2 * t.sf(statistic, n_units - 1))
