"""How often do 95 % intervals of an accuracy hold the truth, where images come in groups?

    python benchmarks/intervals.py [--draws 2000]      about three minutes; writes benchmarks/intervals.md

Right answers are drawn as beta-binomial: each group has its own accuracy, from a beta distribution with the mean p and
the intraclass correlation rho. A second table draws answers that are copied within a group, where errors are rarer and
larger. Compared are Wilson's interval as if images were independent, and that on the effective number of images.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy

from fruitaudit import __version__
from fruitaudit.statistics.groups import effective_numbers
from fruitaudit.statistics.intervals import ends_of_wilson

GROUPS, SIZES = (5, 8, 12, 20, 30, 50, 100, 200), (1, 2, 3, 5, 10)
CORRELATIONS, ACCURACIES = (0.0, 0.1, 0.3, 0.6, 0.9), (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
MIXED = "1 to 10"
"""Groups of different sizes, 1 to 10 images each."""

Values = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int, npt.NDArray[np.int64], float, float], Values]
wilson_ends = np.vectorize(ends_of_wilson, otypes=[float, float])


def beta_binomial(rng: np.random.Generator, draws: int, sizes: npt.NDArray[np.int64], p: float, rho: float) -> Values:
    """Hits (draws, G) of groups whose accuracies are beta distributed."""
    if rho == 0:
        return rng.binomial(sizes, p, (draws, len(sizes))).astype(np.float64)
    total = 1 / rho - 1
    accuracies = rng.beta(p * total, (1 - p) * total, (draws, len(sizes)))
    return rng.binomial(sizes, accuracies).astype(np.float64)


def copied(rng: np.random.Generator, draws: int, sizes: npt.NDArray[np.int64], p: float, rho: float) -> Values:
    """Hits (draws, G): each image takes its group's one answer with probability sqrt(rho), else one of its own."""
    copies = rng.binomial(sizes, np.sqrt(rho), (draws, len(sizes)))
    return copies * (rng.random((draws, len(sizes))) < p) + rng.binomial(sizes - copies, p).astype(np.float64)


def coverage(draw: Draw, sizes: npt.NDArray[np.int64], p: float, rho: float, draws: int) -> tuple[float, float]:
    """Percent of the draws whose interval holds p: as if images were independent, and by groups."""
    seed = [len(sizes), int(sizes.sum()), round(1000 * p), round(1000 * rho)]
    hits = draw(np.random.default_rng(seed), draws, sizes, p, rho)
    share, n = hits.sum(axis=1) / sizes.sum(), float(sizes.sum())
    naive = wilson_ends(share, n)
    _, n_low, n_high = (np.full(draws, n),) * 3 if sizes.max() == 1 else effective_numbers(hits, sizes)
    low, high = wilson_ends(share, n_low)[0], wilson_ends(share, n_high)[1]
    return tuple(100 * float(((a <= p) & (p <= b)).mean()) for a, b in (naive, (low, high)))  # type: ignore[return-value]


def cells(draw: Draw, draws: int) -> Iterator[tuple[int, str, float, float, float, float]]:
    """(groups, images per group, correlation, accuracy, coverage if independent, coverage by groups)."""
    for n_groups in GROUPS:
        for size in (*SIZES, MIXED):
            sizes = np.resize(np.arange(1, 11), n_groups) if size == MIXED else np.full(n_groups, size)
            for rho in CORRELATIONS if size != 1 else (0.0,):
                for p in ACCURACIES:
                    yield n_groups, str(size), rho, p, *coverage(draw, sizes.astype(np.int64), p, rho, draws)


def summary(rows: list[tuple[int, str, float, float, float, float]]) -> Iterator[str]:
    """One line per number of groups."""
    yield "| groups | cells | if independent | by groups | below 93 | above 97 |"
    yield "|---:|---:|---:|---:|---:|---:|"
    for n_groups in GROUPS:
        naive, ours = (np.array([row[k] for row in rows if row[0] == n_groups]) for k in (4, 5))
        yield (f"| {n_groups} | {len(ours)} | {naive.min():.1f} to {naive.max():.1f} | {ours.min():.1f} to "
               f"{ours.max():.1f} | {(ours < 93).sum()} | {(ours > 97).sum()} |")  # fmt: skip


def full(rows: list[tuple[int, str, float, float, float, float]]) -> Iterator[str]:
    """Every cell: one line per groups, size and correlation; a column per accuracy."""
    yield "| groups | images per group | correlation | " + " | ".join(f"p = {p:g}" for p in ACCURACIES) + " |"
    yield "|---:|---:|---:|" + "---:|" * len(ACCURACIES)
    for start in range(0, len(rows), len(ACCURACIES)):
        block = rows[start : start + len(ACCURACIES)]
        n_groups, size, rho = block[0][:3]
        yield f"| {n_groups} | {size} | {rho:g} | " + " | ".join(f"{row[5]:.1f}" for row in block) + " |"


def report(draws: int) -> str:
    lines = [
        "# Coverage of 95 % intervals of an accuracy over groups of images",
        "",
        f"Made by `python benchmarks/intervals.py --draws {draws}`: {draws:,} draws per cell, so that a true 95 % "
        f"comes out as 94.0 to 96.0. fruitaudit {__version__}, NumPy {np.__version__}, SciPy {scipy.__version__}, "
        f"Python {platform.python_version()}.",
        "",
    ]
    for title, draw in (("Beta-binomial", beta_binomial), ("Copied answers", copied)):
        rows = list(cells(draw, draws))
        lines += [f"## {title}: lowest and highest coverage, percent", "", *summary(rows), ""]
        lines += [f"### {title}: every cell, by groups", "", *full(rows), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--draws", type=int, default=2000)
    text = report(parser.parse_args().draws)
    Path(__file__).with_suffix(".md").write_text(text)
    print(text)
