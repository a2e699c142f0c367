"""Settles how images get the model's size, where that is not written down: by whose loader, resized in which way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fruitaudit.config.loaders import DEFAULT
from fruitaudit.config.schema import PreprocessingSettings
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.inputs.answers import ImageSource
from fruitaudit.inputs.decide import Decision, decide
from fruitaudit.inputs.ways import FIT_KEYS, differing, fit_ways, in_words, values_of
from fruitaudit.models.base import WithScores
from fruitaudit.records.inputs import PreparationSetting, PreparationTrial
from fruitaudit.records.numbers import count
from fruitaudit.runtime.text import listed


@dataclass(frozen=True)
class Fit:
    """`prepared` with the way of resizing; what is known of it, and the other ways that were tried."""

    prepared: Preprocessor
    settings: tuple[PreparationSetting, ...] = ()
    trials: tuple[PreparationTrial, ...] = ()


def settle_fit(
    settings: PreprocessingSettings,
    prepared: Preprocessor,
    shapes: Sequence[tuple[int, int]],
    source: ImageSource,
    classifier: WithScores,
    *,
    has_lab: bool,
    beats_guessing: bool,
) -> Fit:
    """The given way, unless another one is surely better on images of the lab. `shapes`: sizes of images looked at.

    A model that does not beat guessing is not asked: no way of resizing mends that.
    """
    keys = _open_keys(settings)
    if not keys:
        return Fit(prepared)
    size = (prepared.height, prepared.width)
    differ = {
        "resize": sum(h * size[1] != w * size[0] for h, w in shapes),
        "interpolation": sum(shape != size for shape in shapes),
    }
    if not differ["interpolation"]:
        text = f"it changes nothing, since the {count(len(shapes), 'image')} looked at already measure"
        return Fit(prepared, tuple(_setting(prepared, key, "data", f"{text} {size[0]} x {size[1]}") for key in keys))
    if not beats_guessing:
        why = f"the default; on {source.name} the model is not surely better than always the same answer"
        return Fit(prepared, tuple(_setting(prepared, key, "undecided", why) for key in keys))
    ways = fit_ways(settings.model_copy(update=dict.fromkeys(settings.guessed)), prepared)
    decision, _ = decide(ways, ways, source, classifier, prepared)
    chosen = decision.best
    records = [_record(key, decision, differ, len(shapes), has_lab) for key in keys]
    if chosen.loader.name != DEFAULT:
        records.insert(0, _record("loader", decision, differ, len(shapes), has_lab))
    trials = tuple(
        PreparationTrial(
            differing(t.way, chosen, FIT_KEYS), t.accuracy, t.difference, t.chance, t.surely, t.way in decision.left
        )
        for t in decision.trials
    )
    return Fit(chosen, tuple(records), trials)


def _open_keys(settings: PreprocessingSettings) -> list[str]:
    """Without a loader, resize and interpolation that are not written; and what an earlier run guessed."""
    open_keys = [] if settings.loader else [key for key in FIT_KEYS[1:] if getattr(settings, key) is None]
    return [*open_keys, *(key for key in FIT_KEYS if key in settings.guessed and key not in open_keys)]


def _record(key: str, decision: Decision, differ: dict[str, int], n_shapes: int, has_lab: bool) -> PreparationSetting:
    chosen = decision.best
    if key in differ and not differ[key]:
        return _setting(chosen, key, "data", f"it changes nothing, since the {n_shapes} images looked at have the "
                                             "model's proportions")  # fmt: skip
    value = values_of(chosen, (key,))
    rivals = [way for way in decision.left if values_of(way, (key,)) != value]
    seen = f"on {decision.n} images of {decision.where}, {100 * decision.accuracy.value:.1f} % right"
    if not rivals and has_lab and decision.beats_guessing:
        return _setting(chosen, key, "data", f"decided {seen}; every other one is surely worse")
    if not has_lab:
        return _setting(chosen, key, "undecided", "images of the field alone cannot tell a setting from a cause")
    figures = [f"{in_words(differing(t.way, chosen, FIT_KEYS))} {100 * t.accuracy.value:.1f} %"
               for t in decision.trials if t.way in rivals]  # fmt: skip
    if not figures:
        return _setting(chosen, key, "undecided", f"the default, {seen}, no better than always the same answer")
    return _setting(chosen, key, "undecided", f"the default, {seen}, and not told apart from {listed(figures[:3])}")


def _setting(prepared: Preprocessor, key: str, source: Literal["data", "undecided"], why: str) -> PreparationSetting:
    value = values_of(prepared, (key,))[key]
    return PreparationSetting(key, value, source, f"{key} {value}: {why}.")
