"""Which output of the model is which class: written down, or the labels of the data in an order that these decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fruitaudit.config.schema import Config
from fruitaudit.config.spelling import nearest
from fruitaudit.data.class_files import read_class_file
from fruitaudit.data.labels import ClassList, folded
from fruitaudit.data.listing import whole_number
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.splits import Split, class_names_of, open_split
from fruitaudit.data.stream import stream
from fruitaudit.errors import ConfigError
from fruitaudit.models.base import WithScores
from fruitaudit.models.memory import UNIT
from fruitaudit.records.data import BoolArray, group_numbers
from fruitaudit.runtime.streams import Streams
from fruitaudit.runtime.text import shown
from fruitaudit.statistics.paired import mcnemar

_MOST = 256
"""Images that decide between two orders."""
ERROR = 0.001
"""An order counts as better where chance does so well less often than this."""


@dataclass(frozen=True)
class Classes(ClassList):
    """The classes in the order of the model's outputs; `source` says where they were found.

    `other_order`: numbers by number where they are sorted by name, and the other way round; empty for other names.
    """

    source: str = ""
    other_order: tuple[str, ...] = ()

    @property
    def turned(self) -> Classes:
        """With the other order."""
        return replace(self, names=self.other_order, other_order=self.names)

    def only(self, outputs: Sequence[int]) -> Classes:
        """With the names of these outputs alone."""
        place = {output: i for i, output in enumerate(outputs)}
        others = {name: place[output] for name, output in self.other_names.items() if output in place}
        source = f"{self.source}, of {len(self.names)} those that have labels"
        return replace(self, names=tuple(self.names[i] for i in outputs), other_names=others, other_order=(),
                       source=source)  # fmt: skip


def class_list(config: Config) -> Classes:
    """The classes and where they were found.

    Without `model.classes`: the labels of the reference splits (then test, then field) in the order in which Keras
    reads class folders, that is sorted by name; numbers in a manifest or NPZ go by number. Raises ConfigError where
    `class_map` leads to no class.
    """
    classes = replace(_class_list(config), class_map=config.class_map)
    for key, name in config.class_map.items():
        if name is not None and classes.output_of(name) is None:
            raise ConfigError(f"class_map: {shown(repr(key))} leads to {shown(repr(name))}, which is no class of the "
                              f"model; {nearest(name, classes.names)}")  # fmt: skip
    return classes


def _class_list(config: Config) -> Classes:
    classes = config.model.classes
    if isinstance(classes, tuple):
        return Classes(_distinct(classes), source="model.classes")
    if classes is not None:
        return _of_file(classes)
    for role in ("reference", "test", "field"):
        splits = [s for s in config.splits if s.role == role]
        if splits:
            names = _joined([_without_mapped(class_names_of(s), config.class_map) for s in splits])
            if not names:
                if not config.class_map:
                    open_split(splits[0], ClassList(()))  # says what is wrong with its files
                raise ConfigError(f"class_map: it leaves no label of {role} split {splits[0].name} to be a class")
            other_order = _other_order(names)
            return Classes(
                names,
                source=f"the labels of {role} split {', '.join(s.name for s in splits)}"
                + ("" if other_order else ", in order"),
                other_order=other_order,
            )
    raise ConfigError("splits: there is none; add at least one")


def _without_mapped(labels: tuple[str, ...], class_map: Mapping[str, str | None]) -> tuple[str, ...]:
    """The labels that are classes of their own."""
    away = {folded(key) for key, name in class_map.items() if name is None or folded(name) != folded(key)}
    return tuple(label for label in labels if folded(label) not in away)


def _joined(names_by_split: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Splits that lack a class, or spell it otherwise, only drop it from the order of the fullest one."""
    names = max(names_by_split, key=len)
    others = {label for labels in names_by_split for label in ClassList(names).assign(labels).unknown}
    if not others:
        return names
    joined = sorted({*names, *others})
    if list(names) == sorted(names) or any(whole_number(name) is None for name in joined):
        return tuple(joined)
    return tuple(sorted(joined, key=_number))


def _other_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Numbers that are sorted as text (0, 1, 10, 2) by number, and the other way round."""
    if any(whole_number(name) is None for name in names):
        return ()
    by_number, by_name = tuple(sorted(names, key=_number)), tuple(sorted(names))
    if by_number == by_name or names not in (by_number, by_name):
        return ()
    return by_name if names == by_number else by_number


def _number(name: str) -> int:
    return whole_number(name) or 0


def _of_file(path: Path) -> Classes:
    try:
        read = read_class_file(path)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError(f"model.classes: cannot read class names from {path} ({shown(str(error))})") from error
    source = f"model.classes ({path.name})"
    if read.told_apart:
        source += f", {read.told_apart} names that occur more than once told apart by the number of their output"
    return Classes(read.names, read.other_names, source=source)


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"model.classes: the class {twice[0]!r} is named twice; give every output its own name")
    return names


@dataclass(frozen=True)
class Wiring:
    """An order of the names, with the split and the preparation that go with it."""

    split: Split
    preprocessor: Preprocessor


def rights(wirings: Sequence[Wiring], classifier: WithScores, streams: Streams) -> tuple[list[BoolArray], float | None]:
    """Which images each wiring recognises, and the probability that two of them differ so by chance.

    Up to 256 images, drawn with the seed; the same for every wiring. Paired by image (McNemar).
    """
    samples = wirings[0].split.samples
    order = streams.rng("class order", wirings[0].split.name).permutation(len(samples))[:_MOST]
    read = [_recognised(wiring, order.tolist(), classifier) for wiring in wirings]
    rows = sorted(set(read[0]).intersection(*read[1:]))
    right = [np.array([answers[row] for row in rows], bool) for answers in read]
    return right, mcnemar(right[0], right[1], group_numbers([samples[row] for row in rows]))


def settled(classes: Classes, wirings: tuple[Wiring, Wiring], classifier: WithScores, streams: Streams) -> Classes:
    """The given order, or the other one where the data prefer it; `source` says so, or that it is a guess.

    Splits of the field never decide: what fails there may have other causes.
    """
    split, by_name = wirings[0].split, list(classes.names) == sorted(classes.names)
    how = ("sorted by name", "sorted by number") if by_name else ("sorted by number", "sorted by name")
    if split.role != "field":
        right, chance = rights(wirings, classifier, streams)
        if chance is not None and chance <= ERROR:
            better = int(right[1].sum() > right[0].sum())
            chosen = classes.turned if better else classes
            said = (f"{classes.source}, {how[better]}: so {right[better].sum()} of {len(right[0])} images of "
                    f"{split.name} are right, else {right[1 - better].sum()}")  # fmt: skip
            return replace(chosen, source=said)
    return replace(classes, source=f"{classes.source}, {how[0]}, which is a guess: {how[1]} they would "
                                   "be wired otherwise, and the images do not tell; write model.classes")  # fmt: skip


def _recognised(wiring: Wiring, order: Sequence[int], classifier: WithScores) -> dict[int, bool]:
    """By row, of the images that can be read."""
    samples = [wiring.split.samples[row] for row in order]
    rows = {sample.id: row for sample, row in zip(samples, order, strict=True)}
    answers: dict[int, bool] = {}
    for batch in stream(replace(wiring.split, samples=tuple(samples)), wiring.preprocessor, UNIT):
        predicted = classifier.probabilities(batch.values).argmax(axis=1)
        answers |= {rows[s.id]: bool(p == s.label) for s, p in zip(batch.samples, predicted, strict=True)}
    return answers
