"""Which way of preparing images fits the model, by paired accuracy on images of the lab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.inputs.answers import Answers, ImageSource, ask
from fruitaudit.inputs.class_order import with_best_names
from fruitaudit.models.base import WithScores
from fruitaudit.records.data import BoolArray
from fruitaudit.records.states import Estimate
from fruitaudit.statistics.intervals import share_of
from fruitaudit.statistics.paired import mcnemar

ERROR = 0.001
"""Probability of calling any way surely worse by chance, over all ways and looks."""
_LOOKS = (64, 256, 1024, 4096)
"""Images after which the ways are compared."""
_SUSPICION = 0.05
"""A way that was not asked for is looked at further where chance does so well less often."""
_PASS_BYTES = 60e9
"""Bytes of activations, over all passes: about two minutes on two cores, and the same on every machine."""


@dataclass(frozen=True)
class WayTrial:
    """One way against the best of the pool; see `records.inputs.PreparationTrial`."""

    way: Preprocessor
    accuracy: Estimate
    difference: float
    chance: float | None
    surely: bool
    log_likelihood: float


@dataclass
class Decision:
    """`best`: the most accurate way of the pool. `left`: ways of the pool that are not surely worse, with the best."""

    best: Preprocessor
    accuracy: Estimate
    left: tuple[Preprocessor, ...]
    trials: list[WayTrial] = field(default_factory=list)
    better: Preprocessor | None = None
    """A way outside of the pool that is surely better than the best."""
    beats_guessing: bool = False
    """Whether the best is surely better than always answering the most frequent class."""
    where: str = ""
    """The splits of the images, and whether class names were moved to the outputs that answer them, for all ways."""

    @property
    def n(self) -> int:
        """Images looked at."""
        return self.accuracy.n


def decide(
    ways: Sequence[Preprocessor],
    pool: Sequence[Preprocessor],
    source: ImageSource,
    classifier: WithScores,
    preferred: Preprocessor | None = None,
) -> tuple[Decision, Answers]:
    """Compare `ways` until one of the `pool` is left, images run out, or passes would take over about two minutes.

    A way is surely worse where McNemar's test says so at 0.001, divided by the ways and by the looks. Likelihood breaks
    ties of accuracy, and decides nothing. Ways outside of the pool are tried as long as they may be better. The
    `preferred` way is taken for the best unless it is surely worse.
    """
    looks = _looks(len(source), len(ways), classifier)
    level = ERROR / max(1, len(ways) - 1) / len(looks)
    answers, dropped = Answers(), list[WayTrial]()
    active, start = list(ways), 0
    for stop in looks:
        ask(answers, active, source, start, stop, classifier)
        source.require(answers)
        start = stop
        decision = _judge(active, pool, answers, classifier.n_classes, level, preferred)
        gone = [trial for trial in decision.trials if trial.surely and trial.difference < 0]
        dropped += gone
        active = [way for way in active if way not in [trial.way for trial in gone]]
        for trial in gone:
            del answers.predicted[trial.way], answers.log_likelihoods[trial.way]
        outside = [t for t in decision.trials if t.way not in pool and t.way in active]
        open_outside = any(t.difference > 0 and (t.chance or 0) < _SUSPICION for t in outside)
        if decision.better or (len(decision.left) == 1 and not open_outside):
            break
    decision.where = source.name + decision.where
    decision.trials = [t for t in decision.trials if t.way in active] + dropped
    decision.trials.sort(key=lambda t: (-t.accuracy.value, -t.log_likelihood))
    return decision, answers


def _looks(n_images: int, n_ways: int, classifier: WithScores) -> tuple[int, ...]:
    affordable = int(_PASS_BYTES / max(1, classifier.memory_needs.image) / n_ways)
    most = min(n_images, max(affordable, _LOOKS[0]), _LOOKS[-1])
    return (*(look for look in _LOOKS if look < most), most)


def _judge(
    active: Sequence[Preprocessor],
    pool: Sequence[Preprocessor],
    answers: Answers,
    n_classes: int,
    level: float,
    preferred: Preprocessor | None,
) -> Decision:
    labels, groups = np.array(answers.labels, np.int64), answers.groups
    right = {way: answers.right(way) for way in active}
    moved = {way: with_best_names(labels, answers.answers_of(way), n_classes, groups) for way in active}
    names_moved = _names_are_wrong(right, moved, level)
    right = moved if names_moved else right

    def rank(way: Preprocessor) -> tuple[int, float]:
        return int(right[way].sum()), answers.log_likelihood(way)

    best = max((way for way in active if way in pool), key=rank)
    trials = _compared(best, right, answers, level)
    if preferred is not None and preferred in active and preferred not in [t.way for t in trials if t.surely]:
        best, trials = preferred, _compared(preferred, right, answers, level)
    guess = labels == np.bincount(labels).argmax()
    beats = mcnemar(right[best], guess, groups)
    surely_better = [t.way for t in trials if t.way not in pool and t.surely and t.difference > 0]
    worse = [t.way for t in trials if t.surely and t.difference < 0]
    return Decision(
        best,
        share_of(right[best], groups),
        tuple(way for way in active if way in pool and way not in worse),
        trials,
        max(surely_better, key=rank, default=None),
        beats is not None and beats <= ERROR and right[best].sum() > guess.sum(),
        ", class names moved to the outputs that answer them" if names_moved else "",
    )


def _compared(
    best: Preprocessor, right: dict[Preprocessor, BoolArray], answers: Answers, level: float
) -> list[WayTrial]:
    """Every other way against this one."""
    trials, groups = [], answers.groups
    for way, hits in right.items():
        if way != best:
            chance = mcnemar(right[best], hits, groups)
            gain = float(hits.mean() - right[best].mean())
            surely = chance is not None and chance <= level
            trials.append(WayTrial(way, share_of(hits, groups), gain, chance, surely, answers.log_likelihood(way)))
    return trials


def _names_are_wrong(right: dict[Preprocessor, BoolArray], moved: dict[Preprocessor, BoolArray], level: float) -> bool:
    """Whether some way gains surely by moving names, beyond what the best way without it reaches."""
    most = max(right.values(), key=lambda r: int(r.sum()))
    for way, answers in moved.items():
        chance = mcnemar(answers, right[way])
        if chance is not None and chance <= level and answers.sum() > most.sum():
            return True
    return False
