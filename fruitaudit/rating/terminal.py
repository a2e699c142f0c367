"""What people said of the maps, as a table in the terminal. Fits 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fruitaudit.rating.reading import Rater, Ratings, SourceRating
from fruitaudit.rating.verdict_comparison import Comparison
from fruitaudit.records.numbers import count, decimals
from fruitaudit.records.states import Estimate, Quantity
from fruitaudit.runtime.text import harmless
from fruitaudit.trust.rules import WORDS

_COLOURS = {"read": "green", "with_care": "yellow", "do_not_read": "red"}
_TESTS = {"verdict": "verdict", "faithfulness": "faithfulness", "on_object": "evidence on the object"}
ALPHA = "Krippendorff's: 1 is perfect agreement, 0 is chance"
CAUTION = (
    "A rating says whether a map looks right to a person, a verdict whether it is true of the model. They may differ: "
    "a true map of a model that looks at the wrong thing is rated low."
)


def print_ratings(console: Console, ratings: Ratings) -> None:
    """Methods in the order of their ratings, controls below, then how far the ratings can be relied on."""
    console.print()
    console.print(Text(f"Sheet {ratings.sheet}: {count(ratings.maps, 'map')} on {count(ratings.pictures, 'picture')}",
                       style="bold"))  # fmt: skip
    console.print(_sources(ratings))
    if left_out := [f"{row.title} {row.left_out}" for row in ratings.sources if row.left_out]:
        console.print(
            _lines([("not shown", f"maps that are empty, too weak to see, or damaged: {', '.join(left_out)}")])
        )
    _heading(console, "Does each rater say the same of the same map, seen twice? Do raters agree?")
    agreed = [(rater.name, _rater(rater)) for rater in ratings.raters]
    console.print(_lines([*agreed, ("each other", _alpha(ratings.each_other)), ("alpha", ALPHA)]))
    _heading(console, "How often is a method's map rated above a control's? 0.5 is chance")
    rates = ratings.above_controls.items()
    console.print(_lines([(title.removeprefix("Control: "), quantity_text(quantity)) for title, quantity in rates]))
    _heading(console, "Do the audit's own tests put the methods in the same order? Rank correlation")
    console.print(_lines([(_TESTS[row.figure], _compared(row)) for row in ratings.beside_tests]))
    console.print()
    console.print(Text(CAUTION, style="dim"))


def _rater(rater: Rater) -> str:
    remainder = [f"{n} {label}" for n, label in ((rater.unsure, "not sure"), (rater.missing, "missing")) if n]
    coverage = ", ".join([f"{rater.rated} rated", *remainder])
    return f"{coverage}; {_alpha(rater.themselves)}; above controls {quantity_text(rater.above_controls)}"


def _alpha(quantity: Quantity) -> str:
    return f"alpha {quantity_text(quantity)}"


def _compared(row: Comparison) -> str:
    if not isinstance(row.correlation, Estimate):
        return quantity_text(row.correlation)
    note = f"; {row.correlation.note}" if row.correlation.note else ""
    return f"{quantity_text(row.correlation)} over {count(row.methods, 'method')}{note}"


def quantity_text(quantity: Quantity) -> str:
    """`0.53 (0.41–0.66, 10 pictures)`, or why there is no number."""
    return quantity.short_text(digits=2, noun="picture")


def _sources(ratings: Ratings) -> Padding:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("method", overflow="fold")
    for name in ("rating", "interval", "n", "above controls"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for row in sorted(ratings.sources, key=_place):
        verdict = Text(WORDS[row.verdict], style=_COLOURS[row.verdict]) if row.verdict else Text("")
        above = decimals(row.above_controls.value, 2) if isinstance(row.above_controls, Estimate) else ""
        figures = ("not rated", "", "")
        if isinstance(row.rating, Estimate):
            figures = decimals(row.rating.value, 1), row.rating.interval_text(digits=1), str(row.rating.n)
        table.add_row(Text(harmless(row.title), style="dim" if row.control else ""), *figures, above, verdict)
    return Padding(table, (0, 0, 0, 2))


def _place(row: SourceRating) -> tuple[bool, float]:
    return row.control, -row.rating.value if isinstance(row.rating, Estimate) else 0.0


def _lines(entries: Sequence[tuple[str, str]]) -> Padding:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(max_width=24, overflow="fold")
    grid.add_column(overflow="fold")
    for word, text in entries:
        grid.add_row(Text(harmless(word), style="dim"), Text(harmless(text)))
    return Padding(grid, (0, 0, 0, 2))


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(Text(text, style="bold"))
