"""One method under test: makes maps, and keeps count of what they cost."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np

from fruitaudit.attribution.base import Method, passes_of
from fruitaudit.attribution.explain import explain
from fruitaudit.models.base import WithScores
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Explanation, Targets
from fruitaudit.records.passes import Passes
from fruitaudit.records.states import NotRun
from fruitaudit.records.trust import ExplanationCost
from fruitaudit.runtime.streams import Streams


@dataclass
class Meter:
    """Explanations, seconds and passes so far."""

    explanations: int = 0
    seconds: float = 0.0
    passes: Passes = field(default_factory=Passes)


@dataclass(frozen=True)
class Subject:
    """A method with its options, called `name` in the config. Variants of it run on the same meter."""

    name: str
    method: Method
    streams: Streams
    meter: Meter = field(default_factory=Meter)

    def explain(self, model: WithScores, images: Images, targets: Targets) -> Explanation | NotRun:
        """The method's explanation, counted and timed."""
        begin = time.perf_counter()
        explanation = explain(self.method, model, images, targets, self.streams)
        if not isinstance(explanation, NotRun):
            self.meter.seconds += time.perf_counter() - begin
            self.meter.explanations += len(images)
            self.meter.passes += passes_of(self.method, model, len(images))
        return explanation

    def maps(self, model: WithScores, images: Images, targets: Targets) -> FloatArray | NotRun:
        """(N, H, W), or why there are none."""
        if not len(images):
            return NotRun("there are no images for it", "no_images")
        return maps_of(self.explain(model, images, targets), self.method.registration.title)

    def seeded(self, seed: int) -> Subject:
        """The same method with other random numbers."""
        return replace(self, streams=Streams(seed))

    def using(self, method: Method) -> Subject:
        """The same subject with other options."""
        return replace(self, method=method)

    def cost(self) -> ExplanationCost:
        """Seconds and passes per explanation so far."""
        meter, n = self.meter, max(self.meter.explanations, 1)
        return ExplanationCost(self.name, meter.explanations, meter.seconds / n, meter.passes.forward / n,
                               meter.passes.gradient / n)  # fmt: skip


def maps_of(explanation: Explanation | NotRun, title: str) -> FloatArray | NotRun:
    """The maps of an explanation that has one per image."""
    if isinstance(explanation, NotRun):
        return explanation
    values = getattr(explanation, "values", None)
    if not isinstance(values, np.ndarray) or values.ndim != 3:
        return NotRun(f"{title} gives no map of the image, and these tests are of maps", "not_applicable")
    return values
