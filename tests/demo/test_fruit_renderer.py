"""The renderer against geometry, and its law: what differs in one factor of the scene differs in it alone."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from fruitaudit.demo.fruit.bodies import CLASSES, build, extent
from fruitaudit.demo.fruit.casting import Pose
from fruitaudit.demo.fruit.material import paint, step
from fruitaudit.demo.fruit.noise import SIDE, solid_noise
from fruitaudit.demo.fruit.render import render
from fruitaudit.demo.fruit.scene import FACTORS, LAB, Light, Scene, lab_scene, store_scene
from fruitaudit.demo.fruit.star import Star
from fruitaudit.demo.fruit.tube import Tube

UNTURNED = np.eye(3, dtype=np.float32)
# What the camera adds reaches every pixel: toggles are compared without it.
CAMERA = ("blur", "noise", "jpeg")


def crowded(class_name: str, **factors: object) -> Scene:
    """A store photo with everything in it but the camera's own marks."""
    scene = Scene(class_name, 5, (30.0, 20.0, 10.0), background="crate", light=Light(0.8, 0.5, (0.8, 0.4, 0.5), 0.8),
                  wetness=0.6, ripeness=0.5, scale=0.5, position=(0.05, -0.04), fruits=5)  # fmt: skip
    return replace(scene, **factors)


def eroded(mask: np.ndarray, pixels: int = 2) -> np.ndarray:
    return cv2.erode(mask.astype(np.uint8), np.ones((2 * pixels + 1,) * 2, np.uint8)) > 0


def grown(mask: np.ndarray, pixels: int = 2) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * pixels + 1,) * 2, np.uint8)) > 0


# geometry


def test_a_star_of_constant_radius_is_a_sphere() -> None:
    hit = Star(np.full((97, 192), 0.9, np.float32)).cast(Pose(UNTURNED, (50.0, 50.0), 40.0), 100)
    assert hit is not None
    x, y = (hit.columns + 0.5 - 50) / 40, (99.5 - hit.rows - 50) / 40
    inside = x**2 + y**2 < 0.85**2
    z = np.sqrt(0.81 - x[inside] ** 2 - y[inside] ** 2)
    np.testing.assert_allclose(hit.z[inside] / 40, z, atol=0.01)
    np.testing.assert_allclose(hit.normals[:, inside] * 0.9, np.stack([x[inside], y[inside], z]), atol=0.02)
    assert len(hit.rows) == pytest.approx(np.pi * 36**2, rel=0.03)


@pytest.mark.parametrize("class_name", ["Apple Red", "Pear", "Tomato", "Peach"])
def test_rays_meet_the_first_surface_as_a_slow_search_finds_it(class_name: str) -> None:
    star = build(class_name, np.random.default_rng(1))[0].shape
    assert isinstance(star, Star)
    c, s = np.cos(0.8), np.sin(0.8)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]], np.float32)
    hit = star.cast(Pose(turn, (40.0, 40.0), 28.0), 80)
    assert hit is not None
    n_polar, n_around = star.table.shape
    for i in range(0, len(hit.rows), 97):
        x, y = (hit.columns[i] + 0.5 - 40) / 28, (79.5 - hit.rows[i] - 40) / 28
        for z in np.arange(star.reach, -star.reach, -0.002):
            q = turn.T @ (x, y, z)
            length = np.linalg.norm(q)
            row = round(np.arccos(q[1] / length) * (n_polar - 1) / np.pi)
            column = round(np.arctan2(q[2], q[0]) * n_around / (2 * np.pi)) % n_around
            if length < star.table[row, column]:
                break
        if hit.normals[2, i] > 0.3:  # at the outline a pixel's depth is any
            assert hit.z[i] / 28 == pytest.approx(z, abs=0.05)


def test_a_straight_tube_is_a_capsule() -> None:
    path = np.stack([np.zeros(60), np.linspace(-0.5, 0.5, 60), np.zeros(60)], axis=1).astype(np.float32)
    hit = Tube(path, np.full(60, 0.2, np.float32)).cast(Pose(UNTURNED, (50.0, 50.0), 50.0), 100)
    assert hit is not None
    assert len(hit.rows) == pytest.approx(50 * 20 + np.pi * 10**2, rel=0.03)
    middle = np.abs(hit.body[1]) < 0.4
    np.testing.assert_allclose(np.hypot(hit.body[0], hit.body[2])[middle], 0.2, atol=0.005)
    np.testing.assert_allclose(hit.along[middle], hit.body[1][middle] + 0.5, atol=0.03)


def test_what_lies_outside_the_picture_is_not_hit() -> None:
    for part in build("Apple Red", np.random.default_rng(1)):
        assert part.shape.cast(Pose(UNTURNED, (-500.0, 50.0), 40.0), 100) is None


