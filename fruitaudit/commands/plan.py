"""What an audit will do and cost, before it starts: stages, model passes, minutes, memory, and what will be NotRun.

The time of a pass and of reading an image are measured on this machine, on a few images of the first split. Nothing of
the user's is run: a model that is code is not opened, and no interpreter is asked for its libraries.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import prod

from rich.console import Console
from rich.table import Table

from fruitaudit.attribution.base import Method, Passes, background_of, least_passes_of, passes_of
from fruitaudit.attribution.cams import layer_for
from fruitaudit.attribution.explain import why_no_contrast, why_not_offered
from fruitaudit.attribution.sharing import CACHE_BYTES
from fruitaudit.audit.choice import methods_of, model_methods
from fruitaudit.audit.opening import Opened, open_inputs, open_splits
from fruitaudit.config.schema import Config, MethodSettings
from fruitaudit.data.splits import Split
from fruitaudit.data.stream import stream
from fruitaudit.diagnosis.cost import cost as cost_of_experiments
from fruitaudit.errors import CannotExplain, DataError
from fruitaudit.gates import Counts, foretold
from fruitaudit.inputs.classes import class_list
from fruitaudit.models.base import offering
from fruitaudit.models.open import code_in
from fruitaudit.pipeline import check
from fruitaudit.providers.registry import build
from fruitaudit.records.conditions import FigureGate
from fruitaudit.records.results import MemoryPlan
from fruitaudit.runtime.memory import peak_memory_mb
from fruitaudit.runtime.streams import Streams
from fruitaudit.trust import labels
from fruitaudit.trust import plan as trust
from fruitaudit.trust.audit import LABELLED, WITHOUT_MAPS

AUTO_ERROR_GROUPS = 4
"""The `auto` rule makes at most this many groups of errors, each with its controls."""
PROBE = 32
ARRAYS = 16
"""Arrays of the size of a group's images that a method may hold: the images themselves, sums in 64 bits, maps."""


@dataclass(frozen=True)
class PlannedStage:
    """One row of the plan. `images` is an upper bound where groups are drawn later.

    `passes` and `seconds` are the most it can cost, `least` and `least_seconds` the least, where that is known to be
    less, and None where the model was not opened; `at_most`: it depends on the images, and how much less it may be is
    not known.
    """

    title: str
    images: int
    passes: Passes
    seconds: float | None
    least: Passes
    least_seconds: float | None
    at_most: bool = False


@dataclass(frozen=True)
class Plan:
    """The whole plan. `memory_mb` is what the audit is expected to take, `not_run` holds (what, why).

    `not_opened`: why the model was not opened, so that `stages` has the predictions alone and `memory` is None.
    """

    stages: tuple[PlannedStage, ...]
    memory_mb: float | None
    memory: MemoryPlan | None
    not_run: tuple[tuple[str, str], ...]
    not_opened: str = ""

    @property
    def seconds(self) -> float | None:
        """Estimated wall time of all stages, at the most; None where the model was not opened."""
        return _sum(stage.seconds for stage in self.stages)

    @property
    def least_seconds(self) -> float | None:
        """The same at the least, as far as that is known."""
        return _sum(stage.least_seconds for stage in self.stages)


def _sum(seconds: Iterable[float | None]) -> float | None:
    known = list(seconds)
    return None if None in known else sum(s for s in known if s is not None)


def plan(config: Config) -> Plan:
    """Open model and data, time a few passes, and add up what the audit needs."""
    check(config, ask=False)
    if config.model.allow_code:
        if code := code_in(config.model.path):
            return _unopened(config, code[0])
        # The flag stands in the config of a model that needs none, too.
        config = config.model_copy(update={"model": config.model.model_copy(update={"allow_code": False})})
    opened = open_inputs(config, Streams(config.seed))
    speed = _speed(opened)
    stages, not_run = [], []
    for split in opened.splits:
        passes = Passes(forward=len(split.samples))
        seconds = len(split.samples) * speed.read + speed.seconds(passes)
        stages.append(PlannedStage(f"predict {split.name}", passes.forward, passes, seconds, passes, seconds))
    rows, most_images, most_references = sum(stage.images for stage in stages), 0, 0
    references = max((len(split.samples) for split in opened.splits if split.role == "reference"), default=0)
    for title, images, methods in _groups(config):
        for settings in methods:
            method, name = build(settings, config.providers.interpreters, ask=False), f"{settings.spelling} on {title}"
            try:
                stages.append(_stage(config, opened, method, name, images, speed))
                most_images = max(most_images, images)
                most_references = max(most_references, min(background_of(method), references))
            except CannotExplain as reason:
                not_run.append((name, str(reason)))
    stages += [*_tests(config, opened, speed), *_experiments(config, opened, speed)]
    not_run += _gates_not_run(config, opened.splits, opened.class_names)
    image = 4 * prod(opened.classifier.input_shape)
    held = (ARRAYS * most_images + most_references) * image + min(CACHE_BYTES, ARRAYS * most_images * image)
    arrays = rows * opened.classifier.n_classes * 8 + held
    memory_mb = max(peak_memory_mb(), opened.memory.expected_mb) + arrays / 1e6
    return Plan(tuple(stages), memory_mb, opened.memory, tuple(not_run))


