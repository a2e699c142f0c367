"""The terminal: arguments, progress, exit codes. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import errno
import io
import json
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from fruitaudit import __version__
from fruitaudit.commands.rate import rate
from fruitaudit.errors import AuditError
from fruitaudit.runtime.memory import LESS_MEMORY, is_out_of_memory
from fruitaudit.runtime.text import printable

app = typer.Typer(
    name="fruitaudit",
    help="Audit an image classifier: evaluate it, explain its errors, and say whether it may be used.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

_MENDABLE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room on the disk"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "allow access to it, or name another place"),
}
"""Errors of the machine that its user can mend, and how."""

EXIT_CODES = """Exit codes: 0 all gates pass; 1 a gate failed; 2 wrong usage, config, data or model; 3 a gate could not
be computed; 4 a fault of fruitaudit itself."""

ConfigArgument = Annotated[Path | None, typer.Argument(help="YAML file; ./fruitaudit.yaml when left out.")]
ModelOption = Annotated[Path | None, typer.Option("--model", help="Model file: .keras, .h5, or a SavedModel folder.")]
DataOption = Annotated[
    list[str] | None,
    typer.Option("--data", metavar="NAME=PATH", help="A split: class folders, a CSV/Parquet manifest, or an NPZ."),
]
ClassesOption = Annotated[
    Path | None, typer.Option("--classes", help="File of class names, in the order of the model's outputs.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder for the report and its data; ./audit by default.")
]
DemoOutOption = Annotated[Path, typer.Option("--out", help="Folder for the case and its report.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a config key, e.g. --set seed=3.")
]
AllowCodeOption = Annotated[bool, typer.Option("--allow-code", help="Let the model file and providers.*.python run.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]


def _version(value: bool) -> None:
    if value:
        typer.echo(f"fruitaudit {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Audit an image classifier: evaluate it, explain its errors, and say whether it may be used."""


@app.command(epilog=EXIT_CODES)
def evaluate(
    config: ConfigArgument = None,
    model: ModelOption = None,
    data: DataOption = None,
    classes: ClassesOption = None,
    out: OutOption = None,
    methods: Annotated[
        str | None, typer.Option("--methods", metavar="A,B", help='Attribution methods; "" for none.')
    ] = None,
    set_: SetOption = None,
    allow_code: AllowCodeOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan with its cost, and stop.")] = False,
    quiet: QuietOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON to stdout.")] = False,
) -> None:
    """Audit a model on its splits and write one HTML report."""
    from fruitaudit.config.load import load_config

    loaded = load_config(
        config,
        overrides=set_ or [],
        allow_code=allow_code,
        model=model,
        data=data or [],
        out=out,
        methods=methods,
        classes=classes,
        ci=os.environ.get("CI", "").lower() not in ("", "0", "false"),
    )
    _print_messages(loaded.messages, quiet)
    if dry_run:
        from fruitaudit.commands.plan import plan, print_plan

        print_plan(plan(loaded.config), as_json=as_json)
        return
    raise typer.Exit(_audit(loaded.config, quiet=quiet, as_json=as_json))


class Case(StrEnum):
    """What `demo` can make."""

    FRUIT = "fruit"
    DIGITS = "digits"


@app.command()
def demo(
    out: DemoOutOption = Path("fruitaudit-demo"),
    case: Annotated[
        Case, typer.Option("--case", help="Fruit from a lab and a store, or tiny grey digits.")
    ] = Case.FRUIT,
    quiet: QuietOption = False,
) -> None:
    """Audit a case made on the spot: good in the lab, bad in use."""
    from fruitaudit.config.load import load_config
    from fruitaudit.demo import digits
    from fruitaudit.demo.fruit import case as fruit

    _print_messages([f"making the {case.value} case in {out} (about 20 s)"], quiet)
    config = (fruit if case is Case.FRUIT else digits).make_case(out)
    again = f"fruitaudit evaluate {shlex.quote(str(config))}"  # this command would make the case anew
    raise typer.Exit(_audit(load_config(config).config, quiet=quiet, as_json=False, again=again))


