"""Runs all tests on all methods of one model: the one place of this room that knows every axis."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from fruitaudit.attribution.base import Method
from fruitaudit.errors import AuditError, CannotExplain, MachineError
from fruitaudit.models.base import WithScores, offering
from fruitaudit.models.copies import Reinitialisable
from fruitaudit.records.data import FloatArray, Images, IntArray
from fruitaudit.records.explanations import Targets
from fruitaudit.records.states import NotRun, Quantity
from fruitaudit.records.trust import ExplanationCost, MethodTrust, TrustLevel, TrustNotRun, TrustReport
from fruitaudit.runtime.memory import LESS_MEMORY, is_out_of_memory
from fruitaudit.runtime.streams import Streams
from fruitaudit.runtime.text import first_line
from fruitaudit.statistics.groups import first_of
from fruitaudit.statistics.small_samples import mean_over_images
from fruitaudit.trust import axes
from fruitaudit.trust.agreement import agreement
from fruitaudit.trust.bench import Bench
from fruitaudit.trust.completeness import completeness
from fruitaudit.trust.plan import LEVELS, Trial, trial
from fruitaudit.trust.rules import RULES, judge
from fruitaudit.trust.subject import Subject, maps_of

log = logging.getLogger(__name__)

NOT_ASKED = NotRun(
    "label randomization was not asked for: it trains a copy of the network on shuffled labels", "not_asked"
)

NO_PROMISE = NotRun("the method does not promise that its maps add up to anything", "not_applicable")


@dataclass(frozen=True)
class TrustRun:
    """What goes into `results.json`, and what into `run.json`."""

    report: TrustReport
    costs: tuple[ExplanationCost, ...]


def measure(
    model: WithScores,
    images: Images,
    targets: Targets,
    methods: Mapping[str, Method],
    streams: Streams,
    level: TrustLevel,
    *,
    class_names: Sequence[str],
    shuffled: WithScores | NotRun = NOT_ASKED,
    advance: Callable[[int], None] = lambda done: None,
) -> TrustRun:
    """Test methods, named as the config writes them, on some of these images, and judge them.

    `targets` are the classes explained; `shuffled` a copy trained on shuffled labels (`labels.train_on_shuffled`);
    `advance` is called with 1 after each method. A method that fails costs only itself.
    """
    rows = _draw(images, LEVELS[level].cheap.images, streams)
    tested_images, tested_targets = images.select(rows), Targets(targets.classes[rows])
    reinitialisable, features = partial(_reinitialisable, model, streams), partial(_features, model)
    bench = Bench(model, tested_images, tested_targets, streams, LEVELS[level], reinitialisable, features)
    outcomes: dict[str, _Outcome] = {}
    for name, method in methods.items():
        outcomes[name] = _test_method(bench, name, method, class_names, shuffled)
        advance(1)
    records = tuple(outcome.record for outcome in outcomes.values())
    maps = {name: outcome.maps for name, outcome in outcomes.items() if outcome.maps is not None}
    report = TrustReport(
        level=level,
        images=len(tested_images),
        sample_ids=tested_images.sample_ids,
        methods=records,
        verdicts=tuple(judge(record) for record in records if isinstance(record, MethodTrust)),
        agreement=agreement(maps, streams, tested_images.groups),
        rules=RULES,
    )
    return TrustRun(report, tuple(outcome.cost for outcome in outcomes.values() if outcome.cost is not None))


def _reinitialisable(model: WithScores, streams: Streams) -> Reinitialisable:
    return offering(model, "copies").reinitialisable(streams)


def _features(model: WithScores, values: FloatArray) -> FloatArray:
    return offering(model, "activations").features(values)


@dataclass(frozen=True)
class _Outcome:
    """The record of one method; with its maps and their cost where it was tested."""

    record: MethodTrust | TrustNotRun
    maps: FloatArray | None = None
    cost: ExplanationCost | None = None


def _draw(images: Images, most: int, streams: Streams) -> IntArray:
    """Rows of at most so many images, in an order that makes the first few a fair draw as well."""
    draws = [streams.integer("trust", "draw", sample_id) for sample_id in images.sample_ids]
    return np.array(sorted(range(len(draws)), key=draws.__getitem__)[:most], dtype=np.int64)


def _test_method(
    bench: Bench, name: str, method: Method, class_names: Sequence[str], shuffled: WithScores | NotRun
) -> _Outcome:
    title = method.registration.title

    def untested(reason: NotRun) -> _Outcome:
        return _Outcome(TrustNotRun(name, title, reason))

    try:
        method_trial = trial(method, bench.model, bench.budget)
    except CannotExplain as reason:
        return untested(NotRun(str(reason), "not_applicable"))
    subject = Subject(name, method_trial.method, bench.streams)
    explanation = subject.explain(bench.model, *bench.first(method_trial.allowance.images))
    if isinstance(explanation, NotRun):
        return untested(explanation)
    maps = maps_of(explanation, title)
    if isinstance(maps, NotRun):
        return untested(maps)
    errors = completeness(explanation)
    relative_error = (
        None
        if errors is None
        else mean_over_images(errors, bench.streams, groups=first_of(bench.images.groups, len(errors)))
    )
    tested = axes.MethodUnderTest(subject, method_trial.allowance, maps)
    try:
        record = _measure(bench, tested, method_trial, relative_error, class_names, shuffled)
    except AuditError:
        raise
    # A test that fails on one method's maps must not cost the audit, and must not pass.
    except Exception as error:
        if is_out_of_memory(error):
            raise MachineError(f"testing {title} ran out of memory: {LESS_MEMORY}, or leave the method out") from error
        log.debug("testing %s failed", title, exc_info=True)
        return untested(NotRun(f"a test failed: {first_line(error)}", "failed"))
    return _Outcome(record, maps, subject.cost())


def _measure(
    bench: Bench,
    tested: axes.MethodUnderTest,
    method_trial: Trial,
    relative_error: Quantity | None,
    class_names: Sequence[str],
    shuffled: WithScores | NotRun,
) -> MethodTrust:
    subject, registration = tested.subject, method_trial.method.registration
    randomization, reinitialised_maps = axes.randomization(bench, tested)
    return MethodTrust(
        method=subject.name,
        title=registration.title,
        family=registration.family,
        options=asdict(method_trial.method),  # type: ignore[call-overload]
        reduced=method_trial.reduced,
        images=len(tested.maps),
        telling=axes.usable_share(tested.maps, bench.groups(len(tested.maps))),
        faithfulness=axes.faithfulness(bench, tested),
        randomization=randomization,
        label_randomization=axes.on_copy(bench, tested, shuffled),
        changes=axes.changes(bench, tested),
        seeds=axes.seeds(bench, tested),
        settings=axes.settings(bench, tested),
        promises_sum=relative_error is not None,
        completeness=relative_error or NO_PROMISE,
        other_class=axes.other_class(bench, tested),
        grid_pointing=axes.pointing_game(bench, tested),
        edges=axes.edges(bench, tested, reinitialised_maps),
        localization=axes.on_object(bench, tested, class_names),
        # The meter runs until the last axis is done.
        passes=subject.meter.passes,
        explanations=subject.meter.explanations,
    )
