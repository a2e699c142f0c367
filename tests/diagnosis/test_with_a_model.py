"""What asks the model: on a linear classifier, whose answers can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from diagnosis.planted_cases import COLOURS, SIDE, discs, masked_split, split_pair, split_sample

from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.diagnosis.attacks.adversarial import LINF, attack
from fruitaudit.diagnosis.attacks.shortcuts import find_shortcuts
from fruitaudit.diagnosis.data_checks.preparation import try_preparations
from fruitaudit.diagnosis.factors import registry
from fruitaudit.diagnosis.gap.change import PredictionCache, predict_subsets
from fruitaudit.diagnosis.gap.decomposition import decompose
from fruitaudit.diagnosis.gap.effects import measure_effects
from fruitaudit.diagnosis.gap.measuring import measure_factors
from fruitaudit.diagnosis.images.split_sample import PixelClassifier
from fruitaudit.records.diagnosis import Decomposition, Effect
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.runtime.streams import Streams

PIXELS, LABELS = discs()
STREAMS = Streams(9)
NAMES = ("red", "green", "yellow", "violet")


def pixel_classifier(weights: np.ndarray, bias: np.ndarray) -> PixelClassifier:
    """softmax(mean over pixels of (image @ weights) + bias), on 0..1."""
    from fruitaudit.models.keras.backend import keras
    from fruitaudit.models.keras.classifier import Classifier

    layers = keras.layers
    dense = layers.Dense(4, activation="softmax")
    network = keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.GlobalAveragePooling2D(), dense])
    dense.set_weights([weights.astype(np.float32), bias.astype(np.float32)])
    return PixelClassifier(Classifier.from_network(network), Preprocessor(SIDE, SIDE, 3, "stretch", "area", "0-1"))


@pytest.fixture(scope="module")
def nearest_colour() -> PixelClassifier:
    """Names the class whose mean picture is nearest: 2 m.x - |m|^2, scaled to be sure of itself."""
    means = np.stack([PIXELS[label == LABELS].mean(axis=(0, 1, 2)) for label in range(4)]) / 255
    return pixel_classifier(400 * means.T, -200 * (means**2).sum(axis=1))


def sample_with_predictions(model: PixelClassifier, pixels: np.ndarray, split: str = "test"):
    return split_sample(pixels, LABELS, split, model.predicted(pixels))


def test_the_model_is_right_in_the_lab(nearest_colour: PixelClassifier) -> None:
    assert sample_with_predictions(nearest_colour, PIXELS).correct.mean() == 1


def test_swapped_channels_and_names_are_found_on_the_lab_itself(nearest_colour: PixelClassifier) -> None:
    trials = {
        t.setting: t
        for t in try_preparations(nearest_colour, sample_with_predictions(nearest_colour, PIXELS[..., ::-1]), STREAMS)
    }
    assert trials["channel order"].gain.low > 0.3
    assert trials["channel order"].accuracy.value == 1
    turned = split_sample(PIXELS, (LABELS + 1) % 4, predicted=nearest_colour.predicted(PIXELS))
    order = next(t for t in try_preparations(nearest_colour, turned, STREAMS) if t.setting == "class order")
    assert (order.accuracy.value, order.gain.value) == (1, 1)


def test_a_right_pipeline_gains_nothing(nearest_colour: PixelClassifier) -> None:
    trials = list(try_preparations(nearest_colour, sample_with_predictions(nearest_colour, PIXELS), STREAMS))
    assert max(t.gain.value for t in trials) == 0


def test_light_alone_explains_a_gap_that_light_alone_made(nearest_colour: PixelClassifier) -> None:
    field = (discs(seed=5)[0] * np.array([0.75, 0.55, 0.5])).astype(np.uint8)
    pair = split_pair(field)
    for side in (pair.lab, pair.field):
        object.__setattr__(side.material, "predicted", nearest_colour.predicted(side.material.pixels))
    factors = measure_factors(pair)
    cache = PredictionCache(nearest_colour, pair.lab, tuple(factors.changes.values()))
    effects = list(measure_effects(cache, pair, factors))
    gap = decompose(cache, pair, factors, effects)
    assert isinstance(gap, Decomposition)
    assert [share.factor for share in gap.shares] == ["light"]
    assert gap.shares[0].counts
    assert gap.shares[0].points.value == pytest.approx(gap.gap.value, abs=0.1)
    undo = next(e for e in effects if isinstance(e, Effect) and e.direction == "undo_in_field")
    assert undo.change.value > 0.5 * gap.gap.value
    # The parts sum to the whole.
    loss = gap.recomposition.value + sum(s.points.value for s in gap.shares) + gap.unexplained.value
    assert gap.lab.value - loss == pytest.approx(gap.field.value)


def test_where_there_is_no_gap_nothing_is_divided(nearest_colour: PixelClassifier) -> None:
    pair = split_pair(discs(seed=5)[0])
    for side in (pair.lab, pair.field):
        object.__setattr__(side.material, "predicted", nearest_colour.predicted(side.material.pixels))
    gap = decompose(PredictionCache(nearest_colour, pair.lab, ()), pair, measure_factors(pair), [])
    assert isinstance(gap, NotRun)
    assert "no gap" in gap.reason


def test_subsets_share_their_beginnings_and_order_does_not_matter(nearest_colour: PixelClassifier) -> None:
    field = (discs(seed=5)[0] * np.array([0.75, 0.55, 0.5])).astype(np.uint8)
    pair = split_pair(field)
    change = measure_factors(pair).changes["light"]
    none, with_it = frozenset[str](), frozenset(["light"])
    both = predict_subsets(nearest_colour, pair.lab, [change], [none, with_it])
    alone = predict_subsets(nearest_colour, pair.lab, [change], [with_it])
    assert (both[with_it] == alone[with_it]).all()
    assert (both[none] == nearest_colour.predicted(pair.lab.material.pixels)).all()


def test_a_mark_in_the_corner_is_a_shortcut_and_a_plain_model_has_none() -> None:
    """A model that looks at blue alone, and a class whose images carry a yellow (blue-less) corner."""
    marked = PIXELS.copy()
    marked[LABELS == 2, 2:9, 2:9] = (255, 255, 0)
    blue = marked[..., 2].mean(axis=(1, 2)) / 255
    threshold = (blue[LABELS == 2].max() + blue[LABELS != 2].min()) / 2
    assert blue[LABELS == 2].max() < blue[LABELS != 2].min()
    weights, bias = np.zeros((3, 4)), np.zeros(4)
    weights[2, 2], bias[2] = -800, 800 * threshold
    model = pixel_classifier(weights, bias)
    split = masked_split(marked, LABELS)
    object.__setattr__(split.material, "predicted", model.predicted(marked))
    shortcuts = {s.class_name: s for s in find_shortcuts(model, split, NAMES, STREAMS)}
    # Whatever has no mark is called red: the empty corner is red's.
    assert set(shortcuts) == {"yellow", "red"}
    assert {s.region for s in shortcuts.values()} == {"row 1, column 1 of 4"}
    assert shortcuts["yellow"].flips.value == 1
    assert shortcuts["yellow"].control.value == 0
    plain = masked_split(PIXELS, LABELS)
    object.__setattr__(plain.material, "predicted", model.predicted(PIXELS))
    assert list(find_shortcuts(model, plain, NAMES, STREAMS)) == []


def test_fgsm_turns_a_linear_model_exactly_where_algebra_says(nearest_colour: PixelClassifier) -> None:
    """An epsilon changes the margin of two classes by eps * sum |w_a - w_b| (pixels at neither end of the range)."""
    grey = np.clip(PIXELS.astype(int), 20, 235).astype(np.uint8)
    curves = {
        (c.attack, c.norm): c
        for c in attack(nearest_colour, sample_with_predictions(nearest_colour, grey), 40, STREAMS)
    }
    dense = nearest_colour.classifier.network.layers[-1]
    w, b = (np.asarray(part, np.float64) for part in dense.get_weights())
    logits = (grey / 255).mean(axis=(1, 2)) @ w + b
    true_logit = logits[np.arange(40), LABELS]
    rival = np.where(np.eye(4)[LABELS] == 1, -np.inf, logits).argmax(axis=1)
    slope = np.abs(w[:, rival] - w[:, LABELS]).sum(axis=0)
    for epsilon, accuracy in zip(LINF, curves["FGSM", "Linf"].accuracy, strict=True):
        robust = true_logit - logits[np.arange(40), rival] > epsilon * slope
        assert accuracy.value == pytest.approx(robust.mean(), abs=0.051)
    for curve in curves.values():
        values = [a.value for a in curve.accuracy]
        assert values == sorted(values, reverse=True)
    pgd, fgsm = curves["PGD", "Linf"], curves["FGSM", "Linf"]
    assert all(p.value <= f.value for p, f in zip(pgd.accuracy, fgsm.accuracy, strict=True))


def test_remedies_name_layers_that_keras_has(nearest_colour: PixelClassifier) -> None:
    from fruitaudit.models.keras.backend import keras

    field = (discs(seed=5)[0] * np.array([0.75, 0.55, 0.5])).astype(np.uint8)
    factors = measure_factors(split_pair(field))
    n_layers = 0
    for factor in registry.suspects():
        remedy = factors.remedy(factor.name)
        assert len(remedy.sentence) > 30
        for line in remedy.layers:
            layer = eval(line, {"keras": keras})
            output = layer(np.full((2, 8, 8, 3), 100, np.float32), training=True)
            assert tuple(output.shape) == (2, 8, 8, 3)
            n_layers += 1
    assert n_layers >= 6


def test_estimates_are_numbers_with_denominators(nearest_colour: PixelClassifier) -> None:
    pair = split_pair((discs(seed=5)[0] * 0.6).astype(np.uint8))
    object.__setattr__(pair.lab.material, "predicted", nearest_colour.predicted(pair.lab.material.pixels))
    factors = measure_factors(pair)
    cache = PredictionCache(nearest_colour, pair.lab, tuple(factors.changes.values()))
    effects = [e for e in measure_effects(cache, pair, factors) if isinstance(e, Effect)]
    assert effects
    assert all(isinstance(e.change, Estimate) and e.change.n == len(COLOURS) * 10 for e in effects)
