"""What an image takes on its way through a network, and how many fit."""

from __future__ import annotations

import numpy as np
import pytest
import zoo

from fruitaudit.config.sizes import bytes_of
from fruitaudit.errors import ConfigError
from fruitaudit.models import memory
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier, open_classifier
from fruitaudit.models.memory import MB, MemoryNeeds, plan_memory

L = keras.layers
BIG = MemoryNeeds(image=100 * MB, weights=100 * MB)
"""The size of ResNet50 at 224 x 224."""


def test_an_image_takes_what_is_computed_of_it():
    layers = [L.Conv2D(2, 3, padding="same", use_bias=False, activation="relu"), L.Flatten(), L.Dense(5, "softmax")]
    needs = Classifier.from_network(keras.Sequential([L.Input((4, 4, 1)), *layers])).memory_needs
    convolution, relu, product, bias, softmax = 4 * 4 * 2, 4 * 4 * 2, 5, 5, 5
    assert needs.image == 4 * (convolution + relu + product + bias + softmax)
    assert needs.weights == 4 * (9 * 2 + 32 * 5 + 5)


@pytest.mark.parametrize("kind", zoo.KINDS)
def test_every_kind_of_model_takes_at_least_its_layers(kind):
    model = zoo.classifier(kind, 4)
    moved = ("Flatten", "Dropout", "Reshape", "Functional", "Sequential", "Identity", "RandomFlip", "RandomRotation")
    least = sum(np.prod(call.shape) * 2 for call in model.layers if call.shape and call.kind not in moved)
    assert least <= model.memory_needs.image < 30 * least


def test_what_is_hidden_in_a_saved_model_is_counted_too(tmp_path):
    """Layers that draw at random in training keep a SavedModel from being unfolded."""
    network = zoo.KINDS["preparing"]()
    network.export(tmp_path / "model", verbose=False)
    stored = open_classifier(tmp_path / "model", allow_code=True)
    assert "cannot be reached" in stored.logit_source
    assert Classifier.from_network(network).memory_needs.image * 0.9 < stored.memory_needs.image < 300_000


def test_passes_of_one_size_wherever_they_fit_and_of_powers_of_two_elsewhere():
    assert [plan_memory(BIG, limit * MB).batch_size for limit in (6_000, 9_000, 90_000)] == [32, 32, 32]
    assert plan_memory(BIG, 5_000 * MB).batch_size == 16  # 27 would fit
    assert plan_memory(BIG, 1_500 * MB).batch_size == 1
    for gigabytes in range(2, 14):
        plan = plan_memory(BIG, 1000 * gigabytes * MB)
        assert plan.expected_mb < plan.limit_mb == 1000 * gigabytes
        assert plan.image_mb == 100


def test_too_little_is_said_with_what_is_enough():
    with pytest.raises(
        ConfigError, match=r"memory: 1,400 MB is too little .* 1,300 MB .* 100 MB more .* at least 1\.5GB"
    ):
        plan_memory(BIG, 1_400 * MB)
    assert plan_memory(BIG, 1_500 * MB).batch_size == 1


def test_without_a_limit_it_is_half_of_a_small_machine_and_never_an_error(monkeypatch):
    for machine, images in ((64_000, 16), (6_000, 8), (1_000, 1)):
        monkeypatch.setattr(memory, "machine_memory", lambda size=machine: size * MB)
        assert plan_memory(BIG, None).batch_size == images


def test_a_container_may_have_less_than_the_machine(monkeypatch, tmp_path):
    whole = memory.machine_memory()
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "limit").write_text("500000000\n")
    monkeypatch.setattr(memory, "_CGROUPS", (str(tmp_path / "max"), str(tmp_path / "none")))
    assert memory.machine_memory() >= whole
    monkeypatch.setattr(memory, "_CGROUPS", (str(tmp_path / "max"), str(tmp_path / "limit")))
    assert memory.machine_memory() == 500 * MB


@pytest.mark.parametrize(("text", "size"), [("4GB", 4000), ("4.5 gb", 4500), ("800MB", 800), ("2GiB", 2000)])
def test_sizes(text, size):
    assert bytes_of(text) == size * MB


@pytest.mark.parametrize("text", ["4", "much", "-4GB", "4TB", ""])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="write it as 4GB or 800MB"):
        bytes_of(text)
