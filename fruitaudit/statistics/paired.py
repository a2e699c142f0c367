"""Tests of two answers to the same images."""

from __future__ import annotations


def mcnemar(one: int, other: int) -> float:
    """Probability, 0..1, of counts of discordant pairs at least as unequal, if either kind were as likely (two-sided).

    Paper: McNemar 1947, Psychometrika 12(2), 153-157. Differs from the paper: the exact binomial, not chi-squared.
    """
    from scipy.stats import binomtest

    return float(binomtest(one, one + other).pvalue) if one + other else 1.0