def test_noise_is_periodic_and_standardised() -> None:
    points = np.random.default_rng(0).uniform(0, 1, (3, 20000)).astype(np.float32)
    for grain in ("haze", "clouds", "blobs"):
        values = solid_noise(grain, points, 1.0, np.zeros(3, np.float32), 1.0)  # type: ignore[arg-type]
        assert values.mean() == pytest.approx(0, abs=0.05)
        assert values.std() == pytest.approx(1, abs=0.1)
        whole = np.array([[3.0, -2.0, 5.0]], np.float32).T + np.float32(0.5 / SIDE)
        again = solid_noise(grain, points + whole - np.float32(0.5 / SIDE), 1.0, np.zeros(3, np.float32), 1000.0)  # type: ignore[arg-type]
        np.testing.assert_allclose(
            again, solid_noise(grain, points, 1.0, np.zeros(3, np.float32), 1000.0), atol=0.02  # type: ignore[arg-type]
        )  # fmt: skip


def test_strokes_cover_what_is_below() -> None:
    albedo = paint((255, 0, 0), ((0, 255, 0), np.array([0, 0.5, 1, 7], np.float32)))
    np.testing.assert_allclose(albedo, [[1, 0, 0], [0.5, 0.5, 0], [0, 1, 0], [0, 1, 0]])
    np.testing.assert_allclose(step(1, 3, np.array([0, 1, 2, 3, 4])), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(step(3, 1, np.array([0, 1, 2, 3, 4])), [1, 1, 0.5, 0, 0])


# lab


@pytest.mark.parametrize("class_name", CLASSES)
def test_a_lab_image_is_one_centred_fruit_on_white(class_name: str) -> None:
    for index in range(2):
        pixels, mask = render(lab_scene(class_name, "tests", index, 1), 100)
        assert pixels.shape == (100, 100, 3)
        assert pixels.dtype == np.uint8
        assert (pixels[~grown(mask)] == 255).all()
        assert (pixels[eroded(mask)].min(axis=1) < 250).mean() > 0.99
        assert 0.08 < mask.mean() < 0.8
        rows, columns = np.nonzero(mask)
        assert abs(rows.min() + rows.max() - 99) <= 4
        assert abs(columns.min() + columns.max() - 99) <= 4
        assert rows.min() > 0
        assert columns.min() > 0


def test_classes_and_specimens_look_different() -> None:
    means = [render(Scene(name, 3, (0.0, 20.0, 0.0)), 40)[0].mean(axis=(0, 1)) for name in CLASSES]
    apart = np.abs(np.array(means)[:, None] - np.array(means)).sum(axis=2) + 100 * np.eye(len(CLASSES))
    assert apart.min() > 1
    first, other = (render(Scene("Mango Red", seed, (0.0, 20.0, 0.0)), 100)[0] for seed in (1, 2))
    assert np.abs(first.astype(int) - other).mean() > 2


def test_texture_turns_with_the_body() -> None:
    """A spin about the axis keeps the outline of a turned body, and brings another side of the skin to the front."""
    front, mask = render(Scene("Apple Red", 4, (0.0, 0.0, 0.0)), 100)
    back, mask_back = render(Scene("Apple Red", 4, (180.0, 0.0, 0.0)), 100)
    assert (mask & mask_back).sum() / (mask | mask_back).sum() > 0.9
    assert np.abs(front.astype(int) - back)[mask & mask_back].mean() > 5
    rolled = render(Scene("Apple Red", 4, (0.0, 0.0, 90.0)), 100)[1]
    turned = np.rot90(mask)
    assert (rolled & turned).sum() / (rolled | turned).sum() > 0.95


def test_extent_frames_the_mask() -> None:
    parts = build("Pomegranate", np.random.default_rng(2))
    low, high = extent(parts, UNTURNED)
    rows, columns = [], []
    for part in parts:
        hit = part.shape.cast(Pose(UNTURNED, (100.0, 100.0), 50.0), 200)
        if hit is not None:
            rows.append(hit.rows)
            columns.append(hit.columns)
    x, y = (np.concatenate(columns) + 0.5 - 100) / 50, (199.5 - np.concatenate(rows) - 100) / 50
    np.testing.assert_allclose([x.min(), y.min()], low, atol=0.05)
    np.testing.assert_allclose([x.max(), y.max()], high, atol=0.05)


# factors


def test_same_record_same_picture_in_any_order() -> None:
    scenes = [store_scene(name, 3, 9) for name in CLASSES[:4]]
    forwards = [render(scene, 60)[0] for scene in scenes]
    backwards = [render(scene, 60)[0] for scene in reversed(scenes)]
    for one, other in zip(forwards, reversed(backwards), strict=True):
        np.testing.assert_array_equal(one, other)
    assert store_scene("Pear", 3, 9) == store_scene("Pear", 3, 9)
    assert len({store_scene("Pear", i, seed) for i in range(4) for seed in range(4)}) == 16


def test_a_store_scene_with_every_factor_as_in_the_lab_is_a_lab_image() -> None:
    scene = store_scene("Peach", 1, 9)
    bare = scene.with_lab(*FACTORS)
    assert bare == Scene("Peach", scene.seed, scene.angles)
    pixels, mask = render(bare, 100)
    assert (pixels[~grown(mask)] == 255).all()
    with pytest.raises(KeyError):
        scene.with_lab("angles")


def test_the_background_leaves_the_fruit_alone() -> None:
    store, lab = crowded("Pear"), crowded("Pear").with_lab("background")
    (one, mask), (other, same) = render(store, 100), render(lab, 100)
    np.testing.assert_array_equal(mask, same)
    np.testing.assert_array_equal(one[eroded(mask)], other[eroded(mask)])
    assert np.abs(one.astype(int) - other)[~grown(mask)].mean() > 20


@pytest.mark.parametrize("factor", ["light", "wetness", "ripeness", *CAMERA])
def test_what_does_not_move_the_fruit_leaves_the_mask_alone(factor: str) -> None:
    scene = crowded("Tomato", blur=1.0, noise=5.0, jpeg=60)
    (one, mask), (other, same) = render(scene, 100), render(scene.with_lab(factor), 100)
    np.testing.assert_array_equal(mask, same)
    assert (one != other).any()


@pytest.mark.parametrize("factor", ["wetness", "ripeness"])
def test_the_skin_leaves_the_background_alone(factor: str) -> None:
    scene = crowded("Orange")
    (one, mask), (other, _) = render(scene, 100), render(scene.with_lab(factor), 100)
    np.testing.assert_array_equal(one[~grown(mask)], other[~grown(mask)])
    assert (one[mask] != other[mask]).any()


@pytest.mark.parametrize("clutter", ["hand", "board", "tag"])
def test_clutter_covers_and_else_changes_nothing(clutter: str) -> None:
    scene = crowded("Apple Golden", clutter=clutter, background="white", fruits=1, scale=0.8)
    (one, mask), (other, whole) = render(scene, 100), render(scene.with_lab("clutter"), 100)
    assert not (mask & ~whole).any()
    assert 0 < (whole & ~mask).sum() < 0.6 * whole.sum()
    np.testing.assert_array_equal(one[eroded(mask)], other[eroded(mask)])


def test_more_fruits_leave_the_first_one_alone() -> None:
    (many, mask), (one, first) = render(crowded("Onion Red"), 100), render(crowded("Onion Red").with_lab("fruits"), 100)
    assert not (first & ~mask).any()
    assert mask.sum() > 1.5 * first.sum()
    np.testing.assert_array_equal(many[eroded(first)], one[eroded(first)])


def test_a_neighbour_that_is_out_of_the_picture_changes_nothing() -> None:
    scene = store_scene("Banana", 0, 3)  # its second banana is
    (two, mask), (one, same) = render(scene, 100), render(scene.with_lab("fruits"), 100)
    np.testing.assert_array_equal(mask, same)
    np.testing.assert_array_equal(two, one)


def test_scale_and_position_move_the_mask() -> None:
    scene = crowded("Orange", fruits=1, clutter="none")
    area = render(scene, 100)[1].sum()
    assert render(replace(scene, scale=2 * scene.scale, position=(0.0, 0.0)), 100)[1].sum() == pytest.approx(
        4 * area, rel=0.06
    )
    rows, columns = np.nonzero(render(replace(scene, position=(0.2, 0.1)), 100)[1])
    assert columns.mean() == pytest.approx(69.5, abs=1.5)
    assert rows.mean() == pytest.approx(39.5, abs=1.5)


def test_both_sizes_show_the_same_scene() -> None:
    scene = crowded("Mango Red", clutter="hand", wetness=0.0)
    (small, mask), (large, large_mask) = render(scene, 100), render(scene, 400)
    shrunk = cv2.resize(large, (100, 100), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(int) - small).mean() < 8
    assert (large_mask[2::4, 2::4] != mask).mean() < 0.04


def test_factors_are_the_fields_with_a_value_in_the_lab() -> None:
    assert FACTORS == ("background", "light", "blur", "wetness", "ripeness", "scale", "position", "fruits", "clutter",
                       "noise", "jpeg")  # fmt: skip
    assert LAB["background"] == "white"
