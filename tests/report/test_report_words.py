import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruitaudit.records.numbers import count
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.report import words


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_a_figure_stands_with_denominator_and_interval():
    accuracy = Estimate(0.153125, 320, 0.1178038, 0.1966757, 49, "Wilson")
    assert plain(words.quantity(accuracy)) == "15.3 % (49 of 320; 95 % interval 11.8–19.7 %)"
    assert plain(words.quantity(Estimate(0.0967, 320, 0.05, 0.14))) == "0.097 (320 images; 95 % interval 0.050–0.140)"
    assert plain(words.quantity(Estimate(0.5, 10), share=True)) == "50.0 % (10 images)"
    assert words.quantity(NotRun("no class x", "not_computed")) == "not computed: no class x"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "100.0 %"),
        (0.0, "0.0 %"),
        (2639 / 2640, "99.96 %"),
        (0.0002, "0.02 %"),
        (0.5, "50.0 %"),
        (1e-12, "<0.1 %"),
    ],
)
def test_nothing_is_rounded_to_a_certainty(value, text):
    assert plain(words.percent(value)) == text


@given(st.floats(0, 1))
def test_only_exact_zeros_and_ones_are_printed_as_such(value):
    chance = plain(words.chance(value))
    assert (chance == "100.0 %") == (value == 1)
    assert (chance == "0.0 %") == (value == 0)


def test_metrics_have_a_reader_s_order_and_names():
    assert words.metric_order(["zeta", "ece", "top3_accuracy", "accuracy"]) == [
        "accuracy",
        "top3_accuracy",
        "ece",
        "zeta",
    ]
    assert words.metric_label("top3_accuracy") == "Top-3 accuracy"
    assert words.metric_label("cohen_kappa") == "Cohen's kappa"
    assert words.is_share("top5_accuracy")
    assert not words.is_share("ece")


def test_every_metric_of_the_evaluation_is_explained():
    from fruitaudit.records.metrics import SCALARS

    assert set(SCALARS) == set(words.METRICS)


def test_listing_and_sentences():
    assert words.listing(["a", "b", "c", "d"]) == "a, b, c and 1 more"
    assert count(1, "class", "classes") == "1 class"
    assert count(2640, "image") == "2,640 images"
    assert words.sentence("the rule") == "The rule."
    assert words.sentence("Done.") == "Done."
