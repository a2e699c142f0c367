"""One table: what is known of right, inverted and random explanations must show on every axis.

The model is linear and looks at colour; an image is a coloured object, somewhere on a dull background. So what every
pixel adds to the logit is known, and where it lies. A row that cannot fail would be no test: each has its known bad.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from trust.fakes import (
    Dice,
    Edges,
    Fake,
    Filled,
    Noise,
    Opposed,
    Right,
    Turning,
    TurningBySeed,
    TurningBySetting,
)
from trust.oracles import STREAMS, Oracle, linear, predicted
from trust.oracles import images as plain_images

from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.records.states import Estimate
from fruitaudit.records.trust import MethodTrust
from fruitaudit.trust import axes
from fruitaudit.trust.bench import FAITHFULNESS, LOWER_IS_BETTER, Bench
from fruitaudit.trust.completeness import completeness
from fruitaudit.trust.plan import Allowance, TrustBudget
from fruitaudit.trust.subject import Subject

SIDE, OBJECT, N = 24, 10, 16
COLOURS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
"""White, red, green and blue, seen from grey: each speaks against the three others."""
ALLOWANCE = Allowance(N, N, 2, 2, (0.02,), 3, 64, N)
BUDGET = TrustBudget(ALLOWANCE, ALLOWANCE, road_images=N, mosaics=12)
RIGHT, INVERTED, NOISE, DICE, EDGES = Right(), Right(sign=-1.0), Noise(), Dice(), Edges()
SHARE = (OBJECT / SIDE) ** 2


class Redraw:
    """A network of two layers; whichever is drawn anew, nothing is left of what it had learned."""

    layers = ("last", "first")

    def __init__(self, model):
        self.model = model

    def reinitialised(self, layers):
        rng = np.random.default_rng(len(layers))
        return Oracle(self.model.w.std() * rng.normal(size=self.model.w.shape)) if layers else self.model


def objects() -> tuple[Oracle, Images, Targets]:
    """Images i and i + N/2 show the same object at the same place."""
    rng = np.random.default_rng(3)
    values = 0.5 + rng.normal(0, 0.08, (N, SIDE, SIDE, 3))
    masks = np.zeros((N, SIDE, SIDE), np.float32)
    corners = np.tile(rng.integers(0, SIDE - OBJECT + 1, (N // 2, 2)), (2, 1))
    classes = np.arange(N) % 4
    for i, (y, x) in enumerate(corners):
        values[i, y : y + OBJECT, x : x + OBJECT] += 0.3 * COLOURS[classes[i]]
        masks[i, y : y + OBJECT, x : x + OBJECT] = 1
    values = np.clip(values, 0, 1).astype(np.float32)
    model = Oracle(np.broadcast_to(0.02 * COLOURS[:, None, None], (4, SIDE, SIDE, 3)).copy())
    photos = Images(values, tuple(f"o/{i}" for i in range(N)), np.zeros(3, "f4"), np.ones(3, "f4"), masks)
    return model, photos, Targets(classes)


def textures() -> tuple[Oracle, Images, Targets]:
    """Every pixel counts, each differently, and there are no objects."""
    model, photos = linear(), plain_images(N)
    return model, photos, predicted(model, photos)


def bench_of(model: Oracle, photos: Images, targets: Targets) -> Bench:
    def features(values):
        return (values[:, 2::4, 2::4] - 0.5).reshape(len(values), -1)

    return Bench(model, photos, targets, STREAMS, BUDGET, lambda: Redraw(model), features)


BENCHES = {"objects": bench_of(*objects()), "textures": bench_of(*textures())}


def value(quantity) -> float:
    assert isinstance(quantity, Estimate), quantity
    return quantity.value


def faithful(test: str) -> Callable:
    sign = -1 if test in LOWER_IS_BETTER else 1
    return lambda bench, tested: sign * value(axes.faithfulness(bench, tested)[test].own)


def change(kind: str, measured: str = "spearman", sign: int = 1) -> Callable:
    def score(bench, tested):
        [row] = [c for c in axes.changes(bench, tested) if c.kind == kind]
        return sign * value(getattr(row, measured))

    return score


def adds_up(bench, tested) -> float:
    maps = tested.maps
    logits = [bench.model.logits(v)[np.arange(N), bench.targets.classes]
            for v in (bench.images.values, np.full_like(bench.images.values, 0.5))]  # fmt: skip
    return -float(completeness(Maps(maps, {"score_difference": logits[0] - logits[1]})).mean())


def depth(cascading: bool, measured: str) -> Callable:
    def score(bench, tested):
        randomization = axes.randomization(bench, tested)[0]
        return 1 - value(getattr((randomization.cascading if cascading else randomization.independent)[-1], measured))

    return score


def on_copy(bench, tested) -> float:
    return 1 - abs(value(axes.on_copy(bench, tested, Redraw(bench.model).reinitialised(("last",)))))


def edges(bench, tested) -> float:
    return 1 - value(axes.edges(bench, tested, axes.randomization(bench, tested)[1]).trained)


@dataclass(frozen=True)
class Row:
    """An axis: which field of `MethodTrust` it is, its score (higher is better), its known bad and what chance gives.

    `chance` is the score of `random`; None where it has no formula, and only lies between.
    """

    field: str
    score: Callable
    worst: Fake = INVERTED
    random: Fake = NOISE
    chance: float | None = None
    objects_only: bool = False
    draws: int = 1
    """Of noise: where an image gives but a hit or a miss, one draw says little."""


RANKED = {
    "deletion": Row("faithfulness", faithful("deletion")),
    "insertion": Row("faithfulness", faithful("insertion")),
    "road": Row("faithfulness", faithful("road"), chance=0),
    "mu_fidelity": Row("faithfulness", faithful("mu_fidelity"), chance=0),
    # Of magnitudes, so the inverted map is as good; bad is to be unlike those of like images.
    "neighbours": Row("faithfulness", faithful("neighbours"), worst=Opposed(), chance=0, objects_only=True),
    # Nothing is inverted here: bad is to become the inverse.
    "noise": Row("changes", change("noise"), worst=Turning(), random=DICE, chance=0),
    "relative change": Row("changes", change("noise", "relative_change", -1), worst=Turning(), random=DICE),
    "shift": Row("changes", change("shift"), worst=Turning(), random=DICE, chance=0),
    "jpeg": Row("changes", change("jpeg"), worst=Turning(), random=DICE, chance=0),
    "seeds": Row("seeds", lambda b, t: value(axes.seeds(b, t)), worst=TurningBySeed(), chance=0),
    "settings": Row("settings", lambda b, t: value(axes.settings(b, t)[0].spearman), worst=TurningBySetting(),
                    chance=0),
    "completeness": Row("completeness", adds_up, random=Noise(gain=1e-3), chance=-1),
    "grid pointing": Row("grid_pointing", lambda b, t: value(axes.pointing_game(b, t).own), chance=0.25,
                         objects_only=True),
    "inside": Row("localization", lambda b, t: value(axes.on_object(b, t, "abcd").inside.own), chance=SHARE,
                  objects_only=True),
    "pointing": Row("localization", lambda b, t: value(axes.on_object(b, t, "abcd").pointing.own), chance=SHARE,
                    objects_only=True, draws=20),
}  # fmt: skip
"""The right explanation is best, the bad one worst, the random one at chance between them."""

FOUND_OUT = {
    "telling": Row("telling", lambda b, t: axes.usable_share(t.maps).value, worst=Filled("0")),
    "cascading": Row("randomization", depth(True, "spearman"), worst=NOISE),
    "cascading, magnitudes": Row("randomization", depth(True, "spearman_absolute"), worst=EDGES),
    "cascading, structure": Row("randomization", depth(True, "ssim"), worst=NOISE),
    "cascading, structure of magnitudes": Row("randomization", depth(True, "ssim_absolute"), worst=EDGES),
    "one layer": Row("randomization", depth(False, "spearman"), worst=NOISE),
    "shuffled labels": Row("label_randomization", on_copy, worst=EDGES),
    "other class": Row("other_class", lambda b, t: 1 - value(axes.other_class(b, t)), worst=EDGES),
    "edges": Row("edges", edges, worst=EDGES),
}
"""Here new noise is as good as the right explanation: these tests only find out maps that do not depend on what they
should, and the bad one gets 0."""


def score(row: Row, method: Fake, bench: Bench) -> float:
    if isinstance(method, Dice | Turning):
        type(method).calls = 0
    subject = Subject("fake", method, STREAMS)
    maps = subject.maps(bench.model, bench.images, bench.targets)
    return row.score(bench, axes.MethodUnderTest(subject, ALLOWANCE, maps))


def cases(rows: dict[str, Row]) -> list:
    return [pytest.param(row, case, id=f"{name}-{case}") for name, row in rows.items() for case in BENCHES
            if case == "objects" or not row.objects_only]  # fmt: skip


@pytest.mark.parametrize(("row", "case"), cases(RANKED))
def test_right_is_best_bad_is_worst_and_random_is_at_chance(row: Row, case: str) -> None:
    bench = BENCHES[case]
    draws = [row.random, *(replace(NOISE, draw=k) for k in range(1, row.draws))]
    best, worst = (score(row, method, bench) for method in (RIGHT, row.worst))
    random = float(np.mean([score(row, method, bench) for method in draws]))
    assert worst + 0.02 < random < best - 0.02
    if row.chance is not None:
        assert random == pytest.approx(row.chance, abs=0.1)


@pytest.mark.parametrize(("row", "case"), cases(FOUND_OUT))
def test_maps_that_do_not_depend_on_it_are_found_out(row: Row, case: str) -> None:
    bench = BENCHES[case]
    right, blind, dice = (score(row, method, bench) for method in (RIGHT, row.worst, DICE))
    assert blind == pytest.approx(0, abs=1e-6)
    assert min(right, dice) > 0.3


def test_the_table_has_every_axis() -> None:
    described = {"method", "title", "family", "options", "reduced", "images", "passes", "explanations", "state",
                 "promises_sum"}  # fmt: skip
    rows = RANKED | FOUND_OUT
    assert {row.field for row in rows.values()} == {f.name for f in fields(MethodTrust)} - described
    assert set(FAITHFULNESS) <= set(rows)
    assert {c.kind for c in axes.changes(BENCHES["objects"], _under_test(RIGHT))} <= set(rows)


def _under_test(method: Fake) -> axes.MethodUnderTest:
    bench, subject = BENCHES["objects"], Subject("fake", method, STREAMS)
    return axes.MethodUnderTest(subject, ALLOWANCE, subject.maps(bench.model, bench.images, bench.targets))
