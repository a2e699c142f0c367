"""`fruitaudit rate`: a sheet to rate maps on, blind, and a command that reads it back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

rate = typer.Typer(
    help="Let people who know the pictures rate the maps, blind.", no_args_is_help=True, rich_markup_mode=None
)
DirectoryArgument = Annotated[Path, typer.Argument(help="Output folder of an audit.")]


@rate.command()
def sheet(
    directory: DirectoryArgument,
    out: Annotated[Path, typer.Option("--out", help="File to write.")] = Path("rating.html"),
    images: Annotated[int, typer.Option("--images", min=1, max=10**6, help="How many pictures to rate.")] = 10,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of all draws; the audit's by default.")] = None,
) -> None:
    """Write a sheet to rate maps on; it names no method."""
    from fruitaudit.rating.choosing import make_sheet
    from fruitaudit.rating.sheet import minutes_of, render_sheet
    from fruitaudit.records.numbers import count
    from fruitaudit.report.folder import made_of, open_folder
    from fruitaudit.runtime.files import write_text
    from fruitaudit.runtime.paths import output_file

    out = output_file(out)
    with made_of(directory):
        folder = open_folder(directory)
        rating_sheet = make_sheet(folder, folder.results.seed if seed is None else seed, images)
        page = render_sheet(folder, rating_sheet)
    write_text(out, page)
    typer.echo(
        f"wrote {out}: {count(len(rating_sheet.panels), 'map')} on {count(len(rating_sheet.samples), 'picture')}, "
        f"about {count(minutes_of(rating_sheet), 'minute')}; send it without the report, which names the methods"
    )


@rate.command()
def read(
    directory: DirectoryArgument,
    answers: Annotated[list[Path], typer.Argument(help="Files that the sheet saved, one per rater.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Report what raters said, and how far they agree."""
    from rich.console import Console

    from fruitaudit.rating.answers import read_answers
    from fruitaudit.rating.reading import measure
    from fruitaudit.rating.terminal import print_ratings
    from fruitaudit.report.artefacts import dump
    from fruitaudit.report.folder import made_of, open_folder

    with made_of(directory):
        folder = open_folder(directory)
        rating_sheet, files = read_answers(folder, answers)
        ratings = measure(rating_sheet, files, folder.results.trust)
    if as_json:
        typer.echo(dump(ratings), nl=False)
    else:
        print_ratings(Console(highlight=False), ratings)
