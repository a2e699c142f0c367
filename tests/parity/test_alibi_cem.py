"""alibi's CEM against the native one: what is the same, and what alibi really does.

Needs an interpreter that has alibi (constraints-alibi.txt): FRUITAUDIT_ALIBI_PYTHON names it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from cem_replica import SHAPE, Replica, linear

from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.methods.cem import Cem
from fruitaudit.config.schema import MethodSettings
from fruitaudit.demo.fruit import case
from fruitaudit.demo.fruit.bodies import CLASSES
from fruitaudit.demo.fruit.render import render
from fruitaudit.demo.fruit.scene import lab_scene, store_scene
from fruitaudit.errors import ConfigError
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier, open_classifier
from fruitaudit.providers.alibi import CemByAlibi
from fruitaudit.providers.registry import build
from fruitaudit.records.data import Background, Images
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

PYTHON = os.environ.get("FRUITAUDIT_ALIBI_PYTHON")
needs_alibi = pytest.mark.skipif(not PYTHON, reason="FRUITAUDIT_ALIBI_PYTHON names no interpreter that has alibi")
L = keras.layers
FRUIT = Path(case.__file__).parent


@pytest.fixture(scope="module")
def model():
    return linear()


@pytest.fixture(scope="module")
def images():
    values = np.random.default_rng(3).uniform(0.2, 0.8, (4, *SHAPE)).astype(np.float32)
    return Images(values, tuple("abcd"), np.zeros(3, np.float32), np.ones(3, np.float32))


def by_alibi(**options):
    return build(MethodSettings(name="cem", provider="alibi", options=options), {"alibi": Path(PYTHON)})


def predicted(classifier, images):
    return Targets(classifier.probabilities(images.values).argmax(axis=1))


@needs_alibi
def test_one_iteration_a_round_is_the_same(model, images):
    options = {"max_iterations": 1, "c_steps": 6, "beta": 0.03, "learning_rate": 0.05, "no_information": "black"}
    targets = predicted(model[0], images)
    ours = Cem(**options, score="probability")(model[0], images, targets, Streams(0))
    theirs = by_alibi(**options)(model[0], images, targets, Streams(0))
    for mine, other in zip(ours.parts, theirs.parts, strict=True):
        assert mine.found.all()
        np.testing.assert_array_equal(mine.found, other.found)
        np.testing.assert_allclose(mine.change, other.change, atol=1e-6)
        np.testing.assert_array_equal(mine.classes, other.classes)


@needs_alibi
def test_alibi_has_no_momentum(model, images):
    """Its two updates run side by side, and the one reads delta when the other has overwritten it: ISTA, not FISTA."""
    options = {"max_iterations": 25, "c_steps": 7, "beta": 0.03, "kappa": 0.1, "no_information": "black"}
    classifier, weights, bias = model
    targets, method = predicted(classifier, images), Cem(**options, score="probability")
    theirs = by_alibi(**options)(classifier, images, targets, Streams(0))
    far = {}
    for name, momentum in {
        "none": lambda k: 0,
        "paper": lambda k: k / (k + 3),
        "theirs": lambda k: (k + 1) / (k + 4),
    }.items():
        replica = Replica(weights.astype(float), bias.astype(float), method, momentum=momentum)
        far[name] = [
            abs(replica.search(image, np.zeros(SHAPE), int(t), part.mode == "PP")[0] - change).max()
            for part in theirs.parts
            for image, t, change in zip(images.values.astype(float), targets.classes, part.change, strict=True)
        ]
    assert np.median(far["none"]) < 1e-5
    for ours, other in zip(method(classifier, images, targets, Streams(0)).parts, theirs.parts, strict=True):
        np.testing.assert_array_equal(ours.found, other.found)
        assert np.median(abs(ours.change - other.change).max(axis=(1, 2, 3))) < 1e-5
    assert np.median(far["paper"]) > 1e-3
    assert np.median(far["theirs"]) > 1e-3


@needs_alibi
def test_what_is_left_out_of_a_positive_is_black_to_alibi_whatever_no_information_is(model, images):
    options = {"max_iterations": 25, "c_steps": 7, "beta": 0.03, "no_information": "white"}
    targets = predicted(model[0], images)
    theirs = by_alibi(**options)(model[0], images, targets, Streams(0)).parts[1]
    ours = Cem(**options)(model[0], images, targets, Streams(0)).parts[1]
    assert ours.values[ours.found].max() == 1
    assert theirs.found.any()
    # Darker than white is negative where white is 0: no colour at all.
    assert theirs.values[theirs.found].max() <= 0
    assert theirs.values[theirs.found].min() < 0


@needs_alibi
def test_a_model_that_is_sure_of_itself_has_no_probabilities_to_follow(images):
    """Logits ten times as large: the same classes, and hardly a find of alibi's."""
    classifier, weights, bias = linear()
    scores = classifier.network.layers[-1]
    scores.set_weights([200 * weights.reshape(-1, weights.shape[-1]), 200 * bias])
    targets, options = predicted(classifier, images), {"max_iterations": 20, "c_steps": 6, "no_information": "black"}
    ours = Cem(**options, beta=0.02)(classifier, images, targets, Streams(0))
    theirs = by_alibi(**options, beta=0.02)(classifier, images, targets, Streams(0))
    assert ours.parts[0].found.sum() > theirs.parts[0].found.sum()
    for mine, other in zip(ours.parts, theirs.parts, strict=True):
        assert mine.found.sum() >= other.found.sum()


