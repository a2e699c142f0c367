"""The cost of the tests: images and repetitions of a method at each level, and the passes they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from fruitaudit.attribution.base import Another, Method, Shape, passes_of
from fruitaudit.attribution.cams import another_layer
from fruitaudit.attribution.explain import why_not_offered
from fruitaudit.errors import CannotExplain
from fruitaudit.models.base import WithScores, offering
from fruitaudit.records.passes import Passes
from fruitaudit.records.states import NotRun
from fruitaudit.records.trust import TrustLevel
from fruitaudit.trust import deletion, mu_fidelity, road
from fruitaudit.trust.changes import ChangeKind
from fruitaudit.trust.controls import CONTROLS
from fruitaudit.trust.randomization import steps

OTHER_CHANGES: tuple[tuple[ChangeKind, float], ...] = (("shift", 1.0), ("jpeg", 90.0))
"""Beside noise of every strength: by one pixel; at a quality that nobody tells from the original."""


SECONDS_PER_FILL = 0.01
"""To solve ROAD's equations for one image of 100 x 100 pixels."""


@dataclass(frozen=True)
class Allowance:
    """What one method gets: images and repetitions of its explanations.

    Faithfulness differs much between images and is measured on `images`; how much maps change differs little, and is
    measured on the first `repeated` of them.
    """

    images: int
    repeated: int
    cascading: int
    independent: int
    noise: tuple[float, ...]
    seeds: int
    pairs: int
    """Mosaics with a class to be found."""
    settings: int
    """Images for each other setting."""


@dataclass(frozen=True)
class TrustBudget:
    """A level: `cheap` for methods of at most `cheap_passes` per explanation, `expensive` for the others.

    An expensive method's options are made smaller until an explanation takes about `most_passes`.
    """

    cheap: Allowance
    expensive: Allowance
    road_images: int
    mosaics: int
    cheap_passes: int = 50
    most_passes: int = 200


LEVELS: dict[TrustLevel, TrustBudget] = {
    "quick": TrustBudget(
        Allowance(16, 8, 3, 3, (0.02,), 1, 16, 4),
        Allowance(8, 8, 2, 0, (0.02,), 1, 8, 2),
        road_images=8,
        mosaics=8,
        most_passes=100,
    ),
    "standard": TrustBudget(
        Allowance(32, 16, 6, 6, (0.01, 0.02, 0.05), 2, 32, 8),
        Allowance(8, 8, 2, 0, (0.02,), 1, 8, 4),
        road_images=16,
        mosaics=12,
    ),
    "full": TrustBudget(
        Allowance(100, 32, 12, 12, (0.01, 0.02, 0.05), 4, 64, 16),
        Allowance(32, 16, 6, 6, (0.01, 0.02, 0.05), 2, 32, 8),
        road_images=32,
        mosaics=24,
        most_passes=1000,
    ),
}


@dataclass(frozen=True)
class Trial:
    """A method as it is tested: its options, `reduced` where they are smaller than those asked for, and its share."""

    method: Method
    reduced: tuple[str, ...]
    allowance: Allowance


def trial(method: Method, model: WithScores, budget: TrustBudget) -> Trial:
    """The method within the budget. Raises CannotExplain where it does not fit this model."""
    if reason := why_not_offered(method.registration, model):
        raise CannotExplain(reason)
    passes = _per_image(method, model)
    if passes <= budget.cheap_passes:
        return Trial(method, (), budget.cheap)
    smaller = _smaller(method, budget.most_passes / passes) if passes > budget.most_passes else method
    changed = tuple(
        f"{f.name} {getattr(smaller, f.name)} instead of {_or_default(getattr(method, f.name))}"
        for f in fields(method)  # type: ignore[arg-type]
        if getattr(smaller, f.name) != getattr(method, f.name)
    )
    return Trial(smaller, changed, budget.expensive)


def _or_default(value: object) -> object:
    return "the default" if value is None else value


