"""Quantus on an equal torch network, in an environment of its own: where it follows the papers, and where it does not.

python3 -m venv torch && torch/bin/pip install torch==2.13.0 scikit-image scikit-learn pandas matplotlib tqdm \
    opencv-python-headless 'numpy<2.4' && torch/bin/pip install --no-deps quantus==0.6.0
FRUITAUDIT_QUANTUS_PYTHON=torch/bin/python pytest tests/parity/test_quantus.py

Without counterpart there: label randomization, seeds and settings, edge likeness, agreement. Its Consistency compares
discretised maps of equal labels, which `neighbours` made gradual; its Completeness asks for equality of floats.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from skimage.metrics import structural_similarity
from trust.oracles import STREAMS, Oracle, perfect

from fruitaudit.attribution.methods.saliency import Saliency
from fruitaudit.models.keras.backend import keras
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.records.data import Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.trust import road as road_module
from fruitaudit.trust.changes import change, stability
from fruitaudit.trust.completeness import completeness
from fruitaudit.trust.deletion import STEPS, along, blurred, deletion, insertion
from fruitaudit.trust.localization import pointing
from fruitaudit.trust.mosaics import share_inside
from fruitaudit.trust.mu_fidelity import mu_fidelity, subset_effects
from fruitaudit.trust.ordering import places
from fruitaudit.trust.randomization import steps
from fruitaudit.trust.similarity import spearman, ssim

L = keras.layers
PYTHON = os.environ.get("FRUITAUDIT_QUANTUS_PYTHON")
pytestmark = pytest.mark.skipif(not PYTHON, reason="FRUITAUDIT_QUANTUS_PYTHON names no interpreter with quantus")
SHAPE = (18, 72, 3)
"""A side of the grid of mu-fidelity and the steps of deletion divide it, so that both sides hide equal parts."""
N = 8
METHOD = Saliency(channels="sum")


@dataclass(frozen=True)
class Case:
    """The network and its images on our side, and what Quantus found of them on its own."""

    model: Classifier
    images: Images
    targets: Targets
    maps: np.ndarray
    given: dict[str, np.ndarray]
    theirs: dict[str, np.ndarray]
    linear: Oracle

    @property
    def all(self):
        return self.model, self.images, self.targets, self.maps, STREAMS


def made_network():
    keras.utils.set_random_seed(7)
    network = keras.Sequential([
        L.Input(SHAPE), L.Conv2D(6, 3, activation="relu"), L.MaxPooling2D(2), L.Conv2D(8, 3, activation="relu"),
        L.MaxPooling2D(2), L.Flatten(), L.Dense(16, activation="relu"), L.Dense(5),
    ])  # fmt: skip
    rng = np.random.default_rng(5)
    for layer in (layer for layer in network.layers if layer.weights):
        layer.bias.assign(rng.normal(0, 0.1, layer.bias.shape))
        layer.kernel.assign(1.6 * layer.kernel)  # so that classes differ
    return network


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    network = made_network()
    model = Classifier.from_network(network)
    rng = np.random.default_rng(5)
    values = rng.uniform(0, 1, (N, 6, 12, 3)).repeat(3, axis=1).repeat(6, axis=2).astype(np.float32)
    values = np.clip(values + rng.normal(0, 0.05, values.shape), 0, 1).astype(np.float32)
    images = Images(values, tuple(f"q/{i}" for i in range(N)), np.zeros(3, "f4"), np.ones(3, "f4"))
    targets = Targets(model.logits(values).argmax(axis=1))
    maps = METHOD(model, images, targets, STREAMS).values
    # Pixels at the edges count for nothing, and equal values go in random order here and by position there.
    maps += (1e-3 * maps.std() * rng.normal(size=maps.shape)).astype(np.float32)
    linear = Oracle(np.random.default_rng(2).normal(0, 0.05, (2, *SHAPE)))
    arguments = drawn(model, images, targets, maps, linear)
    weighted = [layer for layer in network.layers if layer.weights]
    weights = {
        f"{name}{i}": w for i, layer in enumerate(weighted) for name, w in zip("wb", layer.get_weights(), strict=True)
    }
    weights["flat_shape"] = np.array(network.layers[3].output.shape[1:])
    folder = tmp_path_factory.mktemp("quantus")
    np.savez(folder / "arrays.npz", **arguments, **weights)
    child = Path(__file__).with_name("quantus_child.py")
    done = subprocess.run([PYTHON, "-I", str(child), str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "found.npz") as archive:
        return Case(model, images, targets, maps, arguments, dict(archive), linear)


def drawn(model, images, targets, maps, linear):
    """Everything that chance or rounding could make different on the other side."""
    order = places(maps, images, STREAMS)
    n = order[0].size
    counts = [round(share * n) for share in road_module.SHARES]
    effects = subset_effects(model, images, targets, STREAMS)
    pixels = [[np.flatnonzero(hidden[effects.cell]) for hidden in selection] for selection in effects.hidden]
    noisy = change(model, images, "noise", 0.05, STREAMS).images
    masks = np.zeros((len(images), *SHAPE[:2]), bool)
    for i, mask in enumerate(masks):
        mask[i : i + 9, 4 * i : 4 * i + 30] = True
    grey = np.full_like(images.values, 0.5)
    return {
        "images": images.values,
        "classes": targets.classes,
        "maps": maps,
        "values_a_step": np.array(81),
        "blurred": blurred(images),
        "curves": along(model, images.values, grey, targets.classes, order),
        "holes": np.stack([hole for c in counts for hole in (order >= n - c, order < c)], axis=1),
        "subsets": np.concatenate([channel * n + np.array(pixels) for channel in range(3)], axis=-1),
        "linear": linear.w.transpose(0, 3, 1, 2).reshape(2, -1).astype(np.float32),
        "linear_maps": perfect(linear, images, Targets(np.zeros(N, np.int64)))[:, None],
        "noisy": noisy.values,
        "masks": masks,
        "tile": np.eye(4, dtype=int)[np.arange(N) % 4],
        "scaled": scaled(maps, 1),
        "other_scaled": scaled(METHOD(model, noisy, targets, STREAMS).values, -1),
        "zero_one": np.arange(N) % 2,
    }


def scaled(maps, sign):
    """Maps from -1 to 1 that reach one of the ends: Quantus' SSIM takes their range for that of all maps."""
    ends = np.take_along_axis(maps.reshape(N, -1), abs(maps).reshape(N, -1).argmax(1)[:, None], axis=1)[..., None]
    return sign * maps / ends


