"""The tests of the explanations within an audit: on which images, of which methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np

from fruitaudit.attribution.base import Method, background_of
from fruitaudit.audit.choice import methods_of
from fruitaudit.audit.code import trust_code
from fruitaudit.audit.explaining import Explainer, ExplanationResult, targets_of
from fruitaudit.audit.groups import worst_split
from fruitaudit.audit.steps import StepProgress
from fruitaudit.config.schema import Config
from fruitaudit.models.base import WithScores
from fruitaudit.providers.registry import build
from fruitaudit.records.data import Background, FloatArray
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.explanations import ExplanationRow, Group
from fruitaudit.records.states import NotRun
from fruitaudit.records.trust import ExplanationCost, GroupReliance, TrustReport
from fruitaudit.trust.labels import train_on_shuffled
from fruitaudit.trust.plan import LEVELS
from fruitaudit.trust.reliance import reliance
from fruitaudit.trust.run import NOT_ASKED, TrustRun, measure

LABELLED = 320
"""Reference images on whose shuffled labels the copy is trained."""
WITHOUT_MAPS = ("inside", "counterfactual", "example", "control")
"""Families whose methods give no maps, or maps that are the yardstick themselves."""


def tested_methods(config: Config, groups: Sequence[Group]) -> dict[str, Method]:
    """The methods that explain any group and give maps, as the config writes them; of namesakes the first."""
    methods: dict[str, Method] = {}
    for group in groups:
        for settings in methods_of(config, group.name, group.kind):
            method = build(settings, config.providers.interpreters)
            if method.registration.family not in WITHOUT_MAPS:
                methods.setdefault(settings.spelling, method)
    return methods


def trust_of(
    config: Config,
    explainer: Explainer,
    groups: Sequence[Group],
    rows: Sequence[ExplanationResult],
    predictions: Mapping[str, Predictions],
    step: StepProgress,
) -> tuple[TrustReport | NotRun, tuple[ExplanationCost, ...]]:
    """Test the audit's methods on images drawn from the split that is explained. Costs are those of a fresh run only.

    `rows` are the explanations of the groups; their maps give the background reliance of each group.
    """
    if config.trust == "off":
        return NotRun("the explanations were not tested: the config says trust: off", "off"), ()
    methods, source = tested_methods(config, groups), worst_split(list(predictions.values()))
    if not methods or source is None:
        return NotRun("no method that gives maps was asked for, so there is nothing to test", "not_asked"), ()
    rng = explainer.streams.rng("trust", "images", source.split)
    image_rows = rng.permutation(len(source.labels))[: LEVELS[config.trust].cheap.images]
    images = explainer.images([source.sample_ids[i] for i in image_rows])
    n_background = max(background_of(method) for method in methods.values())
    images = replace(images, background=explainer.background(n_background) if n_background else None)
    classifier, level = explainer.opened.classifier, config.trust
    targets = targets_of(config.target, source, image_rows)
    shuffled_from = explainer.background(LABELLED) if config.trust_labels else None
    key = {
        "model": (classifier.sha256, explainer.opened.class_names),
        "images": explainer.fingerprint(images),
        "methods": {name: asdict(method) for name, method in methods.items()},  # type: ignore[call-overload]
        "targets": (targets.classes.tolist(), None if targets.against is None else targets.against.tolist()),
        "seed": explainer.streams.seed,
        "level": level,
        "shuffled from": (config.trust_labels, explainer.fingerprint(replace(images, background=shuffled_from))),
        "code": trust_code(classifier, methods.values()),
    }
    costs: list[ExplanationCost] = []

    def make() -> TrustReport:
        trust_run: TrustRun = measure(
            classifier, images, targets, methods, explainer.streams, level,
            class_names=explainer.opened.class_names, shuffled=_shuffled(config, explainer, shuffled_from),
            advance=step.advance,
        )  # fmt: skip
        costs.extend(trust_run.costs)
        return trust_run.report

    report, step.cached = explainer.cache.record("trust", key, TrustReport, make)
    return replace(report, groups=_reliance_of(explainer, groups, rows, methods)), tuple(costs)


def _reliance_of(
    explainer: Explainer, groups: Sequence[Group], rows: Sequence[ExplanationResult], methods: Iterable[str]
) -> tuple[GroupReliance, ...]:
    """Of the groups with masks, from the maps that were stored."""

    def maps_of(row: ExplanationRow) -> FloatArray:
        with np.load(explainer.out / row.file) as stored:
            maps: FloatArray = stored["maps"]
        return maps

    with_images = [(group, explainer.images(group.sample_ids)) for group in groups if group.sample_ids]
    reliances = [reliance(group, methods, rows, images.masks, maps_of, explainer.streams, images.groups)
             for group, images in with_images]  # fmt: skip
    return tuple(of_group for of_group in reliances if of_group is not None)


def _shuffled(config: Config, explainer: Explainer, background: Background | None) -> WithScores | NotRun:
    """A copy of the network that has learned wrong labels by heart, where the config asks for it."""
    if not config.trust_labels:
        return NOT_ASKED
    if background is None:
        return NotRun("there is no split with role: reference, whose labels could be shuffled", "no_reference")
    return train_on_shuffled(explainer.opened.classifier, background.values, background.labels, explainer.streams)
