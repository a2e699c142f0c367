"""What of tf-explain has no adapter: how its SmoothGrad, its GradientsInputs and its pictures are wrong."""

from __future__ import annotations

import numpy as np
from parity.tf_explain_case import L, case, correlations, model

from fruitaudit.attribution.methods.input_x_gradient import InputXGradient
from fruitaudit.attribution.methods.saliency import Saliency
from fruitaudit.models.keras.backend import keras
from fruitaudit.providers.keras_network import quiet
from fruitaudit.records.explanations import Targets
from fruitaudit.runtime.streams import Streams

SOFTMAX, K = [L.Dense(5, activation="softmax")], 2


def their_smoothgrad(made, values, k):
    """Without noise, one sample: the gradient that it averages. It fails on a Sequential, which has no `output`."""
    from tf_explain.core.smoothgrad import SmoothGrad as Theirs

    functional = keras.Model(made.network.inputs, made.network.outputs[0])
    with quiet():
        return Theirs.get_averaged_gradients(values, functional, k, 1).numpy()


def test_smoothgrad_is_zero_on_one_sigmoid_unit_and_on_most_logits():
    """Its cross-entropy divides the outputs by their sum and cuts off what is not a probability then."""
    images, _ = case()
    one = model(L.Dense(1, activation="sigmoid"))
    assert not their_smoothgrad(one, images.values, 0).any()
    network = model(L.Dense(5))
    z = network.logits(images.values)
    share = z[:, K] / z.sum(axis=1)
    theirs = abs(their_smoothgrad(network, images.values, K)).max(axis=(1, 2, 3))
    np.testing.assert_array_equal(theirs == 0, (share < 0) | (share > 1))
    assert 2 <= (theirs == 0).sum() < 5
    assert (abs(network.gradient(images.values, np.full(5, K))).max(axis=(1, 2, 3)) > 0).all()


def test_smoothgrad_is_that_of_the_log_probability_with_its_sign_turned():
    explanation, (images, _) = model(*SOFTMAX), case()
    theirs = their_smoothgrad(explanation, images.values, K)
    classes = np.full(len(images), K)
    p = explanation.probabilities(images.values)[:, K, None, None, None]
    expected = -explanation.gradient(images.values, classes, "probability") / p
    np.testing.assert_allclose(theirs, expected, rtol=1e-3, atol=1e-4 * abs(expected).max())


def test_gradients_inputs_takes_the_probability_and_ours_the_logit():
    from tf_explain.core.gradients_inputs import GradientsInputs

    explanation, (images, targets) = model(*SOFTMAX), case()
    with quiet():
        theirs = [GradientsInputs.compute_gradients(one.values, explanation.network, int(k)).numpy()[0]
                  for one, k in zip(images.one_by_one(), targets.classes, strict=True)]  # fmt: skip
    expected = images.values * explanation.gradient(images.values, targets.classes, "probability")
    np.testing.assert_allclose(theirs, expected, rtol=1e-3, atol=1e-4 * abs(expected).max())
    ours = InputXGradient()(explanation, images, targets, Streams(0)).values
    assert correlations(ours, np.sum(theirs, axis=-1)).max() < 0.95


def test_another_image_in_the_batch_changes_the_picture():
    from tf_explain.core.vanilla_gradients import VanillaGradients

    explanation, (images, _) = model(L.Dense(5)), case(n=2)
    with quiet():
        alone, beside = (VanillaGradients().explain((images.values[:n], None), explanation.network, K) for n in (1, 2))
    assert (alone != beside[:24, :24]).mean() > 0.1
    ours = [Saliency()(explanation, selection, Targets(np.full(len(selection), K)), Streams(0)).values[0]
            for selection in (images, images.select(slice(1)))]  # fmt: skip
    np.testing.assert_allclose(*ours, rtol=1e-4, atol=1e-6)


def test_in_its_pictures_more_evidence_is_not_brighter():
    """Standardized values times 255 do not fit a byte: what is below the mean is 0 or wraps around."""
    from tf_explain.utils.image import transform_to_normalized_grayscale

    ramp = np.linspace(0, 1, 100, dtype=np.float32).reshape(1, 10, 10, 1)
    picture = transform_to_normalized_grayscale(ramp).numpy().ravel().astype(int)
    assert (np.diff(picture) <= 0).any()