def test_the_networks_are_equal(case):
    np.testing.assert_allclose(case.model.logits(case.images.values), case.theirs["logits"], atol=1e-5)


# --- faithfulness


@pytest.mark.parametrize("ours", [deletion, insertion])
def test_pixel_flipping_gives_the_same_curves(case, ours):
    curves = case.theirs[ours.__name__][:, 2::3]  # 27 pixels per step, three times as often as ours
    before, after = case.images.values, np.full_like(case.images.values, 0.5)
    if ours is insertion:
        before, after = case.given["blurred"], case.images.values
    order = places(case.maps, case.images, STREAMS)
    coarse = along(case.model, before, after, case.targets.classes, order)
    np.testing.assert_allclose(coarse[:, 1:], curves, atol=1e-5)
    assert np.ptp(curves, axis=1).min() > 0.01
    area = (coarse[:, 0] / 2 + curves[:, :-1].sum(axis=1) + curves[:, -1] / 2) / STEPS
    np.testing.assert_allclose(ours(*case.all), area, atol=1e-5)


def test_the_area_under_a_curve_is_the_same(case):
    """Quantus does not divide it by the number of steps, and its own curve lacks the image as it is."""
    np.testing.assert_allclose(deletion(*case.all), case.theirs["area"] / STEPS, atol=1e-5)


def test_road_fills_holes_with_the_same_pixels_and_gives_the_same_score(case, monkeypatch):
    holes = case.given["holes"]
    for i, image in enumerate(case.images.values):
        for j, hole in enumerate(holes[i]):
            np.testing.assert_allclose(road_module.fill(image, hole), case.theirs["filled"][i, j], atol=1e-4)
    monkeypatch.setattr(road_module, "NOISE", 0.0)
    p = case.theirs["probabilities"]
    np.testing.assert_allclose(road_module.road(*case.all), (p[:, 0::2] - p[:, 1::2]).mean(axis=1), atol=1e-5)
    assert np.ptp(p) > 0.1


