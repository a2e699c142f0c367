"""Prints what is found in the held-out worlds: `python tests/planted/print_held_out.py`, about a minute and a half."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from planted import held_out
from planted.kit import Pictures, small
from planted.outcomes import diagnosed, table, twins_table


def main() -> None:
    worlds = {world.name: world for world in held_out.worlds()}

    def twins(factor: str) -> tuple[Pictures, Pictures]:
        base = (small,) if worlds[factor].model == "small" else ()
        plain = held_out.held("test", held_out.PER_CLASS, *base)
        return plain, held_out.held("test", held_out.PER_CLASS, *base, held_out.FACTORS[factor])

    with tempfile.TemporaryDirectory() as folder:
        outcomes = {name: diagnosed(world, Path(folder) / name.replace(":", "")) for name, world in worlds.items()}
    print(table(outcomes))
    print("\n" + twins_table(outcomes, [name for name in held_out.FACTORS if name != "unseen-variety"], twins)[0])


if __name__ == "__main__":
    main()
