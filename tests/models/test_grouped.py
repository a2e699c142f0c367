"""Convolutions in groups have gradients on every processor."""

from __future__ import annotations

import os

import numpy as np
import pytest

from fruitaudit.models.keras import grouped
from fruitaudit.models.keras.backend import tf

CASES = [
    {"strides": 1, "padding": "SAME"},
    {"strides": 2, "padding": "VALID"},
    pytest.param(
        {"strides": 1, "padding": "SAME", "dilations": 2},
        marks=pytest.mark.skipif(
            os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0",
            reason="without oneDNN TensorFlow has no gradient of dilated convolutions on a CPU",
        ),
    ),
]


@pytest.fixture(params=[False, True], ids=["as on a CPU without oneDNN", "as here"])
def natively(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(grouped, "_has_gradients", lambda: False)


@pytest.mark.usefixtures("natively")
@pytest.mark.parametrize("options", CASES, ids=str)
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_gradients_are_those_of_one_convolution_per_group(groups, options):
    rng = np.random.default_rng(3)
    x, kernel = (rng.standard_normal(s).astype(np.float32) for s in ((2, 9, 8, 8), (3, 3, 8 // groups, 12)))

    def one(x, kernel):
        return tf.nn.conv2d(x, kernel, **options)

    def apart(x, kernel):
        pairs = zip(tf.split(x, groups, 3), tf.split(kernel, groups, 3), strict=True)
        return tf.concat([tf.nn.conv2d(a, k, **options) for a, k in pairs], 3)

    def gradients(convolve, differentiable):
        @tf.function(autograph=False)
        def run(x, kernel):
            with grouped.differentiable() if differentiable else tf.name_scope("plain"):
                y = convolve(x, kernel)
            # TensorFlow has no gradient of dilated kernels on a CPU.
            return tf.gradients(y, [x] if "dilations" in options else [x, kernel], tf.sin(y))

        return run(x, kernel)

    for ours, theirs in zip(gradients(one, True), gradients(apart, False), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
