"""Opens the model and the splits and settles how images are prepared: all that must fit before anything is computed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fruitaudit.config.schema import Config
from fruitaudit.config.sizes import bytes_of
from fruitaudit.data.decode import max_pixels_in
from fruitaudit.data.infer import infer_preprocessing
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.splits import Split, class_names_of, open_split
from fruitaudit.errors import ConfigError, DataError
from fruitaudit.models.base import WithScores
from fruitaudit.models.memory import plan_memory
from fruitaudit.models.open import open_model
from fruitaudit.records.data import PreprocessingSummary, Sample
from fruitaudit.records.results import MemoryPlan
from fruitaudit.runtime.paths import shown
from fruitaudit.runtime.streams import Streams


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
    names, source = class_names(config)
    splits = tuple(open_split(settings, names) for settings in config.splits)
    limit = None if config.memory is None else bytes_of(config.memory)
    classifier = open_model(
        config.model.path,
        allow_code=config.model.allow_code,
        size=config.model.preprocessing.size,
        memory=limit,
    )
    if classifier.n_classes != len(names):
        raise DataError(
            f"{config.model.path.name} has {classifier.n_classes} classes, but {len(names)} are named by {source} "
            f"({_first_names(names)}); write the model's classes, in the order of its outputs, under model.classes"
        )
    memory = plan_memory(classifier.memory_needs, limit)
    classifier.batch_size = memory.batch_size
    inference_split = next(s for role in ("reference", "test", "field") for s in splits if s.role == role)
    preprocessor, summary = infer_preprocessing(
        config.model.preprocessing, classifier.input_shape, inference_split, classifier.probabilities, streams,
        max_pixels_in(memory.limit_mb * 1e6),
    )  # fmt: skip
    read_at_once = -(-config.batch_size // memory.batch_size) * memory.batch_size
    return Opened(classifier, names, source, splits, preprocessor, summary, memory, read_at_once)


def class_names(config: Config) -> tuple[tuple[str, ...], str]:
    """The classes in the order of the model's outputs, and where they were found.

    Without `model.classes`: the labels of the reference splits (then test, then field) in the order in which Keras
    reads class folders, that is sorted by name; numbers in a manifest or NPZ go by number.
    """
    classes = config.model.classes
    if isinstance(classes, tuple):
        return _distinct(classes, "model.classes"), "model.classes"
    if classes is not None:
        return _distinct(_names_in(classes), str(classes)), f"model.classes ({classes.name})"
    for role in ("reference", "test", "field"):
        splits = [s for s in config.splits if s.role == role]
        if splits:
            names_by_split = [class_names_of(s) for s in splits]
            # Splits that lack a class only drop it from the order of the fullest one.
            names = max(names_by_split, key=len)
            if not all(set(split_names) <= set(names) for split_names in names_by_split):
                names = tuple(sorted(set().union(*names_by_split)))
            return names, f"the labels of {role} split {', '.join(s.name for s in splits)}, in order"
    raise ConfigError("splits: there is none; add at least one")


def _names_in(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8")
        names = json.loads(text) if path.suffix == ".json" else [n.strip() for n in text.splitlines() if n.strip()]
        "".join(name for name in names if isinstance(name, str)).encode("utf-8")  # half characters fail here
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"model.classes: cannot read class names from {path} ({shown(str(error))})") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"model.classes: {path} must hold a list of names, one per line or as a JSON list")
    return tuple(names)


def _distinct(names: tuple[str, ...], where: str) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{where}: the class {twice[0]!r} is named twice; give every output its own name")
    return names


def _first_names(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