def _unopened(config: Config, code: str) -> Plan:
    """All that can be said beside a model that is code."""
    classes = class_list(config)
    names, splits = classes.names, open_splits(config, classes)
    passes = [Passes(forward=len(split.samples)) for split in splits]
    stages = (
        PlannedStage(f"predict {split.name}", p.forward, p, None, p, None)
        for split, p in zip(splits, passes, strict=True)
    )
    why = f"the model was not opened, as a dry run runs no code: {code}; what else it costs depends on the model"
    return Plan(tuple(stages), None, None, tuple(_gates_not_run(config, splits, names)), why)


def _stage(config: Config, opened: Opened, method: Method, name: str, images: int, speed: _Speed) -> PlannedStage:
    """What a method costs on a group. Raises CannotExplain where it will not run."""
    registration = method.registration
    if config.target == "contrast" and registration.explains != "activation" and (reason := why_no_contrast(method)):
        raise CannotExplain(reason)
    if reason := why_not_offered(registration, opened.classifier):
        raise CannotExplain(reason)
    if registration.family == "cam" or "layer_gradients" in registration.needs:
        layer_for(
            offering(opened.classifier, *registration.needs), getattr(method, "layer", None), registration.title
        )  # raises where there is none
    most, least = (of(method, opened.classifier, images) for of in (passes_of, least_passes_of))
    if most.gradient and speed.no_gradient:
        raise CannotExplain(speed.no_gradient)
    return PlannedStage(
        name, images, most, speed.seconds(most), least, speed.seconds(least), at_most=registration.upper_bound
    )


def _groups(config: Config) -> list[tuple[str, int, tuple[MethodSettings, ...]]]:
    """(title, images at most, methods) of every group there will be, the model itself first."""
    model: list[tuple[str, int, tuple[MethodSettings, ...]]] = [("the model", 0, model_methods(config))]
    if config.groups != "auto":
        return model + [(g.name, g.max_images, methods_of(config, g.name, g.kind)) for g in config.groups]
    images = AUTO_ERROR_GROUPS * config.max_images
    errors, controls = methods_of(config, "", "false_positive"), methods_of(config, "", "true_positive")
    return [*model, ("errors", images, errors), ("true positives", images, controls)]


def _tests(config: Config, opened: Opened, speed: _Speed) -> Iterator[PlannedStage]:
    """The tests of the explanations: most of their passes are those of explanations made again and again."""
    all_settings = [settings for _, _, methods in _groups(config) for settings in methods]
    built = {settings.spelling: build(settings, config.providers.interpreters, ask=False) for settings in all_settings}
    methods = {name: method for name, method in built.items() if _has_maps(method, opened)}
    if config.trust == "off" or not methods:
        return
    level, shape = config.trust, opened.classifier.input_shape
    images = min(trust.LEVELS[level].cheap.images, max(len(split.samples) for split in opened.splits))
    layers = offering(opened.classifier, "copies").weighted_layers if "copies" in opened.classifier.offers else 0
    costs = trust.cost(methods, level, opened.classifier, images=images, layers=layers)
    passes = sum(costs.values(), start=Passes())
    if config.trust_labels:
        passes += labels.cost(LABELLED)
    seconds = speed.seconds(passes) + trust.filling_seconds(len(methods), level, images=images, shape=shape)
    yield PlannedStage("test the explanations", images, passes, seconds, passes, seconds, at_most=True)


def _has_maps(method: Method, opened: Opened) -> bool:
    registration = method.registration
    return registration.family not in WITHOUT_MAPS and not why_not_offered(registration, opened.classifier)


