"""Wall time, model passes and progress of every step: what `run.json` holds of one execution."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from fruitaudit.models.base import WithScores
from fruitaudit.records.results import MemoryPlan, RunInfo, Timing
from fruitaudit.records.trust import ExplanationCost
from fruitaudit.runtime.memory import peak_memory_mb
from fruitaudit.runtime.versions import versions


class Progress(Protocol):
    """Where an audit tells how far it is."""

    def stage(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Begin a step of `total` units; call what it yields with the units done since the last call."""
        ...


@dataclass
class StepProgress:
    """One running step: call `advance` with the units done; set `cached` where nothing was computed anew."""

    advance: Callable[[int], None]
    cached: bool = False


@dataclass
class Steps:
    """All steps of one execution. Passes are counted from the moment that `classifier` is set."""

    progress: Progress
    classifier: WithScores | None = None
    memory: MemoryPlan | None = None
    timings: list[Timing] = field(default_factory=list)
    explanation_costs: tuple[ExplanationCost, ...] = ()
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    begin: float = field(default_factory=time.perf_counter)

    @contextmanager
    def step(self, title: str, total: int = 0) -> Iterator[StepProgress]:
        """Show a step's progress, and note its wall time, its model passes and whether the cache answered it."""
        counter = self.classifier.passes if self.classifier else None
        before = counter.snapshot() if counter else None
        begin = time.perf_counter()
        with self.progress.stage(title, total) as advance:
            step = StepProgress(advance)
            yield step
        step_passes = counter.since(before) if counter and before else None
        seconds = time.perf_counter() - begin
        passes = (step_passes.forward, step_passes.gradient) if step_passes else (0, 0)
        self.timings.append(Timing(title, seconds, *passes, cached=step.cached))

    def run_info(self, command: str, hashes: dict[str, str]) -> RunInfo:
        """The execution so far."""
        return RunInfo(
            started=self.started.isoformat(timespec="seconds"),
            seconds=time.perf_counter() - self.begin,
            peak_memory_mb=peak_memory_mb(),
            command=command,
            device=self.classifier.device if self.classifier else "",
            versions=versions(),
            hashes=hashes,
            timings=tuple(self.timings),
            explanation_costs=self.explanation_costs,
            memory=self.memory,
        )