@needs_alibi
def test_the_autoencoder_and_every_kind_of_head_reach_alibi(images, tmp_path):
    keras.utils.set_random_seed(4)
    path = str(tmp_path / "ae.keras")
    keras.Sequential([L.Input(SHAPE), L.Conv2D(3, 3, padding="same", activation="swish")]).save(path)
    body = [L.Input(SHAPE), L.Conv2D(4, 3, activation="swish"), L.Flatten(), L.Dense(1, activation="sigmoid")]
    classifier = Classifier.from_network(keras.Sequential(body))
    targets = predicted(classifier, images)
    options = {"max_iterations": 1, "c_steps": 5, "beta": 0.01, "gamma": 2.0, "no_information": "black",
               "learning_rate": 0.05, "autoencoder": path}  # fmt: skip
    ours = Cem(**options, score="probability")(classifier, images, targets, Streams(0))
    theirs = by_alibi(**options)(classifier, images, targets, Streams(0))
    np.testing.assert_allclose(theirs.reconstructions, ours.reconstructions, atol=1e-6)
    compared = 0
    for mine, other in zip(ours.parts, theirs.parts, strict=True):
        # Ours sees beforehand that nothing need be changed; alibi tries changes alone.
        rows = np.array([why == "" for why in mine.vacuous])
        compared += mine.found[rows].sum()
        np.testing.assert_array_equal(mine.found[rows], other.found[rows])
        np.testing.assert_allclose(mine.change[rows], other.change[rows], atol=1e-4)
    assert compared >= 3


@needs_alibi
def test_with_the_shipped_models_more_is_found_and_the_negatives_are_smaller():
    """Three photographs of the store, none of them in the case, with as many iterations of each."""
    classifier = open_classifier(FRUIT / case.CLASSIFIER)
    names = ("Avocado", "Onion Red", "Mango Red")
    store, lab = (
        np.stack([render(scene, case.SIDE)[0] for scene in scenes]).astype(np.float32) / 255
        for scenes in (
            [store_scene(name, 100, 5) for name in names],
            [lab_scene(name, "train", 100, 5) for name in CLASSES],
        )
    )
    background = Background(lab, np.arange(len(lab)), CLASSES, len(lab))
    images = Images(store, names, np.zeros(3, np.float32), np.ones(3, np.float32), background=background)
    options = {"autoencoder": str(FRUIT / case.AUTOENCODER), "c_steps": 5, "max_iterations": 60}
    explanation = [
        method(classifier, images, predicted(classifier, images), Streams(0))
        for method in (Cem(**options), by_alibi(**options))
    ]
    for ours, theirs in zip(explanation[0].parts, explanation[1].parts, strict=True):
        assert ours.found.sum() >= theirs.found.sum()
    ours, theirs = (np.nanmedian(one.diagnostics["pn_l1"]) for one in explanation)
    assert ours <= theirs


@needs_alibi
def test_what_fails_in_the_child_is_told(model, images, tmp_path, monkeypatch):
    monkeypatch.setattr("fruitaudit.providers.alibi.alibi_child.__file__", str(tmp_path / "away.py"))
    explanation = explain(by_alibi(no_information="black"), model[0], images, predicted(model[0], images), Streams(0))
    assert explanation.reason.startswith("alibi failed: ")
    assert explanation.reason.endswith("use the native method instead")


@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        (None, "cem@alibi runs in an environment of its own: make one with constraints-alibi.txt"),
        ("no/such/python", "no/such/python cannot be run"),
        ("without", "has no alibi; cem@alibi runs in an environment of its own"),
    ],
)
def test_an_interpreter_without_alibi_is_refused(python, sentence, tmp_path):
    if python == "without":
        python = tmp_path / "python"
        python.write_text("#!/bin/sh\nexit 1\n")
        python.chmod(0o755)
    interpreters = {} if python is None else {"alibi": Path(python)}
    with pytest.raises(ConfigError, match=sentence):
        build(MethodSettings(name="cem", provider="alibi"), interpreters)


def test_unbound_it_says_what_it_needs(model, images):
    explanation = explain(CemByAlibi(no_information="black"), model[0], images, predicted(model[0], images), Streams(0))
    assert "providers: {alibi: {python: PATH}}" in explanation.reason
