"""Settles how images are prepared: what is written is kept, the model file speaks next, then the lab's images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from fruitaudit.config.loaders import loader_of, overrides
from fruitaudit.config.schema import PreprocessingSettings
from fruitaudit.data.decode import MAX_PIXELS
from fruitaudit.data.decoders import other_decoder
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.splits import Split
from fruitaudit.errors import ConfigError
from fruitaudit.inputs.answers import ImageSource
from fruitaudit.inputs.decide import Decision, decide
from fruitaudit.inputs.entrance import FileEvidence, file_evidence
from fruitaudit.inputs.fit import settle_fit
from fruitaudit.inputs.ways import VALUE_KEYS, differing, in_words, value_ways, values_of
from fruitaudit.models.base import WithScores
from fruitaudit.records.inputs import PreparationSetting, PreparationTrial, PreprocessingSummary
from fruitaudit.runtime.streams import Streams
from fruitaudit.runtime.text import listed

_SHAPES = 16
"""Images of each split whose size is looked at."""


def settle_preprocessing(
    settings: PreprocessingSettings,
    splits: Sequence[Split],
    classifier: WithScores,
    streams: Streams,
    max_pixels: int = MAX_PIXELS,
) -> tuple[Preprocessor, PreprocessingSummary]:
    """What is done to every image, and how that is known.

    Images of the field rank the ways where there is no lab, and decide nothing: what gains there may be a cause.
    Raises ConfigError where the size is open, DataError where no image can be read.
    """
    height, width, channels = _size(settings, classifier.input_shape)
    loader = loader_of(settings)
    given = Preprocessor(height, width, channels, loader.resize, loader.interpolation, settings.scale or "0-1",
                         max_pixels, loader, settings.channel_order or "rgb")  # fmt: skip
    lab = [split for split in splits if split.role != "field"]
    source = ImageSource(lab or splits, streams)
    ways = value_ways(given)
    spoken = file_evidence(classifier.entrance(), ways)
    free = _agreeing(ways, given, _keys_with_values(settings, settings.guessed))
    kept = _agreeing(ways, given, _keys_with_values(settings))
    pool = [way for way in kept if way in spoken.allowed] or kept
    decision, answers = decide(ways, pool, source, classifier)
    settled = _Settled(settings, decision, spoken, tuple(free), bool(lab))
    shapes = answers.shapes + [s for split in splits for s in ImageSource([split], streams).shapes(given, _SHAPES)]
    fit = settle_fit(
        settings,
        decision.best,
        shapes,
        source,
        classifier,
        has_lab=bool(lab),
        beats_guessing=decision.beats_guessing,
    )
    chosen = fit.prepared
    return chosen, PreprocessingSummary(
        height,
        width,
        channels,
        chosen.resize,
        chosen.interpolation,
        chosen.scale_text,
        chosen.channel_order,
        (*fit.settings, *settled.settings()),
        decision.accuracy,
        decision.where,
        (*settled.trials(), *fit.trials),
        spoken.sentence,
        chosen.loader.name,
        chosen.loader.text,
        {key: json.dumps(value) for key, value in overrides(chosen.loader).items()},
        other_decoder(chosen.loader, channels, splits),
        tuple(key for key, value in settings if value is not None and key not in ("guessed", *settings.guessed)),
    )


def _size(settings: PreprocessingSettings, input_shape: Sequence[int | None]) -> tuple[int, int, int]:
    height, width, channels = input_shape
    size = settings.size
    if size is not None and any(side not in (None, size[i]) for i, side in enumerate((height, width))):
        raise ConfigError(f"model.preprocessing.size: {size[0]} x {size[1]} is not what the model takes, "
                          f"{height} x {width}; leave size out")  # fmt: skip
    if size is None and (height is None or width is None):
        raise ConfigError("model.preprocessing.size: the model takes images of any size; write down the height and "
                          "width it was trained on, for example size: [224, 224]")  # fmt: skip
    height, width = size or (height, width)
    return int(height or 0), int(width or 0), int(channels or 3)


def _agreeing(ways: Sequence[Preprocessor], given: Preprocessor, keys: Sequence[str]) -> list[Preprocessor]:
    """The ways that have the values of the given one under these keys."""
    return [way for way in ways if values_of(way, keys) == values_of(given, keys)]


def _keys_with_values(settings: PreprocessingSettings, leaving_out: Sequence[str] = ()) -> tuple[str, ...]:
    """Of scale and channel order, those in the config. With a scale and no channel order, red is first."""
    keys = [key for key in VALUE_KEYS if getattr(settings, key) is not None and key not in leaving_out]
    if "scale" in keys and settings.channel_order is None:
        keys.append("channel_order")
    return tuple(keys)


@dataclass(frozen=True)
class _Settled:
    """Turns a decision about scale and channel order into records. `free`: the ways that nobody's writing rules out."""

    written: PreprocessingSettings
    decision: Decision
    spoken: FileEvidence
    free: tuple[Preprocessor, ...]
    has_lab: bool

    def settings(self) -> list[PreparationSetting]:
        """One for each key that nobody wrote down, and for each that the file contradicts."""
        best = self.decision.best
        keys = VALUE_KEYS if best.channels == 3 else VALUE_KEYS[:1]
        known = _keys_with_values(self.written, self.written.guessed)
        contradicted = self.spoken.speaks and best not in self.spoken.allowed
        against = [PreparationSetting("scale", best.scale_text, "written", self.spoken.sentence)]
        return [*(against if contradicted and "scale" in known else ()),
                *(self._setting(key) for key in keys if key not in known)]  # fmt: skip

    def _setting(self, key: str) -> PreparationSetting:
        decision, value = self.decision, values_of(self.decision.best, (key,))[key]
        allowed = [way for way in self.free if way in self.spoken.allowed] if self.spoken.speaks else []
        by_file = bool(allowed) and {values_of(way, (key,))[key] for way in allowed} == {value}
        if by_file and decision.better is None:
            return PreparationSetting(key, value, "file", f"{key} {value}: {self.spoken.sentence}")
        rivals = [way for way in self._possible if values_of(way, (key,))[key] != value]
        if not rivals and decision.better is None and self.has_lab and decision.beats_guessing:
            return PreparationSetting(key, value, "data", f"{key} {value}: decided by {decision.n} images of "
                                      f"{self.decision.where}; {self._figures()}.")  # fmt: skip
        why = self._why(key, rivals, by_file)
        return PreparationSetting(key, value, "undecided", f"{key} {value}: undecided, {why}; {self._figures()}.")

    @property
    def _possible(self) -> list[Preprocessor]:
        """The ways that neither the config, the file nor the data rule out."""
        worse = [trial.way for trial in self.decision.trials if trial.surely and trial.difference < 0]
        free = [way for way in self.free if way in self.spoken.allowed] or self.free
        return [way for way in free if way not in worse]

    def _why(self, key: str, rivals: Sequence[Preprocessor], by_file: bool) -> str:
        better, n = self.decision.better, self.decision.n
        if better is not None:
            who = "the model file says so" if by_file else "it is kept"
            return f"{who}, though {n} images of {self.decision.where} say {in_words(self._differing(better))}"
        if key in self.written.guessed:
            return "an earlier run guessed it, and nobody confirmed it"
        if not self.has_lab:
            return "because images of the field alone cannot tell a setting from a cause"
        if rivals:
            names = listed([in_words(self._differing(way)) for way in rivals])
            return f"because {names} cannot be told apart from it on {n} images of {self.decision.where}"
        return f"because in no way the model is surely better than always the same answer on {self.decision.where}"

    def _differing(self, way: Preprocessor) -> dict[str, str]:
        return differing(way, self.decision.best, VALUE_KEYS)

    def _figures(self) -> str:
        """Accuracy of the best ways."""
        others = [(in_words(self._differing(t.way)), t.accuracy) for t in self.decision.trials[:4]]
        keys = VALUE_KEYS if self.decision.best.channels == 3 else VALUE_KEYS[:1]
        rows = [(in_words(values_of(self.decision.best, keys)), self.decision.accuracy), *others]
        # A way that is surely worse is not asked about all images.
        return "right " + ", ".join(f"{q.successes} of {q.n} with {name}" for name, q in rows)

    def trials(self) -> tuple[PreparationTrial, ...]:
        """The ways not taken."""
        return tuple(
            PreparationTrial(
                self._differing(t.way), t.accuracy, t.difference, t.chance, t.surely, t.way in self._possible
            )
            for t in self.decision.trials
        )
