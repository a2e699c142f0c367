from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import zoo
from analytic_models import some_images, some_targets

from fruitaudit.attribution.explain import explain
from fruitaudit.attribution.methods import neighbours
from fruitaudit.attribution.methods.neighbours import NearestNeighbours, medoids
from fruitaudit.attribution.patches import best_patches
from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.records.data import Background
from fruitaudit.runtime.streams import Streams

L = keras.layers


def material(shape, n=3, known=12, high=1.0):
    reference = some_images(shape, n=known, high=high, seed=1)
    labels = np.arange(known, dtype=np.int64) % 3
    background = Background(reference.values, labels, tuple(f"train/{i}" for i in range(known)), 3 * known)
    return dataclasses.replace(some_images(shape, n=n, high=high), background=background)


@pytest.fixture(scope="module")
def model():
    return Classifier.from_network(zoo.KINDS["sequential"](), batch_size=8)


def run(model, images, **options):
    return NearestNeighbours(**options)(model, images, some_targets(len(images), model.n_classes), Streams(0))


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_equals_a_search_written_out(model, metric):
    images = material(model.input_shape)
    explanation = run(model, images, metric=metric, neighbours=4)
    ours, theirs = (model.features(v).astype(float) for v in (images.values, images.background.values))

    def distance(a, b):
        if metric == "euclidean":
            return np.sqrt(((a - b) ** 2).sum())
        return 1 - (a @ b) / np.sqrt((a @ a) * (b @ b))

    typical = [min(distance(r, s) for j, s in enumerate(theirs) if j != i) for i, r in enumerate(theirs)]
    for n in range(3):
        order = sorted((distance(ours[n], r), i) for i, r in enumerate(theirs))
        assert explanation.sample_ids[n] == tuple(f"train/{i}" for _, i in order[:4])
        np.testing.assert_allclose(explanation.distances[n], [d for d, _ in order[:4]], rtol=1e-4, atol=1e-6)
        assert explanation.labels[n].tolist() == [i % 3 for _, i in order[:4]]
        np.testing.assert_array_equal(explanation.values[n, 0], images.background.values[order[0][1]])
        assert explanation.unusual[n] == pytest.approx(np.mean([t < order[0][0] for t in typical]))
        assert explanation.diagnostics["nearest"][n] == pytest.approx(order[0][0], rel=1e-4)
        assert explanation.diagnostics["same_class"][n] == pytest.approx(np.mean([i % 3 == n for _, i in order[:4]]))
    assert explanation.notes == ("among 12 of 36 reference images",)


def test_what_was_there_is_near_and_what_was_not_is_unusual(model):
    """A reference image in slightly other light has itself at the top; an image of pure noise is farther than any."""
    images = material(model.input_shape, n=2, known=30)
    values = np.stack([images.background.values[7] * 0.999, 8 * (images.values[1] > 0.5).astype(np.float32)])
    explanation = run(model, dataclasses.replace(images, values=values), metric="euclidean")
    assert explanation.sample_ids[0][0] == "train/7"
    assert explanation.unusual.tolist() == [0.0, 1.0]


def test_an_image_is_not_its_own_neighbour(model):
    images = material(model.input_shape)
    references = images.background
    itself = dataclasses.replace(images, values=references.values[:3], sample_ids=references.sample_ids[:3])
    explanation = run(model, itself, neighbours=99)
    assert explanation.values.shape[1] == 11
    assert all(reference not in ids for reference, ids in zip(itself.sample_ids, explanation.sample_ids, strict=True))
    assert explanation.distances.min() > 0


def test_medoids_are_the_middle_of_their_class(model):
    at = np.array([0.0, 1.0, 5.0, 10.0, 11.0, 30.0])
    between = abs(at[:, None] - at)
    np.fill_diagonal(between, np.inf)
    assert medoids(between, np.array([0, 0, 0, 1, 1, 1])).tolist() == [1, 4]
    images = material(model.input_shape)
    explanation = run(model, images, among="medoids", neighbours=9)
    assert sorted(explanation.labels[0]) == [0, 1, 2]
    assert explanation.notes == ("among 3 of 36 reference images",)