def _experiments(config: Config, opened: Opened, speed: _Speed) -> Iterator[PlannedStage]:
    """The experiments that look for causes."""
    splits = [(split.role, len(split.samples)) for split in opened.splits]
    negatives = sum(n for _, n, methods in _groups(config) for settings in methods if settings.name == "cem")
    parts = cost_of_experiments(config.diagnosis, splits, opened.classifier.input_shape, negatives=negatives)
    if parts:
        passes = sum((part.passes for part in parts), start=Passes())
        seconds = speed.seconds(passes) + sum(part.seconds for part in parts)
        images = sum(n for _, n in splits)
        yield PlannedStage("look for causes", images, passes, seconds, passes, seconds, at_most=True)


def _gates_not_run(config: Config, opened_splits: Sequence[Split], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Gates that the lists of files already show to have too little to go by."""
    splits = {split.name: split for split in opened_splits}
    for settings in config.gates:
        gate = settings.gate
        if isinstance(gate, FigureGate):
            split = splits[gate.split]
            support = Counter(sample.label for sample in split.samples)
            classes = tuple((name, support[c]) for c, name in enumerate(names))
            if why := foretold(settings, gate, Counts(classes, split.n_found, len(split.bad)), config.max_bad_share):
                yield gate.text, why


@dataclass(frozen=True)
class _Speed:
    """Wall seconds of reading an image, of a forward pass and of a pass forward and back; or why there is none back."""

    read: float
    forward: float
    gradient: float
    no_gradient: str = ""

    def seconds(self, passes: Passes) -> float:
        return passes.forward * self.forward + passes.gradient * self.gradient


def _speed(opened: Opened) -> _Speed:
    """Measured on a few images, after one warm-up each."""
    begin = time.perf_counter()
    batch = next(stream(opened.splits[0], opened.preprocessor, PROBE), None)
    if batch is None:
        raise DataError(f"split {opened.splits[0].name}: none of its images can be read")
    read = (time.perf_counter() - begin) / len(batch.samples)
    classes = opened.classifier.probabilities(batch.values).argmax(axis=1)
    forward = _time(lambda: opened.classifier.probabilities(batch.values)) / len(batch.samples)
    try:
        gradient = _time(lambda: offering(opened.classifier, "gradients").gradient(batch.values, classes)) / len(
            batch.samples
        )
    except CannotExplain as reason:
        return _Speed(read, forward, 0.0, str(reason))
    return _Speed(read, forward, gradient)


def _time(run: Callable[[], object]) -> float:
    run()
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def print_plan(audit_plan: Plan, *, as_json: bool = False) -> None:
    """Print the plan to stdout."""
    if as_json:
        print(
            json.dumps(
                asdict(audit_plan) | {"seconds": audit_plan.seconds, "least_seconds": audit_plan.least_seconds},
                indent=1,
            )
        )
        return
    table = Table(title="Plan, with model passes", title_justify="left", box=None, pad_edge=False)
    table.add_column("stage", overflow="fold")
    for column in ("images", "forward", "gradient", "seconds"):
        table.add_column(column, justify="right")
    for stage in audit_plan.stages:
        most, least = stage.passes, stage.least
        table.add_row(f"{stage.title}, at most" if stage.at_most else stage.title, f"{stage.images:,}",
                      _range(least.forward, most.forward), _range(least.gradient, most.gradient),
                      _range(stage.least_seconds, stage.seconds, ".1f"))  # fmt: skip
    console = Console(highlight=False, markup=False)
    console.print(table)
    memory, shortest, longest = audit_plan.memory, audit_plan.least_seconds, audit_plan.seconds
    if memory is None or audit_plan.memory_mb is None or shortest is None or longest is None:
        console.print(f"\n{audit_plan.not_opened[:1].upper()}{audit_plan.not_opened[1:]}.")
    else:
        console.print(f"\nAbout {_range(shortest / 60, longest / 60, '.1f')} minutes and "
                      f"{audit_plan.memory_mb / 1000:.1f} GB of memory, with {memory.batch_size} images of "
                      f"{memory.image_mb:.0f} MB at once; groups that turn out smaller cost less.")  # fmt: skip
    for what, why in audit_plan.not_run:
        console.print(f"Will not run: {what}: {why}.")


def _range(least: float | None, most: float | None, form: str = ",") -> str:
    if least is None or most is None:
        return "unknown"
    low, high = format(least, form), format(most, form)
    return high if low == high else f"{low} to {high}"
