"""Prints what is found in the held-out worlds: `python tests/planted/print_held_out.py`, about a minute and a half."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from planted import held_out
from planted.outcomes import diagnose_case, table, twins_table
from planted.rendering import Pictures, small


def main() -> None:
    planted_cases = {case.name: case for case in held_out.planted_cases()}

    def twins(factor: str) -> tuple[Pictures, Pictures]:
        base = (small,) if planted_cases[factor].model == "small" else ()
        plain = held_out.pictures("test", held_out.PER_CLASS, *base)
        return plain, held_out.pictures("test", held_out.PER_CLASS, *base, held_out.FACTORS[factor])

    with tempfile.TemporaryDirectory() as folder:
        outcomes = {
            name: diagnose_case(case, Path(folder) / name.replace(":", "")) for name, case in planted_cases.items()
        }
    print(table(outcomes))
    print("\n" + twins_table(outcomes, [name for name in held_out.FACTORS if name != "unseen-variety"], twins)[0])


if __name__ == "__main__":
    main()
