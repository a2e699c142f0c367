"""The held-out worlds: printed beside the tuned ones, and asked for less, because nothing was tuned on them."""

from __future__ import annotations

import pytest
from planted import held_out
from planted.kit import Pictures, small
from planted.outcomes import Outcome, diagnosed, table, twins_table

pytestmark = pytest.mark.slow
WORLDS = {world.name: world for world in held_out.worlds()}
TWINS = [name for name in held_out.FACTORS if name != "unseen-variety"]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    return {name: diagnosed(world, tmp_path_factory.mktemp("world")) for name, world in WORLDS.items()}


def twins(factor: str) -> tuple[Pictures, Pictures]:
    base = (small,) if WORLDS[factor].model == "small" else ()
    plain = held_out.held("test", held_out.PER_CLASS, *base)
    return plain, held_out.held("test", held_out.PER_CLASS, *base, held_out.FACTORS[factor])


def test_the_table_of_what_was_found(outcomes: dict[str, Outcome], capsys) -> None:
    with capsys.disabled():
        print("\n" + table(outcomes))
        print("\n" + twins_table(outcomes, TWINS, twins)[0])
