from __future__ import annotations

import numpy as np
import pytest

from fruitaudit.audit.groups import check_groups, choose_groups
from fruitaudit.config.schema import Config
from fruitaudit.errors import ConfigError
from fruitaudit.records.evaluation import Predictions
from fruitaudit.runtime.streams import Streams

NAMES = ("Apple", "Avocado", "Pear")


def predictions(split: str, role: str, pairs: list[tuple[int, int]], sure: float = 0.8) -> Predictions:
    labels, called = np.array(pairs).reshape(-1, 2).T
    probabilities = np.full((len(labels), 3), (1 - sure) / 2, np.float32)
    probabilities[np.arange(len(labels)), called] = sure
    ids = tuple(f"{split}/{i}" for i in range(len(labels)))
    return Predictions(split, role, NAMES, ids, labels, probabilities, np.log(probabilities))


def config(**more: object) -> Config:
    splits = [{"name": "test", "path": "t", "role": "test"}, {"name": "store", "path": "s", "role": "field"}]
    return Config.model_validate({"model": {"path": "m.keras"}, "splits": splits, **more})


STORE = predictions("store", "field", [(0, 0)] * 2 + [(1, 2)] * 5 + [(2, 2)] * 3 + [(2, 0)] * 2 + [(0, 2)])
TEST = predictions("test", "test", [(0, 0), (1, 1), (1, 1), (2, 2)])
BOTH = {"test": TEST, "store": STORE}


def test_auto_takes_the_worst_class_the_most_called_class_and_the_two_largest_confusions() -> None:
    groups = {g.name: g for g in choose_groups(config(), BOTH, Streams(9))}
    assert groups["most_false_positives"].class_name == "Pear"
    assert groups["most_false_positives"].population == 6
    assert groups["lowest_recall"].class_name == "Avocado"
    assert groups["confusion_1"].title == "Avocado called Pear (store)"
    assert groups["confusion_1"].population == 5
    assert groups["confusion_2"].title == "Pear called Apple (store)"


def test_controls_are_true_positives_and_come_from_the_test_split_where_the_field_has_none() -> None:
    groups = {g.name: g for g in choose_groups(config(), BOTH, Streams(9))}
    pear, avocado = groups["most_false_positives_control"], groups["lowest_recall_control"]
    assert (pear.split, pear.population, pear.control_of) == ("store", 3, "most_false_positives")
    assert (avocado.split, avocado.sample_ids) == ("test", ("test/1", "test/2"))
    assert "store has none" in avocado.rule
    assert sum(g.kind == "true_positive" and g.class_name == "Avocado" for g in groups.values()) == 1


def test_equal_recalls_are_told_apart_by_the_probability_given_to_wrong_classes() -> None:
    unsure, sure = predictions("s", "field", [(0, 1)] * 4, 0.5), predictions("s", "field", [(2, 1)] * 4, 0.9)
    probabilities = np.concatenate([unsure.probabilities, sure.probabilities])
    labels = np.concatenate([unsure.labels, sure.labels])
    ids = tuple(f"s/{i}" for i in range(8))
    both = Predictions("s", "field", NAMES, ids, labels, probabilities, np.log(probabilities))
    groups = {g.name: g for g in choose_groups(config(), {"s": both}, Streams(9))}
    assert groups["lowest_recall"].class_name == "Pear"


def test_the_draw_is_seeded_and_stated() -> None:
    settings = config(max_images=2)
    first, again, other = (choose_groups(settings, BOTH, Streams(seed)) for seed in (9, 9, 1))
    assert first == again
    assert first != other
    assert first[0].draw == "2 drawn at random with seed 9"
    assert len(first[0].sample_ids) == 2


def test_a_perfect_model_has_no_groups_of_errors() -> None:
    assert choose_groups(config(), {"test": TEST}, Streams(9)) == ()


def test_by_hand() -> None:
    by_hand = [
        {"name": "avocado_fn", "split": "store", "kind": "false_negative", "class": "Avocado"},
        {"name": "pear_fp", "split": "store", "kind": "false_positive", "class": "Pear", "max_images": 15},
        {"name": "pear_tp", "split": "store", "kind": "true_positive", "class": "Pear"},
    ]
    groups = choose_groups(config(groups=by_hand), BOTH, Streams(9))
    assert [g.population for g in groups] == [5, 6, 3]
    assert set(groups[1].sample_ids) == {f"store/{i}" for i in (2, 3, 4, 5, 6, 12)}


def test_a_class_the_model_does_not_know_is_one_sentence() -> None:
    by_hand = [{"name": "fig", "split": "store", "kind": "true_positive", "class": "Fig"}]
    with pytest.raises(ConfigError, match="group fig: the model has no class 'Fig'; its classes are Apple, Avocado"):
        check_groups(config(groups=by_hand), NAMES)
    with pytest.raises(ConfigError, match="did you mean 'Apple'"):
        check_groups(config(groups=[{**by_hand[0], "class": "apple"}]), NAMES)
    check_groups(config(groups=[{**by_hand[0], "class": "Apple"}]), NAMES)


def by_hand(**group: object):
    settings = config(groups=[{"name": "g", "split": "store", **group}])
    return choose_groups(settings, BOTH, Streams(9))[0]


def test_groups_of_any_class() -> None:
    assert by_hand(kind="misclassified").population == 8
    assert by_hand(kind="true_positive").population == 5
    assert by_hand(kind="misclassified", **{"class": "Pear"}).sample_ids == ("store/10", "store/11")
    assert by_hand(kind="misclassified").class_name == ""


def test_groups_choose_among_the_same_images_of_every_class() -> None:
    wrong, right = (by_hand(kind=kind, per_class=2) for kind in ("misclassified", "true_positive"))
    assert wrong.population + right.population == 6
    labels = [STORE.labels[STORE.sample_ids.index(i)] for i in (*wrong.sample_ids, *right.sample_ids)]
    assert sorted(labels) == [0, 0, 1, 1, 2, 2]
    assert "among 2 images of every class (6 in all)" in wrong.rule


def test_a_missed_class_must_be_named() -> None:
    with pytest.raises(ValueError, match="kind false_negative needs a class"):
        by_hand(kind="false_negative")


def test_a_group_like_another_has_an_image_of_the_same_class_for_each_of_its() -> None:
    lab = predictions("test", "test", [(0, 0)] * 5 + [(1, 1)] + [(2, 2)] * 5)
    settings = config(
        groups=[
            {"name": "wrong", "split": "store", "kind": "misclassified"},
            {"name": "lab", "split": "test", "kind": "true_positive", "like": "wrong"},
        ]
    )
    wrong, beside = choose_groups(settings, {"test": lab, "store": STORE}, Streams(9))
    labels = [int(lab.labels[lab.sample_ids.index(i)]) for i in beside.sample_ids]
    assert sorted(labels) == [0, 1, 2, 2]  # five of class 1 were wrong, but the lab has one
    assert len(set(beside.sample_ids)) == 4
    assert beside.control_of == "wrong"
    assert beside.draw.startswith(f"4 of {len(wrong.sample_ids)} found")


def test_a_group_like_one_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no group 'gone' above lab"):
        config(groups=[{"name": "lab", "split": "test", "kind": "true_positive", "like": "gone"}])
