"""Which images are explained: chosen by hand or by rule, out of how many, and how they were drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt

from fruitaudit.config.schema import Config, GroupSettings
from fruitaudit.errors import ConfigError
from fruitaudit.evaluation.lab import lab_split
from fruitaudit.records.data import BoolArray, IntArray
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.explanations import Group, GroupKind
from fruitaudit.runtime.streams import Streams

ANY = -1
"""Instead of a class index: images of any class."""


def choose_groups(config: Config, predictions: Mapping[str, Predictions], streams: Streams) -> tuple[Group, ...]:
    """The groups of the config, or of the `auto` rule, with their images drawn."""
    if config.groups == "auto":
        return _auto_groups(list(predictions.values()), config.max_images, streams, config.lab)
    groups: dict[str, Group] = {}
    for settings in config.groups:
        group = _configured_group(settings, predictions[settings.split], streams)
        if settings.like is not None:
            model = groups[settings.like]
            group = _like(group, predictions[settings.split], model, predictions[model.split], streams)
        groups[group.name] = group
    return tuple(groups.values())


def check_groups(config: Config, class_names: Sequence[str]) -> None:
    """Raise ConfigError for a group of a class that the model does not know."""
    for group in () if config.groups == "auto" else config.groups:
        if group.class_ is not None and group.class_ not in class_names:
            near = get_close_matches(group.class_, class_names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"its classes are {', '.join(class_names)}"
            raise ConfigError(f"group {group.name}: the model has no class {group.class_!r}; {hint}")


def _configured_group(settings: GroupSettings, predictions: Predictions, streams: Streams) -> Group:
    rule, among = "chosen in the config", None
    if settings.per_class is not None:
        among = _per_class(predictions, settings.per_class, streams)
        many = "1 image" if settings.per_class == 1 else f"{settings.per_class} images"
        rule += f", among {many} of every class ({among.sum()} in all) drawn with the seed"
    class_ = ANY if settings.class_ is None else predictions.class_names.index(settings.class_)
    return _draw(settings.name, predictions, settings.kind, class_, rule, settings.max_images, streams, among=among)


def _like(
    group: Group, predictions: Predictions, model: Group, model_predictions: Predictions, streams: Streams
) -> Group:
    """For each image of `model` one of the same true class among those that fit `group`, none twice."""
    labels = dict(zip(model_predictions.sample_ids, model_predictions.labels.tolist(), strict=True))
    candidates = [i for i, fits in enumerate(_fits(predictions, group.kind, ANY)) if fits]
    candidates = streams.rng("group", group.name).permutation(candidates).tolist()
    sample_ids = []
    for sample_id in model.sample_ids:
        row = next((i for i in candidates if predictions.labels[i] == labels[sample_id]), None)
        if row is not None:
            candidates.remove(row)
            sample_ids.append(predictions.sample_ids[row])
    rule = f"one image of the same class for each of {model.name}"
    how = f"{len(sample_ids)} of {len(model.sample_ids)} found, drawn at random with seed {streams.seed}"
    return replace(group, rule=rule, draw=how, sample_ids=tuple(sample_ids), control_of=model.name)


def _per_class(predictions: Predictions, n: int, streams: Streams) -> BoolArray:
    """`n` images of every class; all groups of a split that ask for as many choose among the same ones."""
    selected = np.zeros(len(predictions.labels), bool)
    for index, name in enumerate(predictions.class_names):
        rows = np.flatnonzero(predictions.labels == index)
        rng = streams.rng("per class", predictions.split, name)
        selected[rng.permutation(rows)[:n]] = True
    return selected


def _auto_groups(
    splits: Sequence[Predictions], max_images: int, streams: Streams, lab: str | None
) -> tuple[Group, ...]:
    """Worst classes and largest confusions of the split that matters most, each beside its true positives."""
    explained = worst_split(splits)
    if explained is None:
        return ()
    lab = lab_split(((p.split, p.role, len(p.labels)) for p in splits if p is not explained), lab)
    fallback = next((p for p in splits if p.split == lab), None)
    groups: list[Group] = []
    for name, kind, true, predicted_class, rule in _suspects(explained):
        # The class whose images the error group shows, and its control beside them.
        class_ = predicted_class if kind == "false_positive" else true
        error = _draw(name, explained, kind, class_, rule, max_images, streams, predicted_class=predicted_class)
        groups.append(error)
        if not any(g.kind == "true_positive" and g.class_name == explained.class_names[class_] for g in groups):
            groups.append(_control(error, explained, fallback, class_, max_images, streams))
    return tuple(groups)


def worst_split(splits: Sequence[Predictions]) -> Predictions | None:
    """The field split with the largest share of errors; without one the test split, then whatever there is."""
    by_role = [[p for p in splits if p.role == role and len(p.labels)] for role in ("field", "test", "reference")]
    return max(next((group for group in by_role if group), []), key=_error_rate, default=None)


def _error_rate(predictions: Predictions) -> float:
    return float((predictions.predicted != predictions.labels).mean())


def _suspects(predictions: Predictions) -> list[tuple[str, GroupKind, int, int, str]]:
    """(name, kind, true class, predicted class, rule) of the error groups of the `auto` rule; only ones with errors."""
    k = len(predictions.class_names)
    confusion = np.zeros((k, k), dtype=int)
    np.add.at(confusion, (predictions.labels, predictions.predicted), 1)
    wrong = confusion.copy()
    np.fill_diagonal(wrong, 0)
    if not wrong.any():
        return []
    most_called = int(wrong.sum(axis=0).argmax())
    suspects: list[tuple[str, GroupKind, int, int, str]] = [
        ("most_false_positives", "false_positive", ANY, most_called, "the class with the most false positives")
    ]
    missed = _lowest_recall(predictions, confusion)
    suspects.append(
        ("lowest_recall", "false_negative", missed, ANY,
         "the class with the lowest recall; ties broken by the mean probability given to wrong classes")
    )  # fmt: skip
    ranks = ("largest", "second largest")
    for rank, cell in zip(ranks, np.argsort(-wrong, axis=None, kind="stable")[:2], strict=True):
        true, predicted_class = divmod(int(cell), k)
        if wrong[true, predicted_class]:
            suspects.append(
                (f"confusion_{ranks.index(rank) + 1}", "confused", true, predicted_class,
                 f"the {rank} cell of the confusion matrix off its diagonal")
            )  # fmt: skip
    return suspects


def _lowest_recall(predictions: Predictions, confusion: npt.NDArray[np.int_]) -> int:
    support = confusion.sum(axis=1)
    recall = np.where(support > 0, np.diag(confusion) / np.maximum(support, 1), np.inf)
    tied = np.flatnonzero(recall == recall.min())
    rows = np.arange(len(predictions.labels))
    wrong_probability = 1.0 - predictions.probabilities[rows, predictions.labels].astype(np.float64)
    return int(max(tied, key=lambda c: (wrong_probability[predictions.labels == c].mean(), -c)))


def _control(
    error: Group, explained: Predictions, fallback: Predictions | None, class_: int, max_images: int, streams: Streams
) -> Group:
    """True positives to lay beside a group of errors; from the test split where the explained split has none."""
    name, rule = f"{error.name}_control", f"true positives of the same class, to compare with {error.name}"
    control = _draw(name, explained, "true_positive", class_, rule, max_images, streams)
    if not control.population and fallback is not None:
        rule += f"; {explained.split} has none, so they come from {fallback.split}"
        control = _draw(name, fallback, "true_positive", class_, rule, max_images, streams)
    return replace(control, control_of=error.name)


def _draw(
    name: str,
    predictions: Predictions,
    kind: GroupKind,
    class_: int,
    rule: str,
    max_images: int,
    streams: Streams,
    *,
    predicted_class: int = ANY,
    among: BoolArray | None = None,
) -> Group:
    names, fits = predictions.class_names, _fits(predictions, kind, class_, predicted_class)
    what = "Any class" if class_ == ANY else names[class_]
    titles: dict[GroupKind, str] = {
        "false_negative": f"{what} called something else",
        "false_positive": f"Something else called {what}",
        "true_positive": f"{what}, recognised",
        "misclassified": f"{what}, misclassified",
        "confused": f"{what} called {names[predicted_class]}",
    }
    population: IntArray = np.flatnonzero(fits if among is None else fits & among)
    rows = population
    if len(population) > max_images:
        rows = np.sort(streams.rng("group", name).choice(population, max_images, replace=False))
    how = "all of them" if len(rows) == len(population) else f"{len(rows)} drawn at random with seed {streams.seed}"
    return Group(
        name=name,
        title=f"{titles[kind]} ({predictions.split})",
        split=predictions.split,
        kind=kind,
        class_name="" if class_ == ANY else names[class_],
        rule=rule,
        draw=how,
        population=len(population),
        sample_ids=tuple(predictions.sample_ids[i] for i in rows),
    )


def _fits(predictions: Predictions, kind: GroupKind, class_: int, predicted_class: int = ANY) -> BoolArray:
    labels, predicted = predictions.labels, predictions.predicted
    fits: dict[GroupKind, BoolArray] = {
        "false_negative": (labels == class_) & (predicted != class_),
        "false_positive": (predicted == class_) & (labels != class_),
        "true_positive": (predicted == labels) & ((labels == class_) | (class_ == ANY)),
        "misclassified": (predicted != labels) & ((labels == class_) | (class_ == ANY)),
        "confused": (labels == class_) & (predicted == predicted_class),
    }
    return fits[kind]
