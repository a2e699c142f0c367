"""What an audit will do and cost, before it starts: stages, model passes, minutes, memory, and what will be NotRun.

The time of a pass and of reading an image are measured on this machine, on a few images of the first split.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from fruitaudit.attribution.base import Passes, passes_of
from fruitaudit.choice import methods_of, model_methods
from fruitaudit.config.schema import Config, MethodSettings
from fruitaudit.data.stream import stream
from fruitaudit.errors import CannotExplain, DataError
from fruitaudit.gates import gates_on_figures, parse_gate
from fruitaudit.gates.grammar import EVERY_CLASS
from fruitaudit.opening import Opened, open_inputs
from fruitaudit.pipeline import check
from fruitaudit.providers.registry import build
from fruitaudit.runtime import Streams, peak_memory_mb

AUTO_ERROR_GROUPS = 4
"""The `auto` rule makes at most this many groups of errors, each with its controls."""
PROBE = 32


@dataclass(frozen=True)
class PlannedStage:
    """One row of the plan. `images` is an upper bound where groups are drawn later."""

    title: str
    images: int
    passes: Passes
    seconds: float


@dataclass(frozen=True)
class Plan:
    """The whole plan. `not_run` holds (what, why)."""

    stages: tuple[PlannedStage, ...]
    memory_mb: float
    not_run: tuple[tuple[str, str], ...]

    @property
    def seconds(self) -> float:
        """Estimated wall time of all stages."""
        return sum(stage.seconds for stage in self.stages)


def plan(config: Config) -> Plan:
    """Open model and data, time a few passes, and add up what the audit needs."""
    check(config)
    opened = open_inputs(config, Streams(config.seed))
    read, forward, gradient, no_gradient = _seconds_per_image(opened)
    stages = [
        PlannedStage(f"predict {split.name}", n, Passes(forward=n), n * (read + forward))
        for split in opened.splits
        for n in [len(split.samples)]
    ]
    not_run = []
    for title, images, methods in _groups(config):
        for settings in methods:
            method = build(settings, config.providers.interpreters)
            if method.registration.family == "cam" and opened.classifier.cam_layer is None:
                not_run.append((f"{settings.spelling} on {title}", "the model has no layer with a spatial activation"))
                continue
            try:
                passes = passes_of(method, opened.classifier, images)
            except CannotExplain as reason:
                not_run.append((f"{settings.spelling} on {title}", str(reason)))
                continue
            if passes.gradient and no_gradient:
                not_run.append((f"{settings.spelling} on {title}", no_gradient))
                continue
            seconds = passes.forward * forward + passes.gradient * gradient
            stages.append(PlannedStage(f"{settings.spelling} on {title}", images, passes, seconds))
    not_run += _gates_not_run(config, opened)
    rows = sum(len(split.samples) for split in opened.splits)
    return Plan(tuple(stages), peak_memory_mb() + rows * opened.classifier.n_classes * 8 / 2**20, tuple(not_run))


def _groups(config: Config) -> list[tuple[str, int, tuple[MethodSettings, ...]]]:
    """(title, images at most, methods) of every group there will be, the model itself first."""
    model: list[tuple[str, int, tuple[MethodSettings, ...]]] = [("the model", 0, model_methods(config))]
    if config.groups != "auto":
        return model + [(g.name, g.max_images, methods_of(config, g.name, g.kind)) for g in config.groups]
    images = AUTO_ERROR_GROUPS * config.max_images
    errors, controls = methods_of(config, "", "false_positive"), methods_of(config, "", "true_positive")
    return [*model, ("errors", images, errors), ("true positives", images, controls)]


def _gates_not_run(config: Config, opened: Opened) -> Iterator[tuple[str, str]]:
    """Gates that the lists of files already show to have too little to go by."""
    splits = {split.name: split for split in opened.splits}
    for gate in map(parse_gate, gates_on_figures(config.gates)):
        split, named = splits[gate.split], gate.settings.gate
        if len(split.bad) > config.max_bad_share * split.n_found:
            yield named, f"{len(split.bad)} of {split.n_found} files of {split.name} cannot be used"
        elif gate.class_name is not None:
            needed = max(gate.settings.min_support, int(gate.metric == "recall"))
            support = Counter(sample.label for sample in split.samples)
            classes = [c for c, name in enumerate(opened.class_names) if gate.class_name in (EVERY_CLASS, name)]
            few = [opened.class_names[c] for c in classes if support[c] < needed]
            if few:
                least = f"fewer than {needed} images" if needed > 1 else "no image"
                which = few[0] if len(classes) == 1 else f"{len(few)} of {len(classes)} classes, such as {few[0]},"
                yield named, f"{which} have {least} in {split.name}"


def _seconds_per_image(opened: Opened) -> tuple[float, float, float, str]:
    """Wall time of reading an image, of a forward pass and of a pass forward and back, after one warm-up each.

    Last, why there is no pass back, or nothing.
    """
    begin = time.perf_counter()
    batch = next(stream(opened.splits[0], opened.preprocessor, PROBE), None)
    if batch is None:
        raise DataError(f"split {opened.splits[0].name}: none of its images can be read")
    read = (time.perf_counter() - begin) / len(batch.samples)
    classes = opened.classifier.probabilities(batch.values).argmax(axis=1)
    forward = _time(lambda: opened.classifier.probabilities(batch.values)) / len(batch.samples)
    try:
        gradient = _time(lambda: opened.classifier.gradient(batch.values, classes)) / len(batch.samples)
    except CannotExplain as reason:
        return read, forward, 0.0, str(reason)
    return read, forward, gradient, ""


def _time(run: Callable[[], object]) -> float:
    run()
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def print_plan(made: Plan, *, as_json: bool = False) -> None:
    """Print the plan to stdout."""
    if as_json:
        print(json.dumps(asdict(made) | {"seconds": made.seconds}, indent=1))
        return
    table = Table(title="Plan, with model passes", title_justify="left", box=None, pad_edge=False)
    table.add_column("stage", overflow="fold")
    for column in ("images", "forward", "gradient", "seconds"):
        table.add_column(column, justify="right")
    for stage in made.stages:
        table.add_row(stage.title, f"{stage.images:,}", f"{stage.passes.forward:,}", f"{stage.passes.gradient:,}",
                      f"{stage.seconds:.1f}")  # fmt: skip
    console = Console(highlight=False, markup=False)
    console.print(table)
    console.print(f"\nAbout {made.seconds / 60:.1f} minutes and {made.memory_mb / 1000:.1f} GB of memory; "
                  "groups that turn out smaller cost less.")  # fmt: skip
    for what, why in made.not_run:
        console.print(f"Will not run: {what}: {why}.")
