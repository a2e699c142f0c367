"""How far the audit is, on stderr: bars in a terminal, lines elsewhere, nothing with --quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn


class Quiet:
    """Says nothing."""

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Begin a step that nobody watches."""
        yield lambda _n: None


class Lines:
    """One line per finished step, without control characters: for logs."""

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Begin a step; its line is printed when it ends."""
        begin, done = time.perf_counter(), [0]

        def advance(n: int) -> None:
            done[0] += n

        yield advance
        count = f", {done[0]} of {total}" if total > 1 else ""
        print(f"{title}{count}: {time.perf_counter() - begin:.1f} s", file=sys.stderr, flush=True)


class Bars:
    """One bar per running step, with the time left."""

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Begin a step; its bar goes when it ends."""
        columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
        if total > 1:
            columns += [BarColumn(), MofNCompleteColumn(), TextColumn("time left"), TimeRemainingColumn()]
        with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
            task = bars.add_task(title, total=total or None)
            yield lambda n: bars.advance(task, n)


def progress_for(*, quiet: bool) -> Quiet | Lines | Bars:
    """What fits the place where stderr goes."""
    if quiet:
        return Quiet()
    return Bars() if sys.stderr.isatty() else Lines()