def test_quantus_road_does_not_take_colour_images(case):
    """It ranks colour values and fills in pixels: an index beyond the pixels of one channel is an error."""
    assert "out of bounds" in str(case.theirs["road of colours"])


def test_faithfulness_correlation_over_equal_subsets_is_equal(case):
    effects = subset_effects(case.model, case.images, case.targets, STREAMS)
    ours = mu_fidelity(effects, case.maps, "logit")
    np.testing.assert_allclose(ours, case.theirs["correlation"], atol=1e-4)
    assert np.ptp(ours) > 0.05


def test_faithfulness_correlation_hides_single_colour_values_of_a_pixel_and_ours_whole_pixels(case):
    """Bhatt et al. hide features, and a map has one value a pixel. The right map of a linear model gets 0.53, not 1."""
    first = Targets(np.zeros(N, np.int64))
    right = perfect(case.linear, case.images, first)
    ours = mu_fidelity(subset_effects(case.linear, case.images, first, STREAMS), right, "logit")
    np.testing.assert_allclose(ours, 1, atol=1e-4)
    assert case.theirs["correlation of colours"].mean() < 0.8


# --- randomization


@pytest.mark.parametrize("order", ["down", "alone"])
def test_randomization_visits_the_same_layers_and_finds_the_same_likeness(case, order):
    """Quantus' fresh weights are set in our copy: the same layers at each step, the same Spearman of magnitudes."""
    network = case.model.reinitialisable(STREAMS)
    order_steps = [s for s in steps(network.layers, cascading=4, independent=4) if s.cascading == (order == "down")]
    trained = [np.array(w) for w in case.model.network.weights]
    scores = case.theirs[order]
    # Its layers come in the order of their definition where they are changed one at a time, ours from the output.
    depths = range(4) if order == "down" else reversed(range(4))
    for step, depth in zip(order_steps, depths, strict=True):
        fresh = [case.theirs[f"{order}{depth}/{j}"] for j in range(8)]
        changed = {i for i in range(8) if not np.array_equal(fresh[i], trained[i])}
        assert changed == {i for path in step.layers for i in network._rows[path]}
        copy = network.reinitialised(())
        copy.network.set_weights(fresh)
        maps = METHOD(copy, case.images, case.targets, STREAMS).values
        np.testing.assert_allclose(spearman(abs(case.maps), abs(maps)), scores[depth], atol=2e-3)


def test_quantus_mprt_with_ssim_compares_rows_of_pixels_and_ours_images(case):
    """It flattens maps first, and the window slides along one line; Adebayo et al. compare images. 0.12, not 0.07."""
    before, after = abs(case.maps), abs(case.theirs["redrawn3"])
    ours = ssim(before, after)
    for one, other, similarity in zip(before, after, ours, strict=True):
        windows = structural_similarity(
            one / one.max(), other / other.max(), data_range=1.0, use_sample_covariance=False
        )
        assert similarity == pytest.approx(windows, abs=1e-5)
    assert case.theirs["ssim of rows"].mean() > 1.3 * ours.mean()


# --- likeness


def test_spearman_and_ssim_are_equal(case):
    one, two = case.given["scaled"], case.given["other_scaled"]
    np.testing.assert_allclose(spearman(one, two), case.theirs["spearman"], atol=1e-9)
    # Its variances are those of samples, 49/48 of ours; its range of magnitudes is that of each pair.
    np.testing.assert_allclose(ssim(one, two), case.theirs["ssim"], atol=2e-3)
    np.testing.assert_allclose(ssim(abs(one), abs(two)), case.theirs["ssim of sizes"], atol=2e-3)
    assert np.ptp(case.theirs["ssim"]) > 0.01


def test_random_logit_is_the_likeness_of_the_maps_of_two_classes(case):
    classes = case.given["zero_one"]
    one, other = (METHOD(case.model, case.images, Targets(k), STREAMS).values for k in (classes, 1 - classes))
    np.testing.assert_allclose(spearman(one, other), case.theirs["other class"], atol=1e-4)


