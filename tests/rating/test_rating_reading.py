"""What is read back: raters of a known kind get the figures they should get."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rating.conftest import RIGHT, VERDICTS, knowing, trust_report

from fruitaudit.rating.answers import read_answers
from fruitaudit.rating.evidence import OTHER_PICTURE
from fruitaudit.rating.reading import Ratings, measure
from fruitaudit.rating.verdict_comparison import spearman
from fruitaudit.records.states import Estimate, NotRun


def measured(audit, *paths) -> Ratings:
    sheet, answers = read_answers(audit.folder, paths)
    return measure(sheet, answers, audit.folder.results.trust)


def by_method(ratings: Ratings):
    return {row.method: row for row in ratings.sources}


def figures(ratings: Ratings):
    return {row.figure: row.correlation for row in ratings.beside_tests}


def rolling(seed: int):
    rng = np.random.default_rng(seed)
    return lambda _: int(rng.integers(1, 6))


def test_a_rater_who_knows(audit) -> None:
    ratings = measured(audit, audit.answer("Ada", knowing))
    rows = by_method(ratings)
    assert {m: row.rating.value for m, row in rows.items() if not row.control} == {
        "saliency": 5, "lime": 4, "occlusion": 3
    }  # fmt: skip
    assert {m: row.verdict for m, row in rows.items() if not row.control} == VERDICTS
    assert figures(ratings)["verdict"].value == pytest.approx(1)
    assert figures(ratings)["faithfulness"].value == pytest.approx(1)
    assert figures(ratings)["verdict"].value <= 1
    assert figures(ratings)["on_object"] == NotRun("the method failed", "not_computed")
    assert {q.value for q in ratings.above_controls.values()} == {1.0}
    assert rows["occlusion"].above_controls.value == 1
    assert ratings.raters[0].themselves.value == 1
    assert ratings.each_other == NotRun("there is only one rater", "not_applicable")
    assert rows["saliency"].rating.n == 10


def test_a_rater_who_has_it_the_wrong_way_round(audit) -> None:
    ratings = measured(audit, audit.answer("Eve", lambda panel: 6 - knowing(panel)))
    assert figures(ratings)["verdict"].value == pytest.approx(-1)
    assert {q.value for q in ratings.above_controls.values()} == {0.0}


@pytest.mark.slow
def test_raters_who_roll_dice_are_at_chance(audit) -> None:
    """On average over raters; and the intervals of single ones hold chance nearly always."""
    ratings = measured(audit, *(audit.answer(f"Dice {seed}", rolling(seed)) for seed in range(30)))
    controls, themselves = (
        [getattr(rater, name) for rater in ratings.raters] for name in ("above_controls", "themselves")
    )
    assert np.mean([q.value for q in controls]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([q.value for q in themselves]) == pytest.approx(0, abs=0.12)
    assert np.mean([q.low <= 0.5 <= q.high for q in controls]) > 0.85
    assert np.mean([q.low <= 0 <= q.high for q in themselves]) > 0.75
    assert ratings.each_other.value == pytest.approx(0, abs=0.02)


def test_a_rater_who_always_says_the_same_tells_nothing(audit) -> None:
    ratings = measured(audit, audit.answer("Stone", lambda _: 3))
    assert {row.rating.value for row in ratings.sources} == {3.0}
    silent = [*ratings.above_controls.values(), ratings.raters[0].themselves, ratings.raters[0].above_controls]
    silent += [row.above_controls for row in ratings.sources]
    assert all(isinstance(q, NotRun) for q in silent)
    assert "all ratings are the same" in ratings.above_controls["Control: edges"].reason
    assert figures(ratings)["verdict"] == NotRun("all methods are rated alike", "undefined")


def test_who_takes_another_pictures_map_for_this_ones_is_told(audit) -> None:
    def fooled(panel) -> int:
        return 4 if panel.source.method == OTHER_PICTURE else 1 if panel.source.control else 4

    rates = measured(audit, audit.answer("Max", fooled)).above_controls
    assert rates["Control: other picture"].value == 0.5
    assert rates["Control: random"].value == 1


def test_half_a_sheet_is_counted_and_read(audit) -> None:
    sheet = audit.sheet()
    rated_ids = {panel.id for panel in sheet.panels[: len(sheet.panels) // 2]}
    unsure = sheet.panels[0].id

    def half(panel):
        return None if panel.id == unsure else knowing(panel) if panel.id in rated_ids else "missing"

    ratings = measured(audit, audit.answer("Half", half))
    rater = ratings.raters[0]
    assert (rater.rated, rater.unsure, rater.missing) == (len(rated_ids) - 1, 1, len(sheet.panels) - len(rated_ids))
    assert rater.themselves == NotRun("no map was rated twice", "too_few_images")
    assert by_method(ratings)["saliency"].rating.value == 5
    assert by_method(ratings)["saliency"].rating.n < 10


def test_an_empty_sheet_computes_nothing_and_says_so(audit) -> None:
    ratings = measured(audit, audit.answer("Nobody", lambda _: "missing"))
    assert {row.rating for row in ratings.sources} == {NotRun("no map of it was rated", "no_images")}
    assert {q.reason for q in ratings.above_controls.values()} == {
        "no picture has both a rated map and a rated control"
    }
    assert "0 methods have this figure and ratings" in figures(ratings)["verdict"].reason


def test_a_method_of_which_nothing_can_be_shown_is_told(audit) -> None:
    for group in ("missed", "seen"):
        (audit.path / f"attributions/{group}/occlusion.npz").write_bytes(b"damaged")
    row = by_method(measured(audit, audit.answer("Ada", knowing)))["occlusion"]
    assert (row.rating, row.left_out) == (NotRun("no map of it was rated", "no_images"), 10)


def test_two_raters_are_averaged_and_compared(audit) -> None:
    ada, eve = audit.answer("Ada", knowing), audit.answer("Eve", lambda panel: 6 - knowing(panel))
    ratings = measured(audit, ada, eve)
    assert {row.rating.value for row in ratings.sources} == {3.0}
    assert ratings.each_other.value < 0
    assert [rater.above_controls.value for rater in ratings.raters] == [1, 0]
    alike = measured(audit, ada, audit.answer("Bea", knowing))
    assert alike.each_other.value == 1


def test_repeats_count_towards_the_mean_of_their_picture_alone(audit) -> None:
    """The same map rated 5 and then 1 is a 3, not two pictures."""
    ratings = measured(audit, audit.answer("Two", lambda panel: 1 if panel.repeat else 5))
    repeated_ids = {p.sample_id for p in audit.sheet().panels if p.repeat and p.source.method == "saliency"}
    assert by_method(ratings)["saliency"].rating.value == pytest.approx(
        (3 * len(repeated_ids) + 5 * (10 - len(repeated_ids))) / 10
    )


def test_without_trust_there_is_nothing_to_compare_with(audit) -> None:
    answers = audit.answer("Ada", knowing)
    audit.change(trust=NotRun("trust is off", "not_computed"))
    assert set(figures(measured(audit, answers)).values()) == {NotRun("trust is off", "not_computed")}


def test_methods_are_compared_on_the_pictures_that_they_share_with_the_controls(audit) -> None:
    """On errors everything is rated two steps lower; saliency was shown there alone, and is still the best."""
    rows = audit.folder.results.explanations
    audit.change(explanations=(*rows[:1], *rows[4:]))

    def hard(panel) -> int:
        return {"saliency": 3, "lime": 4, "occlusion": 3}.get(panel.source.method, 1 + 2 * (panel.sample_id in RIGHT))

    ratings = measured(audit, audit.answer("Ada", hard))
    assert by_method(ratings)["lime"].rating.value > by_method(ratings)["saliency"].rating.value
    assert figures(ratings)["verdict"].value == pytest.approx(1)


def test_verdicts_that_are_all_the_same_put_nothing_in_order(audit) -> None:
    trust = trust_report()
    same = tuple(replace(verdict, reading="read") for verdict in trust.verdicts)
    audit.change(trust=replace(trust, verdicts=same))
    assert figures(measured(audit, audit.answer("Ada", knowing)))["verdict"] == NotRun(
        "it is the same for all 3 methods", "undefined"
    )


def test_the_correlation_has_an_interval_of_other_pictures(audit) -> None:
    rng = np.random.default_rng(3)
    noisy = measured(audit, audit.answer("Ada", lambda panel: int(np.clip(knowing(panel) + rng.integers(-2, 3), 1, 5))))
    correlation = figures(noisy)["verdict"]
    assert isinstance(correlation, Estimate)
    assert correlation.low <= correlation.value <= correlation.high
    assert correlation.n == 10
    assert "by chance" in correlation.note, "three methods are few"


def test_rank_correlation_by_hand() -> None:
    """1 - 6 sum d^2 / (n (n^2 - 1)) without ties: d = 1, 1, 0, 0 -> 0.8. A gap or a constant is no number."""
    figure = np.array([1.0, 2.0, 3.0, 4.0])
    rows = np.array([[20.0, 10.0, 30.0, 40.0], [1, 1, 1, 1], [1, np.nan, 2, 3]])
    assert spearman(rows, figure) == pytest.approx([0.8, np.nan, np.nan], nan_ok=True)