@app.command()
def init(
    model: Annotated[Path, typer.Argument(help="Model file: .keras, .h5, or a SavedModel folder.")],
    data: Annotated[list[str], typer.Argument(metavar="[NAME=]PATH", help="Splits, or a folder of split folders.")],
    out: Annotated[Path, typer.Option("--out", help="File to write.")] = Path("fruitaudit.yaml"),
    size: Annotated[
        tuple[int, int] | None,
        typer.Option("--size", metavar="HEIGHT WIDTH", help="Of the images, where the model takes any size."),
    ] = None,
    classes: ClassesOption = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Write a commented config for a model and its data."""
    from fruitaudit.commands.scaffold import scaffold

    _print_messages(scaffold(model, data, out, size=size, classes=classes, allow_code=allow_code), quiet=False)
    typer.echo(f"wrote {out}; read it through, then run: fruitaudit evaluate {shlex.quote(str(out))}")


@app.command()
def methods(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """List the attribution methods with question, paper and cost."""
    from fruitaudit.commands.listing import print_methods

    print_methods(as_json=as_json)


@app.command()
def verify(
    config: ConfigArgument = None,
    model: ModelOption = None,
    data: DataOption = None,
    set_: SetOption = None,
    allow_code: AllowCodeOption = False,
    images: Annotated[int, typer.Option("--images", min=1, help="How many images, drawn with the seed.")] = 4,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but the comparisons and errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, image by image.")] = False,
) -> None:
    """Compare the methods with other libraries', on your own model."""
    from fruitaudit.commands.progress import progress_for
    from fruitaudit.commands.verify import print_verified
    from fruitaudit.commands.verify import verify as compare
    from fruitaudit.config.load import load_config

    loaded = load_config(config, overrides=set_ or [], allow_code=allow_code, model=model, data=data or [])
    _print_messages(loaded.messages, quiet)
    print_verified(compare(loaded.config, images, progress_for(quiet=quiet)), as_json=as_json)


@app.command()
def render(directory: Annotated[Path, typer.Argument(help="Output folder of an audit.")]) -> None:
    """Write the report again, without model or data."""
    from fruitaudit.report.render import render_again

    for path in render_again(directory):
        typer.echo(path)


@app.command()
def schema(what: Annotated[Literal["config", "results"], typer.Argument(help="Which file to describe.")]) -> None:
    """Print a JSON Schema, of the config or the results."""
    if what == "config":
        from fruitaudit.config.load import config_schema as make
    else:
        from fruitaudit.report.artefacts import results_schema as make
    typer.echo(json.dumps(make(), indent=1))


app.add_typer(rate, name="rate")


def _audit(config: Any, *, quiet: bool, as_json: bool, again: str = "the same command") -> int:
    """`again`: what to run to go on where this run was stopped."""
    from rich.console import Console

    from fruitaudit.commands.progress import progress_for
    from fruitaudit.config.paths import portable_command
    from fruitaudit.pipeline import audit
    from fruitaudit.report.outcome import outcome
    from fruitaudit.report.terminal import print_summary

    try:
        results, run = audit(config, progress_for(quiet=quiet), portable_command(["fruitaudit", *sys.argv[1:]]))
    except _Stopped as stop:
        stop.advice = f"{again} goes on from the last finished stage"
        raise
    report = config.out / "report.html"
    if as_json:
        typer.echo(json.dumps(outcome(results, report), indent=1))
    elif not quiet:
        print_summary(Console(), results, run, report)
    return results.verdict.exit_code


def _print_messages(sentences: list[str] | tuple[str, ...], quiet: bool) -> None:
    for sentence in () if quiet else sentences:
        typer.echo(sentence, err=True)


class _Stopped(SystemExit):
    """The user or the machine asked the run to end."""

    advice = "the same command starts from the beginning"
    """True of a command that keeps nothing until it ends."""


def _stop(number: int, _frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one would end the tidying up
    raise _Stopped(128 + number)


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGHUP, SIGINT and SIGTERM unwind the run, so that nothing half-written stays behind.

    A hang-up that is ignored from outside stays so: `nohup` works by that.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    if before[signal.SIGHUP] == signal.SIG_IGN:
        del before[signal.SIGHUP]
    for number in before:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stdout(io.TextIOWrapper):
    """What it cannot hand over is dropped: who stops reading does not change the exit code."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._drop(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._drop(error)

    def _drop(self, error: OSError) -> None:
        if error.errno != errno.EPIPE:
            typer.echo(f"stdout: {error.strerror}; what was to be printed is lost", err=True)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


@contextmanager
def _stdout_that_may_close() -> Iterator[None]:
    before = sys.stdout
    if before is None or not hasattr(before, "buffer"):
        yield
        return
    sys.stdout = _Stdout(before.buffer, before.encoding, before.errors, line_buffering=bool(before.line_buffering))
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout.detach()
        sys.stdout = before


def _fail(sentence: str) -> NoReturn:
    # Names of files and classes may hold line breaks, or codes that a terminal would obey.
    typer.echo(f"error: {printable(sentence)}", err=True)
    sys.exit(2)


def main() -> None:
    """Run the command line; a user's mistake is one sentence and exit code 2, a fault of ours exit code 4."""
    try:
        with _stoppable(), _stdout_that_may_close():
            app()
    except AuditError as error:
        _fail(str(error))
    except _Stopped as stop:
        name = signal.Signals(int(stop.code or 0) - 128).name
        typer.echo(f"stopped by {name}; {stop.advice}", err=True)
        raise
    except OSError as error:
        if error.errno not in _MENDABLE:
            _report_fault()
        _fail(f"{error.filename or 'this machine'}: {error.strerror}; {_MENDABLE[error.errno]}")
    except Exception as error:
        if is_out_of_memory(error):
            _fail(f"memory ran out: {LESS_MEMORY}")
        _report_fault()


def _report_fault() -> NoReturn:
    traceback.print_exc()
    typer.echo("error: this is a fault of fruitaudit; please report it with the lines above", err=True)
    sys.exit(4)
