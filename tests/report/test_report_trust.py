"""The trust section: everything from the record alone, escaped, with the reason where a number is missing."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from trust.trust_records import GONE, GOOD, at, changes

from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.records.trust import (
    Agreement,
    EdgeLikeness,
    ExplanationCost,
    GroupReliance,
    Localization,
    MethodTrust,
    TrustNotRun,
    TrustReport,
)
from fruitaudit.report.html import make_environment
from fruitaudit.report.sections import Section
from fruitaudit.report.trust import views
from fruitaudit.trust.rules import RULES, judge

SCRIPT = "<script>window.hacked=1</script>"
BAD = replace(
    GOOD,
    method="bad",
    title=SCRIPT,
    faithfulness={},
    randomization=GONE,
    changes=changes(jpeg=NotRun(f"why {SCRIPT}", "not_computed")),
    seeds=GONE,
    other_class=GONE,
    telling=Estimate(0.2, 32),
    reduced=("samples 100 instead of 1000",),
)
EDGY = replace(
    GOOD,
    method="edgy",
    title="Edgy",
    edges=EdgeLikeness(at(0.8), at(0.7), at(0.1)),
    promises_sum=True,
    completeness=at(0.2, 0.01),
    localization=Localization(GOOD.faithfulness["road"], GOOD.faithfulness["road"], at(0.3), {}),
)


def report(*methods: MethodTrust | TrustNotRun) -> TrustReport:
    tested = [m for m in methods if isinstance(m, MethodTrust)]
    names = tuple(m.method for m in tested)
    table = tuple(tuple(at(1.0) if a == b else GONE if "bad" in (a, b) else at(-0.4) for b in names) for a in names)
    return TrustReport("standard", 32, ("a",) * 32, methods, tuple(map(judge, tested)), Agreement(names, table), RULES)


def render(trust: TrustReport, *costs: ExplanationCost) -> str:
    section = Section("trust", "Trust", "trust.html", views(trust))
    template = make_environment().get_template("sections/trust.html")
    return template.render(
        **section.context, section=section, number=7, results=None, run=SimpleNamespace(explanation_costs=costs)
    )


def test_methods_stand_in_the_order_of_their_verdicts() -> None:
    page = render(report(BAD, EDGY, GOOD))
    assert page.index(">Good<span") < page.index(">Edgy<span") < page.index("&lt;script&gt;")
    for word in ("Read", "Read with care", "Do not read"):
        assert f'badge-{word.lower().replace(" ", "-")}">{word}<' in page
    assert "Most of its maps are empty, constant or not finite." in page
    assert "Tested with samples 100 instead of 1000" in page


def test_what_the_user_gave_is_escaped_and_every_reason_is_told() -> None:
    page = render(report(BAD, GOOD, TrustNotRun("x", "X", NotRun(f"it {SCRIPT} failed", "not_computed"))))
    assert SCRIPT not in page
    assert "was not tested: it &lt;script&gt;" in page
    assert page.count("not run") > 5


def test_every_rule_is_printed_where_its_numbers_are() -> None:
    page = render(report(GOOD, EDGY))
    for name in set(RULES) - {"telling"}:
        assert RULES[name].split("%")[0][:60] in page
    assert "Does the map say more than a map that knows nothing?" in page
    assert "Is the evidence on the object?" in page
    assert "Is the evidence on the object?" not in render(report(GOOD))
    assert "Shuffled labels" not in page
    assert "Shuffled labels" in render(report(replace(GOOD, label_randomization=at(0.3))))
    assert "misses it by 20.0" in page


def test_the_background_is_told_by_group_and_by_class_where_there_are_masks() -> None:
    title = "How much of the evidence lies on the background?"
    assert title not in render(report(GOOD, EDGY))
    by_class = replace(
        EDGY, localization=replace(EDGY.localization, background={SCRIPT: at(0.41)}, background_share={SCRIPT: at(0.6)})
    )
    group = GroupReliance("missed", f"Missed {SCRIPT}", at(0.8), {"edgy": at(0.93, n=7), "good": GONE})
    result = replace(report(GOOD, by_class, BAD), groups=(group,))
    tables = {table.title: table for table in views(result)["reliance"]}
    assert list(tables) == ["By group of images that is explained", "By class, on the images of these tests"]
    by_group, per_class = tables.values()
    assert by_group.columns[2:] == per_class.columns[2:] == ("Good", "Edgy", SCRIPT)
    [(_, [share, good, edgy, bad])] = by_group.rows
    assert share[0].startswith("80.0")
    assert edgy == ("93.0\u00a0%", "88.0\u201398.0\u00a0%, 7 images")
    assert (good, bad) == (("not run", GONE.reason), ("–", "not asked for"))
    assert [figure for figure, _ in per_class.rows[0][1]] == ["60.0\u00a0%", "not run", "41.0\u00a0%", "not run"]
    page = render(result)
    assert title in page
    assert "Missed &lt;script&gt;" in page
    assert SCRIPT not in page


def test_costs_are_told_where_the_run_has_them() -> None:
    assert "What does a map cost?" not in render(report(GOOD))
    page = render(
        report(GOOD), ExplanationCost("slow", 100, 1.25, 200.0, 0.0), ExplanationCost("fast", 640, 0.002, 0.0, 1.0)
    )
    assert page.index("<code>fast</code>") < page.index("<code>slow</code>")
    assert ">1.25<" in page


def test_an_empty_report_says_so() -> None:
    page = render(report(TrustNotRun("x", "X", NotRun("there are no images", "not_computed"))))
    assert "No method gave maps that could be tested." in page
    assert "there are no images" in page


def test_the_gain_shown_is_that_over_the_strongest_control() -> None:
    weak = replace(GOOD.faithfulness["road"], gains=GOOD.faithfulness["road"].gains | {"centre": at(-0.3)})
    result = views(report(replace(GOOD, faithfulness={"road": weak})))
    panel = next(p for p in result["faithfulness"] if p.title == "ROAD")
    assert panel.rows[0].text.startswith("−0.300")
    assert panel.rows[0].at < panel.zero


def test_places_on_an_axis_are_those_of_the_numbers() -> None:
    result = views(report(GOOD, replace(EDGY, changes=changes(noise=-0.5))))
    steady, flips = (p for p in (result["changes"][2], result["changes"][0]))
    assert steady.ticks[0] == (0.0, "0")
    assert steady.rows[0].at == pytest.approx(0.9)
    assert flips.ticks[0] == (0.0, "−1")
    assert {round(row.at, 3) for row in flips.rows} == {0.975, 0.25}
    curve = result["curves"][0]
    assert curve.points[0] == (0.0, 0.0)
    assert curve.points[-1] == (pytest.approx(0.2), pytest.approx(0.35))
    assert curve.noise == pytest.approx(0.025)
    assert [cell.text for cell in result["agreement"][0][1]] == ["1.00", "−0.40"]
