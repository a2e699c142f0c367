"""Runs every method on every group and stores the raw maps."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fruitaudit.attribution.base import Method, background_of
from fruitaudit.attribution.packed import explain_packed
from fruitaudit.attribution.sharing import Shared
from fruitaudit.audit.choice import methods_of, model_methods
from fruitaudit.audit.code import maps_code
from fruitaudit.audit.opening import Opened
from fruitaudit.audit.steps import Steps
from fruitaudit.config.schema import Config, MethodSettings
from fruitaudit.data.masks import read_masks
from fruitaudit.data.stream import read_images
from fruitaudit.providers.registry import build, explains_of
from fruitaudit.records.data import Arrays, Background, FloatArray, Images, IntArray
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.explanations import (
    KINDS,
    OF_THE_MODEL,
    Explanation,
    ExplanationNotRun,
    ExplanationRow,
    Group,
    Maps,
    Option,
    Segments,
    TargetRule,
    Targets,
)
from fruitaudit.records.packing import unpack
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.cache import StageCache
from fruitaudit.runtime.files import write_arrays
from fruitaudit.runtime.hashes import sha256_of_file
from fruitaudit.runtime.streams import Streams

ExplanationResult = ExplanationRow | ExplanationNotRun


def targets_of(rule: TargetRule, predictions: Predictions, rows: IntArray) -> Targets:
    """The classes to explain. A contrast is with the true class on errors, with the runner-up on right answers."""
    predicted, labels = predictions.predicted[rows], predictions.labels[rows]
    if rule == "predicted":
        return Targets(predicted)
    if rule == "true":
        return Targets(labels, rule=rule)
    others = predictions.probabilities[rows].copy()
    others[np.arange(len(rows)), predicted] = -1
    return Targets(predicted, np.where(predicted == labels, others.argmax(axis=1), labels), rule)


@dataclass(frozen=True)
class Explainer:
    """What methods need besides themselves: model, random streams, reference images, and a place for maps."""

    opened: Opened
    streams: Streams
    cache: StageCache
    out: Path
    reference: Predictions | None = None
    """The split that background images are drawn of."""
    interpreters: Mapping[str, Path] = field(default_factory=dict)
    """Interpreter path per isolated provider."""

    def images(self, sample_ids: Sequence[str]) -> Images:
        """Images to explain, with the masks of their objects."""
        samples = [self.opened.samples[i] for i in sample_ids]
        images = read_images(samples, self.opened.preprocessor)
        return replace(images, masks=read_masks(samples, self.opened.preprocessor))

    def background(self, n: int) -> Background | None:
        """`n` images of the reference split (all of a smaller one), drawn with the seed; None without such a split."""
        if self.reference is None or not len(self.reference.labels):
            return None
        rows = self.streams.rng("background", self.reference.split).permutation(len(self.reference.labels))[:n]
        ids = [self.reference.sample_ids[i] for i in rows]
        images = read_images([self.opened.samples[i] for i in ids], self.opened.preprocessor)
        return Background(images.values, self.reference.labels[rows], tuple(ids), len(self.reference.labels))

    @staticmethod
    def fingerprint(images: Images) -> tuple[object, ...]:
        """What was done to the files shows in the pixels: another resize or interpolation is another fingerprint."""
        background = images.background and (_sha256(images.background.values), images.background.labels.tolist())
        ends = images.low.tolist(), images.high.tolist()
        groups = None if images.groups is None else images.groups.tolist()
        return _sha256(images.values), images.sample_ids, *ends, _sha256(images.masks), background, groups

    def explain_model(self, settings: MethodSettings) -> tuple[ExplanationResult, bool]:
        """Run one method that is about the model, not about images."""
        return self.explain(OF_THE_MODEL, self.images(()), Targets(np.empty(0, np.int64)), settings)

    def explain(
        self, group: str, images: Images, targets: Targets, settings: MethodSettings, shared: Shared | None = None
    ) -> tuple[ExplanationResult, bool]:
        """Run one method on one group and store its explanation in attributions/<group>/<method>.npz.

        `shared` caches gradients of the same images. Returns the result, and whether it came from the cache.
        Cached by model, pixels as the model sees them, targets, method with its options, seed and code. A method that
        does not apply or fails costs only itself.
        """
        method = build(settings, self.interpreters)
        title, n_background = method.registration.title, background_of(method)
        if not len(images) and method.registration.subject == "image":
            reason = NotRun("no image fits the group's rule", "no_images")
            return ExplanationNotRun(group, settings.spelling, title, reason), False
        if targets.against is not None and method.registration.explains == "activation":
            # What layers answer is the same whatever the class.
            targets = Targets(targets.classes)
        if n_background:
            images = replace(images, background=self.background(n_background))
            if images.background is None:
                reason = NotRun(
                    f"{title} compares with images that the model knows; add a split with role: reference",
                    "no_reference",
                )
                return ExplanationNotRun(group, settings.spelling, title, reason), False
        options: dict[str, object] = asdict(method)  # type: ignore[call-overload]
        key = {
            "model": (self.opened.classifier.sha256, self.opened.class_names),
            "images": self.fingerprint(images),
            "targets": (targets.classes.tolist(), None if targets.against is None else targets.against.tolist()),
            "method": (settings.spelling, options),
            "files": [sha256_of_file(Path(v)) for v in options.values() if isinstance(v, str) and Path(v).is_file()],
            "seed": self.streams.seed,
            "code": maps_code(self.opened.classifier, [method]),
        }
        outcome: list[NotRun] = []

        def make() -> Arrays:
            packed = explain_packed(method, self.opened.classifier, images, targets, self.streams, shared)
            if isinstance(packed, NotRun):
                outcome.append(packed)
                raise _NotCached
            return packed

        try:
            arrays, cached = self.cache.get_or_make(f"maps-{settings.spelling}", key, make)
        except _NotCached:
            return ExplanationNotRun(group, settings.spelling, title, outcome[0]), False
        return self._store(group, images, targets, settings, method, arrays), cached

    def _store(
        self, group: str, images: Images, targets: Targets, settings: MethodSettings, method: Method, arrays: Arrays
    ) -> ExplanationRow:
        explanation, registration = unpack(arrays), method.registration
        scale, empty = _scale(explanation, images.sample_ids)
        # For maps the option says how colour channels become one; `activations` counts those of a layer by it.
        is_map = isinstance(explanation, Maps | Segments)
        channels = getattr(method, "channels", registration.channels) if is_map else registration.channels
        against = () if targets.against is None else targets.against
        names, rivals = (tuple(self.opened.class_names[c] for c in classes) for classes in (targets.classes, against))
        file = self._free(f"attributions/{group}/{settings.spelling}")
        stored = {k: v for k, v in arrays.items() if k != "model_passes"}
        ids = {"sample_ids": np.array(images.sample_ids), "targets": np.array(names)}
        if isinstance(explanation, Segments):
            stored["maps"] = explanation.values
        write_arrays(self.out / file, stored | ids)
        return ExplanationRow(
            group=group,
            method=settings.spelling,
            title=registration.title,
            provider=settings.provider,
            explains="logit" if rivals else explains_of(method, self.opened.classifier),
            channels=channels,
            # Channels that are summed keep the sign of the gradient, whatever the method's default does.
            signed=registration.signed or channels == "sum",
            options={key: _portable_option(value) for key, value in asdict(method).items()},  # type: ignore[call-overload]
            file=file,
            kind=KINDS[type(explanation)],
            sample_ids=images.sample_ids,
            target_classes=names,
            scale=scale,
            empty=empty,
            diagnostics={k: tuple(_finite(v)) for k, v in explanation.diagnostics.items()},
            notes=explanation.notes,
            model_passes=int(arrays["model_passes"]) if "model_passes" in arrays else None,
            question=registration.question,
            paper=registration.paper,
            caveat=registration.caveat,
            target=targets.rule,
            against_classes=rivals,
        )

    def _free(self, stem: str) -> str:
        """A name no other row of this audit has: a config may ask one method twice, with different options."""
        names = (f"{stem}{suffix}.npz" for suffix in itertools.chain([""], (f"-{n}" for n in itertools.count(2))))
        return next(name for name in names if not (self.out / name).exists())


def explain_all(
    explainer: Explainer, config: Config, groups: Sequence[Group], predictions: Mapping[str, Predictions], steps: Steps
) -> Iterator[ExplanationResult]:
    """Every method that was asked for: first those about the model, then group by group."""
    for settings in model_methods(config):
        with steps.step(f"look inside by {settings.spelling}", 1) as step:
            row, step.cached = explainer.explain_model(settings)
            step.advance(1)
        yield row
    for group in groups:
        source = predictions[group.split]
        at = {sample_id: i for i, sample_id in enumerate(source.sample_ids)}
        rows = np.array([at[i] for i in group.sample_ids], dtype=np.int64)
        images, targets = explainer.images(group.sample_ids), targets_of(config.target, source, rows)
        shared = Shared()
        for settings in methods_of(config, group.name, group.kind):
            with steps.step(f"explain {group.name} by {settings.spelling}", 1) as step:
                row, step.cached = explainer.explain(group.name, images, targets, settings, shared)
                step.advance(1)
            yield row


class _NotCached(Exception):
    """Leaves the cache without an entry: what failed once is tried again by the next run."""


def _portable_option(value: Option) -> Option:
    """An option for `results.json`: a file by its name, because its folder is that of one machine."""
    return Path(value).name if isinstance(value, str) and os.sep in value else value


def _sha256(values: FloatArray | None) -> str | None:
    if values is None:
        return None
    return hashlib.sha256(repr(values.shape).encode() + np.ascontiguousarray(values).tobytes()).hexdigest()


def _scale(explanation: Explanation, sample_ids: Sequence[str]) -> tuple[float, tuple[str, ...]]:
    """Largest |value| of all maps that are finite, and the samples whose maps hold no evidence."""
    if not isinstance(explanation, Maps | Segments):
        return 0.0, ()
    parts = explanation.parts.values() if isinstance(explanation, Maps) else ()
    peaks = np.max([np.abs(maps).max(axis=(1, 2)) for maps in (explanation.values, *parts)], axis=0)
    evidence = np.isfinite(peaks) & (peaks > 0)
    empty = tuple(i for i, ok in zip(sample_ids, evidence, strict=True) if not ok)
    return (float(peaks[evidence].max()) if evidence.any() else 0.0), empty


def _finite(values: npt.NDArray[np.float32]) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]
