"""Opens the model and the splits and settles how images are prepared: all that must fit before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from fruitaudit.config.schema import Config
from fruitaudit.config.sizes import bytes_of
from fruitaudit.config.spelling import nearest
from fruitaudit.data.decode import max_pixels_in
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.splits import Split, open_split
from fruitaudit.errors import ConfigError, DataError
from fruitaudit.inputs.classes import Classes, Wiring, class_list, settled
from fruitaudit.inputs.settle import settle_preprocessing
from fruitaudit.models.base import WithScores
from fruitaudit.models.memory import plan_memory
from fruitaudit.models.open import open_model
from fruitaudit.records.data import Sample
from fruitaudit.records.inputs import PreprocessingSummary
from fruitaudit.records.results import MemoryPlan
from fruitaudit.runtime.streams import Streams
from fruitaudit.runtime.text import shown


@dataclass(frozen=True)
class Opened:
    """A model and splits that fit each other."""

    classifier: WithScores
    class_names: tuple[str, ...]
    class_names_from: str
    splits: tuple[Split, ...]
    preprocessor: Preprocessor
    preprocessing: PreprocessingSummary
    memory: MemoryPlan
    read_at_once: int
    """Images of a split that are held while it is predicted: whole passes."""

    @property
    def samples(self) -> Mapping[str, Sample]:
        """Every sample by its id."""
        return {sample.id: sample for split in self.splits for sample in split.samples}


def open_inputs(config: Config, streams: Streams) -> Opened:
    """Open what the config names. Raises ModelError, DataError or ConfigError in one sentence."""
    classes = class_list(config)
    splits, outputs = open_splits(config, classes), None
    named = classes
    if config.model.outputs == "labels":
        outputs = labelled_outputs(config, classes, splits)
        classes = classes.only(outputs)
        splits = tuple(_relabelled(split, outputs) for split in splits)
    limit = None if config.memory is None else bytes_of(config.memory)
    classifier = open_model(
        config.model.path,
        allow_code=config.model.allow_code,
        size=config.model.preprocessing.size,
        memory=limit,
        outputs=outputs,
    )
    if outputs is None and classifier.n_classes != len(named.names):
        raise DataError(
            f"{config.model.path.name} has {classifier.n_classes} classes, but {len(named.names)} are named by "
            f"{named.source} ({_first_names(named.names)}); write the model's classes, in the order of its "
            "outputs, under model.classes or into a file for --classes"
        )
    memory = plan_memory(classifier.memory_needs, limit)
    classifier.batch_size = memory.batch_size
    most_pixels = max_pixels_in(memory.limit_mb * 1e6)
    prepared = _settled(
        config, _prepared(config, classes, splits, classifier, streams, most_pixels), classifier, streams
    )
    read_at_once = -(-config.batch_size // memory.batch_size) * memory.batch_size
    return Opened(
        classifier,
        prepared.classes.names,
        prepared.classes.source,
        prepared.splits,
        prepared.wiring.preprocessor,
        prepared.summary,
        memory,
        read_at_once,
    )


@dataclass(frozen=True)
class _Prepared:
    """The splits under one order of the classes; `wiring` is of the split that settings are inferred from."""

    classes: Classes
    splits: tuple[Split, ...]
    wiring: Wiring
    summary: PreprocessingSummary
    most_pixels: int


def _prepared(
    config: Config,
    classes: Classes,
    splits: tuple[Split, ...],
    classifier: WithScores,
    streams: Streams,
    most_pixels: int,
) -> _Prepared:
    split = next(s for role in ("reference", "test", "field") for s in splits if s.role == role)
    preprocessor, summary = settle_preprocessing(config.model.preprocessing, splits, classifier, streams, most_pixels)
    return _Prepared(classes, splits, Wiring(split, preprocessor), summary, most_pixels)


def _settled(config: Config, given: _Prepared, classifier: WithScores, streams: Streams) -> _Prepared:
    """Where numbers may be sorted in two ways: the better one."""
    if not given.classes.other_order:
        return given
    turned = given.classes.turned
    other = _prepared(config, turned, open_splits(config, turned), classifier, streams, given.most_pixels)
    classes = settled(given.classes, (given.wiring, other.wiring), classifier, streams)
    return replace(given if classes.names == given.classes.names else other, classes=classes)


def open_splits(config: Config, classes: Classes) -> tuple[Split, ...]:
    """Every split of the config, its labels matched to the classes. Raises ConfigError where a key maps no label."""
    splits = tuple(open_split(settings, classes) for settings in config.splits)
    mapped = {key for split in splits for key in split.mapped}
    labels = sorted({label for split in splits for label in split.labels})
    for key in classes.class_map:
        if key not in mapped:
            raise ConfigError(f"class_map: {shown(repr(key))} is no label of the splits; {nearest(key, labels)}")
    return splits


def labelled_outputs(config: Config, classes: Classes, splits: tuple[Split, ...]) -> tuple[int, ...]:
    """The outputs that some image is labelled with. Raises ConfigError for one class, or a group of one left out."""
    outputs = tuple(sorted({sample.label for split in splits for sample in split.samples}))
    if len(outputs) < 2:
        raise ConfigError("model.outputs: labels leaves one class, which is no question; write outputs: all")
    names = {classes.names[output] for output in outputs}
    for group in config.groups if isinstance(config.groups, tuple) else ():
        if group.class_ is not None and group.class_ not in names:
            raise ConfigError(f"groups: {group.name} is of class {shown(repr(group.class_))}, which has no label, so "
                              "that model.outputs: labels leaves it out")  # fmt: skip
    return outputs


def _relabelled(split: Split, outputs: tuple[int, ...]) -> Split:
    """With labels that count these outputs alone."""
    place = {output: i for i, output in enumerate(outputs)}
    return replace(split, samples=tuple(replace(sample, label=place[sample.label]) for sample in split.samples))


def _first_names(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
