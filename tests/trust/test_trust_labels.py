"""A copy that learned shuffled labels, or the reason why it did not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from zoo import KINDS

from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams
from fruitaudit.trust import labels


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.from_network(KINDS["mlp"]())


def test_the_copy_knows_the_wrong_labels_and_the_original_is_untouched(classifier: Classifier) -> None:
    rng = np.random.default_rng(0)
    values, true = rng.random((40, 32, 32, 3), np.float32), np.arange(40) % 5
    before = classifier.network.get_weights()
    copy = labels.train_on_shuffled(classifier, values, true, Streams(3))
    assert isinstance(copy, Classifier)
    predicted = copy.logits(values).argmax(axis=1)
    assert (predicted == true).mean() < 0.5
    assert sorted(np.bincount(predicted, minlength=5)) == pytest.approx([8] * 5, abs=2)
    for a, b in zip(before, classifier.network.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    again = labels.train_on_shuffled(classifier, values, true, Streams(3))
    np.testing.assert_allclose(again.logits(values), copy.logits(values), atol=1e-4)


def test_a_copy_that_cannot_learn_them_is_not_run(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "TRAINING", dataclasses.replace(labels.TRAINING, epochs=2))
    same = np.zeros((40, 32, 32, 3), np.float32)  # one image with five labels
    outcome = labels.train_on_shuffled(classifier, same, np.arange(40) % 5, Streams(3))
    assert isinstance(outcome, NotRun)
    assert "after 2 epochs on 40 images" in outcome.reason
