"""All tests on a small network with methods that are right, blind, unsteady or broken: none of the bad ones passes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from pydantic import TypeAdapter
from trust.fakes import Dice, Edges, Fake, Filled
from zoo import KINDS

from fruitaudit.attribution.base import Passes
from fruitaudit.attribution.methods.occlusion import Occlusion
from fruitaudit.attribution.methods.saliency import Saliency
from fruitaudit.attribution.methods.score_cam import ScoreCam
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Targets
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.records.trust import ControlComparison, MethodTrust, TrustNotRun, TrustReport
from fruitaudit.report.artefacts import dump
from fruitaudit.runtime.streams import Streams
from fruitaudit.trust.plan import LEVELS, cost, trial
from fruitaudit.trust.run import TrustRun, measure

N = 10


@dataclass(frozen=True)
class Crash(Fake):
    def maps(self, model, images, targets, streams):
        raise RuntimeError("out of luck")


@dataclass(frozen=True)
class CrashLater(Fake):
    """Works on the images as they are, and on nothing else."""

    def maps(self, model, images, targets, streams):
        if type(self).calls:
            raise RuntimeError("out of luck")
        type(self).calls += 1
        return model.gradient(images.values, targets.classes).sum(axis=-1)

    calls: ClassVar[int] = 0


METHODS = {
    "saliency": Saliency(),
    "occlusion": Occlusion(patch=8, stride=3),
    "edges": Edges(),
    "crash": Crash(),
    "crash_later": CrashLater(),
    "nan": Filled("nan"),
    "zero": Filled("0"),
    "one": Filled("1"),
    "dice": Dice(),
}


@pytest.fixture(scope="module")
def case():
    classifier = Classifier.from_network(KINDS["sequential"]())
    values = np.random.default_rng(0).random((30, 8, 8, 3), np.float32).repeat(4, axis=1).repeat(4, axis=2)
    masks = np.zeros((30, 32, 32), np.float32)
    masks[:, 8:20, 8:20] = 1
    masks[3] = np.nan
    images = Images(values, tuple(f"s/{i}" for i in range(30)), np.zeros(3, "f4"), np.ones(3, "f4"), masks)
    return classifier, images, Targets(classifier.probabilities(values).argmax(axis=1))


def run(case, methods=METHODS) -> TrustRun:
    classifier, images, targets = case
    CrashLater.calls = Dice.calls = 0
    return measure(classifier, images, targets, methods, Streams(4), "quick", class_names=tuple("abcde"))


@pytest.fixture(scope="module")
def measured(case) -> TrustRun:
    return run(case)


def of(measured: TrustRun, name: str) -> MethodTrust:
    record = next(m for m in measured.report.methods if m.method == name)
    assert isinstance(record, MethodTrust)
    return record


def reading(measured: TrustRun, name: str) -> str:
    return next(v.reading for v in measured.report.verdicts if v.method == name)


def test_no_bad_method_passes(measured: TrustRun) -> None:
    for name in ("edges", "crash_later", "nan", "zero", "one", "dice"):
        assert reading(measured, name) != "read", name
    for name in ("edges", "nan", "zero", "one"):
        assert reading(measured, name) == "do_not_read", name


def test_a_method_that_crashes_costs_only_itself(measured: TrustRun) -> None:
    [crashed] = [m for m in measured.report.methods if isinstance(m, TrustNotRun)]
    assert crashed.method == "crash"
    assert "out of luck" in crashed.reason.reason
    assert all(v.method != "crash" for v in measured.report.verdicts)


def test_what_crashes_later_is_not_run_with_its_reason_and_no_pass(measured: TrustRun) -> None:
    later = of(measured, "crash_later")
    assert all("out of luck" in c.spearman.reason for c in later.changes)
    assert isinstance(later.seeds, NotRun)
    assert isinstance(later.other_class, NotRun)
    assert all(isinstance(d.spearman, NotRun) for d in later.randomization.cascading)
    points = {r.rule: r.points_to for v in measured.report.verdicts if v.method == "crash_later" for r in v.reasons}
    assert points["weights"] == points["stability"] == points["seeds"] == points["class"] == "with_care"


@pytest.mark.parametrize("name", ["nan", "zero", "one"])
def test_maps_without_evidence_have_no_number_anywhere(measured: TrustRun, name: str) -> None:
    m = of(measured, name)
    assert m.telling.value == 0
    assert all(isinstance(test, NotRun) for test in m.faithfulness.values())
    assert all(isinstance(d.spearman, NotRun) for d in m.randomization.cascading)
    assert all(isinstance(c.spearman, NotRun) for c in m.changes)
    assert isinstance(m.grid_pointing, NotRun)
    assert isinstance(m.localization, NotRun)
    assert isinstance(m.edges.trained, NotRun)


def test_an_edge_detector_keeps_its_map_when_all_weights_are_destroyed(measured: TrustRun) -> None:
    m = of(measured, "edges")
    assert [d.spearman.value for d in m.randomization.cascading] == pytest.approx([1, 1, 1])
    assert m.edges.difference.value == pytest.approx(0)
    assert m.other_class.value == pytest.approx(1)
    reasons = {r.rule: r.points_to for v in measured.report.verdicts if v.method == "edges" for r in v.reasons}
    assert reasons["weights"] == "do_not_read"
    assert reasons["class"] == "with_care"


def test_new_noise_at_every_call_is_unsteady_and_wins_nothing(measured: TrustRun) -> None:
    m = of(measured, "dice")
    assert abs(m.seeds.value) < 0.1
    assert all(abs(c.spearman.value) < 0.1 for c in m.changes)
    reasons = {r.rule: r.points_to for v in measured.report.verdicts if v.method == "dice" for r in v.reasons}
    assert reasons["stability"] == reasons["seeds"] == "with_care"
    assert reasons["controls"] != "read"


def test_the_gradient_changes_with_the_weights_and_is_measured_on_every_axis(measured: TrustRun) -> None:
    m = of(measured, "saliency")
    assert m.images == 16
    curve = [d.spearman.value for d in m.randomization.cascading]
    assert curve[-1] < 0.7
    assert all(isinstance(test, ControlComparison) for test in m.faithfulness.values())
    assert m.faithfulness["road"].own.n == LEVELS["quick"].road_images
    assert isinstance(m.localization.inside.own, Estimate)
    assert m.localization.object_share.value == pytest.approx(144 / 1024)
    assert not m.promises_sum
    assert m.settings[0].option == "channels"
    assert m.passes == Passes(gradient=m.explanations)


def test_an_expensive_method_gets_fewer_images_and_says_what_was_made_smaller(case, measured: TrustRun) -> None:
    m = of(measured, "occlusion")
    assert m.images == 8
    assert m.passes.forward > 0
    small = trial(Occlusion(patch=4, stride=1), case[0], LEVELS["quick"])
    assert small.reduced == ("stride 4 instead of 1",)


def test_a_method_with_a_pass_for_each_channel_of_a_layer_is_expensive(case) -> None:
    classifier = case[0]
    few, many = (replace(LEVELS["quick"], cheap_passes=passes) for passes in (2, 1000))
    assert trial(ScoreCam(), classifier, many).allowance == many.cheap
    assert trial(ScoreCam(), classifier, few).allowance == few.expensive


def test_same_inputs_same_bytes_and_the_order_of_images_does_not_matter(case, measured: TrustRun) -> None:
    classifier, images, targets = case
    back = np.arange(len(images))[::-1].copy()
    few = {"saliency": METHODS["saliency"]}
    once = run((classifier, images, targets), few).report
    turned = run((classifier, images.select(back), Targets(targets.classes[back])), few).report
    assert dump(once) == dump(turned)
    assert once.methods[0] == measured.report.methods[0]


def test_a_copy_that_learned_something_else_is_compared_and_a_test_that_fails_is_no_pass(
    case, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, images, targets = case
    twin = classifier  # a copy with the very same weights: nothing else gives 1
    few, arguments = {"saliency": Saliency()}, (Streams(4), "quick")
    outcome = measure(classifier, images, targets, few, *arguments, class_names=tuple("abcde"), shuffled=twin)
    assert outcome.report.methods[0].label_randomization.value == pytest.approx(1)

    def broken(*_):
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr("fruitaudit.trust.axes.settings", broken)
    failed = measure(classifier, images, targets, few, *arguments, class_names=tuple("abcde")).report
    assert isinstance(failed.methods[0], TrustNotRun)
    assert "a test failed: ZeroDivisionError: a fault of ours" in failed.methods[0].reason.reason
    assert failed.verdicts == ()


def test_the_report_goes_through_json(measured: TrustRun) -> None:
    text = dump(measured.report)
    assert "NaN" not in text
    assert TypeAdapter(TrustReport).validate_json(text) == measured.report


def test_the_plan_is_an_upper_bound_that_is_nearly_met(case) -> None:
    classifier, images, _ = case
    methods = {name: METHODS[name] for name in ("saliency", "occlusion")}
    planned = cost(methods, "quick", classifier, images=len(images), layers=4)
    before = classifier.passes.snapshot()
    done = run(case, methods)
    spent = classifier.passes.since(before)
    for m in done.report.methods:
        total, plan = (p.forward + p.gradient for p in (m.passes, planned[m.method]))
        assert total <= plan
    everything = sum(p.forward + p.gradient for p in planned.values())
    assert spent.forward + spent.gradient <= everything
    assert spent.forward > 0.5 * planned[""].forward
    assert [c.method for c in done.costs] == list(methods)
    assert all(c.seconds > 0 for c in done.costs)