def test_the_patch_that_both_images_show_is_found():
    """A red and green sign on blue noise, at two places; the network has one filter for each colour."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential([
        L.Input((24, 24, 3)), L.Conv2D(4, 3, padding="same", activation="relu", name="see"), L.AveragePooling2D(2),
        L.Flatten(), L.Dense(3),
    ])  # fmt: skip
    model = Classifier.from_network(network)
    rng = np.random.default_rng(0)
    values = np.zeros((14, 24, 24, 3), np.float32)
    values[..., 2] = rng.uniform(0.4, 0.6, (14, 24, 24))
    sign = np.zeros((6, 6, 3), np.float32)
    sign[:3, :, 0], sign[3:, :, 1] = 1, 1
    values[0, 2:8, 14:20] = sign
    values[1, 16:22, 4:10] = sign
    images = material((24, 24, 3), n=1, known=13)
    background = dataclasses.replace(images.background, values=values[1:])
    images = dataclasses.replace(images, values=values[:1], background=background)
    explanation = run(model, images, neighbours=13, patch=6)
    [[in_image, in_other]] = [boxes for ids, boxes in zip(explanation.sample_ids[0], explanation.boxes[0], strict=True)
                              if ids == "train/0"][:1]  # fmt: skip
    shift = np.array([14, -10, 14, -10])
    np.testing.assert_array_equal(in_image + shift, in_other)
    assert abs(in_image - [2, 14, 8, 20]).max() <= 2


def test_patches_are_boxes_in_pixels_row_first():
    ours, theirs = np.zeros((1, 4, 6, 2), np.float32), np.zeros((1, 1, 4, 6, 2), np.float32)
    ours[0, 3, 5], theirs[0, 0, 0, 2] = (1, 2), (1, 2)
    theirs[0, 0, 3, 3] = (9, -9)  # stronger, and not alike
    assert best_patches(ours, theirs, 1, (40, 90)).tolist() == [[[[30, 75, 40, 90], [0, 30, 10, 45]]]]


def test_other_images_and_batches_change_nothing(model):
    images = material(model.input_shape)
    every = run(model, images)
    for batch_size in (1, 8):
        one = Classifier.from_network(model.network, batch_size=batch_size)
        selection = run(one, images.select(np.array([2, 0])))
        np.testing.assert_allclose(
            selection.distances, every.distances[[2, 0]], rtol=0, atol=1e-5 * every.distances.max()
        )
        np.testing.assert_array_equal(selection.boxes, every.boxes[[2, 0]])
        assert selection.sample_ids == (every.sample_ids[2], every.sample_ids[0])


@pytest.mark.parametrize("options", [{}, {"metric": "euclidean", "layer": "conv_1"}, {"among": "medoids"}])
@pytest.mark.parametrize("size", [1, 5, 11])
def test_blocks_of_reference_images_change_nothing(model, monkeypatch, options, size):
    """As where the features of all of them do not fit into memory: only the passes are more."""
    monkeypatch.setattr(neighbours, "CENTRE_IMAGES", 11)
    images, method = material(model.input_shape), NearestNeighbours(**options, reference_images=12)
    every = run(model, images, **options)
    monkeypatch.setattr(neighbours, "_block_size", lambda model, width: size)
    before = model.passes.forward
    explanation = run(model, images, **options)
    took, announced = model.passes.forward - before, method.passes_on(model, 3).forward
    blocks = -(-12 // size)
    of_patches = 3 * min(5, explanation.distances.shape[1])
    assert took - of_patches <= sum(12 - i * size for i in range(blocks)) + 3 * blocks < took
    assert took <= announced
    np.testing.assert_allclose(explanation.distances, every.distances, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(explanation.boxes, every.boxes)
    np.testing.assert_array_equal(explanation.unusual, every.unusual)
    assert explanation.sample_ids == every.sample_ids


@pytest.mark.parametrize("batch_size", [1, 8])
def test_features_held_at_once_are_no_larger_than_what_a_batch_takes(model, monkeypatch, batch_size):
    monkeypatch.setattr(neighbours, "BLOCK_BYTES", 0)
    one = Classifier.from_network(model.network, batch_size=batch_size)
    for layer in (None, "conv_1"):
        width = one.features(np.zeros((1, *one.input_shape), np.float32), layer).shape[1]
        size = neighbours._block_size(one, width) * width * 8
        assert 0 < size <= batch_size * one.memory_needs.image
    monkeypatch.undo()
    assert neighbours._block_size(one, width) * width * 8 > 90e6  # of a small network, always


def test_never_more_than_a_batch_is_asked_of_the_model(model, monkeypatch):
    sizes = []
    features_at = Classifier.features_at

    def counted_features_at(self, values, layers):
        sizes.append(len(values))
        return features_at(self, values, layers)

    monkeypatch.setattr(Classifier, "features_at", counted_features_at)
    run(model, material(model.input_shape, known=40), neighbours=2, layer="conv_1")
    assert max(sizes) <= model.batch_size


@pytest.mark.parametrize(
    ("option", "value"),
    [(o, "conv_1" if o == "layer" else v) for o, v in NearestNeighbours.registration.contract_options],
)
def test_every_option_changes_the_neighbours(model, option, value):
    images, targets = material(model.input_shape), some_targets(3, model.n_classes)
    default, other = (explain(NearestNeighbours(**more), model, images, targets, Streams(0))
                    for more in ({}, {option: value}))  # fmt: skip
    if option == "patch":
        assert (default.boxes != other.boxes).any()
    elif option in ("layer", "metric"):
        assert abs(default.distances - other.distances).max() > 1e-3
    else:
        among = {"neighbours": 12, "among": 3, "reference_images": 4}[option]
        assert other.notes == (f"among {among} of 36 reference images",)
        assert other.distances.shape[1] == {"neighbours": 2, "among": 3, "reference_images": 4}[option]
        assert default.distances.shape[1] == 5


def test_only_as_many_reference_images_as_asked_for_are_searched(model):
    images, targets = material(model.input_shape), some_targets(3, model.n_classes)
    explanation = explain(NearestNeighbours(reference_images=4, neighbours=2), model, images, targets, Streams(0))
    assert {name for ids in explanation.sample_ids for name in ids} <= {f"train/{i}" for i in range(4)}
    every = run(model, images, neighbours=2)
    assert explanation.sample_ids != every.sample_ids
    assert (explanation.distances >= every.distances - 1e-6).all()


def test_without_reference_images_there_is_a_sentence(model):
    images = dataclasses.replace(material(model.input_shape), background=None)
    with pytest.raises(CannotExplain, match="and there are 0; name a split with the role reference"):
        run(model, images)
    with pytest.raises(CannotExplain, match="and there are 1; name a split"):
        run(model, material(model.input_shape, known=1))