# --- stability and completeness


def test_the_change_of_maps_under_noise_is_equal(case):
    """Alvarez-Melis and Jaakkola's quotient and the change of the map alone, each made relative."""
    changed = change(case.model, case.images, "noise", 0.05, STREAMS)
    after = METHOD(case.model, changed.images, case.targets, STREAMS).values
    stabilities = stability(case.images, changed, case.maps, after, STREAMS)
    lipschitz, sensitivity = case.theirs["lipschitz"], case.theirs["sensitivity"]
    np.testing.assert_array_equal(changed.same_prediction, np.isfinite(lipschitz))
    x, moved = (np.linalg.norm(v.reshape(N, -1), axis=1)
                for v in (case.images.values, changed.images.values - case.images.values))  # fmt: skip
    sizes = np.linalg.norm(case.maps.reshape(N, -1), axis=1)
    assert stabilities.relative_change.value == pytest.approx(np.nanmean(lipschitz * x / sizes), rel=1e-3)
    assert stabilities.relative_change.value == pytest.approx(np.nanmean(sensitivity * x / moved), rel=1e-3)


def test_in_quantus_another_image_changes_the_stability_of_this_one_and_not_in_ours(case):
    """By default it divides maps by the largest value of the whole batch: down to 0.4 of the value for one image."""
    ratio = case.theirs["lipschitz in a batch"] / case.theirs["lipschitz alone"]
    assert np.nanmin(ratio) < 0.6
    changed = change(case.model, case.images, "noise", 0.05, STREAMS)
    after = METHOD(case.model, changed.images, case.targets, STREAMS).values
    louder = np.geomspace(0.1, 10, N).reshape(-1, 1, 1)
    once, repeated = (stability(case.images, changed, case.maps * by, after * by, STREAMS) for by in (1, louder))
    assert once.relative_change.value == pytest.approx(repeated.relative_change.value, rel=1e-6)


def test_quantus_calls_a_complete_map_incomplete_for_a_rounding_error(case):
    """It asks whether two floats are equal: none of 8 right maps of a linear model is complete."""
    right = case.given["linear_maps"][:, 0]
    values = case.images.values
    before, after = (case.linear.logits(v)[:, 0] for v in (values, np.full_like(values, 0.5)))
    error = completeness(Maps(right, {"score_difference": before - after}))
    assert error.max() < 1e-4
    assert not case.theirs["complete"].any()


# --- localization


def test_pointing_mass_and_focus_are_equal(case):
    masks, tiles = case.given["masks"], np.zeros((4, *SHAPE[:2]), bool)
    for tile, corner in zip(tiles, np.ndindex(2, 2), strict=True):
        tile[9 * corner[0] : 9 * corner[0] + 9, 36 * corner[1] : 36 * corner[1] + 36] = True
    np.testing.assert_array_equal(pointing(case.maps, masks), case.theirs["pointing"])
    assert 0 < case.theirs["pointing"].mean() < 1
    np.testing.assert_allclose(share_inside(case.maps, masks), case.theirs["mass"], rtol=1e-4)
    reference = tiles[case.given["tile"].argmax(axis=1)]
    np.testing.assert_allclose(share_inside(case.maps, reference), case.theirs["focus"], rtol=1e-4)


def test_quantus_pointing_game_is_won_by_a_constant_map_and_where_there_is_no_object(case):
    """NaN put into an array of booleans is True; of many highest pixels one inside is enough. Here neither counts."""
    assert case.theirs["pointing at nothing"][0]
    assert case.theirs["pointing of constants"].all()
    assert np.isnan(pointing(np.ones_like(case.maps), case.given["masks"])).all()


def test_quantus_mass_accuracy_of_signed_maps_is_no_share(case):
    """Evidence against the class is summed too, and the quotient leaves 0..1, here for -8; ours takes positive ones."""
    signed = case.theirs["signed mass"]
    assert (signed < 0).any() or (signed > 1).any()
    ours = share_inside(case.maps, case.given["masks"])
    assert ((ours >= 0) & (ours <= 1)).all()