def _smaller(method: Method, share: float) -> Method:
    """The method with about this share of its passes: fewer samples, or windows that do not overlap."""
    if hasattr(method, "samples"):
        return replace(method, samples=max(10, int(method.samples * share)))  # type: ignore[type-var]
    if hasattr(method, "stride") and hasattr(method, "patch"):
        return replace(method, stride=method.patch)  # type: ignore[type-var]
    return method


def variants(method: Method, model: WithScores) -> Iterator[tuple[str, Any, Method | NotRun]]:
    """The method with one option at a time set to the other value that its registration names, or the model has."""
    for option, named in method.registration.sensitivity_options:
        value = (
            another_layer(offering(model, "activations"), getattr(method, option)) if named is Another.LAYER else named
        )
        if value is None:
            reason = "the model has no other convolution whose activations could be taken"
            yield option, named.value, NotRun(reason, "not_applicable")
            continue
        try:
            yield option, value, replace(method, **{option: value})  # type: ignore[type-var]
        except ValueError as error:
            why = str(error).splitlines()[0]
            reason = f"{option} = {value} does not go with the other options: {why}"
            yield option, value, NotRun(reason, "not_applicable")


def _per_image(method: Method, model: WithScores) -> float:
    """Passes per image, without those made once."""
    one, three = (passes_of(method, model, n) for n in (1, 3))
    return (three.forward + three.gradient - one.forward - one.gradient) / 2


def cost(
    methods: Mapping[str, Method], level: TrustLevel, model: WithScores, *, images: int, layers: int
) -> dict[str, Passes]:
    """Model passes of the tests by method, as the config writes it; those that all methods share under "".

    `images` and `layers` count images and layers with weights. An upper bound: images whose prediction changes, and
    mosaics without evidence, cost less. A method that does not fit the model costs nothing.
    """
    budget = LEVELS[level]
    passes = {"": _shared(budget, images)}
    for name, method in methods.items():
        try:
            passes[name] = _passes(trial(method, model, budget), budget, model, images, layers)
        except CannotExplain:
            passes[name] = Passes()
    return passes


def filling_seconds(methods: int, level: TrustLevel, *, images: int, shape: Shape) -> float:
    """What the tests cost besides passes: ROAD's equations, on one core of 2024, in seconds."""
    budget = LEVELS[level]
    n_fills = (methods + len(CONTROLS)) * min(images, budget.road_images) * 2 * len(road.SHARES)
    return n_fills * SECONDS_PER_FILL * min(shape[0] * shape[1], road.MOST_PIXELS) / 10_000


def _passes(tested: Trial, budget: TrustBudget, model: WithScores, images: int, layers: int) -> Passes:
    share = tested.allowance
    n, few = (min(most, images) for most in (share.images, share.repeated))
    repeats = len(steps(_names(layers), cascading=share.cascading, independent=share.independent))
    # Those of another class, every change, every seed.
    repeats += 1 + len(share.noise) + len(OTHER_CHANGES) + share.seeds
    total = _scored(n, min(n, budget.road_images)) + passes_of(tested.method, model, n)
    for _ in range(repeats):
        total += passes_of(tested.method, model, few)
    total += passes_of(tested.method, model, share.pairs)
    for _, _, other in variants(tested.method, model):
        if not isinstance(other, NotRun):
            total += passes_of(other, model, min(share.settings, n))
    return total


def _shared(budget: TrustBudget, images: int) -> Passes:
    n = min(budget.cheap.images, images)
    changes = 2 * (len({*budget.cheap.noise, *budget.expensive.noise}) + len(OTHER_CHANGES))
    shared = Passes(forward=n * (1 + mu_fidelity.SUBSETS + 1 + changes + 1) + budget.mosaics * 5)
    for _ in CONTROLS:
        shared += _scored(n, min(n, budget.road_images))
    return shared


def _scored(images: int, road_images: int) -> Passes:
    """Deletion, insertion and ROAD of one set of maps."""
    return Passes(forward=images * 2 * (deletion.STEPS + 1) + road_images * 2 * len(road.SHARES))


def _names(layers: int) -> list[str]:
    return [str(i) for i in range(layers)]
