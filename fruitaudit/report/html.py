"""`report.html`: one self-contained file that asks nothing of the network and runs nothing of the user's."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fruitaudit.inputs.ways import in_words
from fruitaudit.records.numbers import count
from fruitaudit.records.states import Estimate
from fruitaudit.report import answer, charts, figures, words
from fruitaudit.report.advice import advice
from fruitaudit.report.folder import Folder
from fruitaudit.report.sections import SECTIONS, Section
from fruitaudit.resources import resource
from fruitaudit.runtime.text import harmless


def render_html(folder: Folder) -> str:
    """The whole report. Everything the user gave is escaped: class names, paths, titles."""
    sections = [section for make in SECTIONS if (section := make(folder)) is not None]
    environment = make_environment()
    common = {"results": folder.results, "run": folder.run, "headline": advice(folder.results).headline}
    bodies = [_body(environment, number, section, common) for number, section in enumerate(sections, 1)]
    template = environment.get_template("report.html")
    return template.render(**common, sections=list(zip(sections, bodies, strict=True)))


@cache
def make_environment() -> Environment:
    """Jinja2 with autoescape, undefined names as errors, and the words and charts of the report as filters.

    One for all reports: compiling the templates takes longer than filling them in.
    """
    environment = Environment(
        loader=FileSystemLoader(resource("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        tight=words.tight,
        listing=words.listing,
        percent=words.percent,
        in_words=in_words,
        chance=words.chance,
        sentence=words.sentence,
        number=words.number,
        quantity=words.quantity,
        interval=words.interval,
        denominator=words.denominator,
        significant=words.significant,
        metric_label=words.metric_label,
        metric_says=words.metric_says,
        count=count,
        groups=lambda estimate: words.tight(estimate.groups_text()),
        gate_word=answer.gate_word,
        short_hash=lambda digest: digest[:12],
    )
    environment.tests["estimate"] = lambda value: isinstance(value, Estimate)
    environment.globals.update(
        points=charts.points, gaps=charts.gaps, bar_css=figures.colour_bar, cost=words.cost, is_share=words.is_share,
        ROLES=answer.ROLES,
    )  # fmt: skip
    return environment


def _harmless(value: object) -> object:
    """What is printed, of whatever kind: markup stays markup."""
    return type(value)(harmless(value)) if isinstance(value, str) else value


def _body(environment: Environment, number: int, section: Section, common: dict[str, Any]) -> str:
    template = environment.get_template(f"sections/{section.template}")
    return template.render(**common, **section.context, section=section, number=number)
