"""What every registered factor keeps, causes and probes alike."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from diagnosis.planted_cases import SIDE, discs, split_pair

from fruitaudit.diagnosis.factors import registry
from fruitaudit.diagnosis.factors.base import Change, Measurements
from fruitaudit.diagnosis.gap.change import changed_pixels
from fruitaudit.records.states import NotRun

ROWS = np.arange(6)
README = Path(__file__).parents[2] / "README.md"
FACTORS = registry.factors()
STRIPES = np.where((np.arange(SIDE) // 6 % 2)[:, None, None], (40, 70, 150), (90, 120, 200)).astype(np.uint8)


def striped(image: np.ndarray) -> np.ndarray:
    return np.where((image.min(axis=2) > 245)[..., None], np.broadcast_to(STRIPES, image.shape), image)


def small(image: np.ndarray) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 0, 0.5)
    return cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_AREA, borderValue=(255, 255, 255))


def repeated(image: np.ndarray) -> np.ndarray:
    """Four small discs with gaps between them."""
    tile = cv2.resize(image, (SIDE // 2, SIDE // 2), interpolation=cv2.INTER_AREA)
    return np.tile(tile, (2, 2, 1))


def glinting(image: np.ndarray) -> np.ndarray:
    """White specks within the disc."""
    pixels = image.copy()
    for y, x in ((20, 20), (24, 28), (28, 22), (22, 25), (27, 27)):
        pixels[y : y + 2, x : x + 2] = 255
    return pixels


def noisy(image: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(int(image.sum()))
    return np.clip(image * 0.8 + rng.normal(0, 12, image.shape), 0, 255).astype(np.uint8)


PLANTED = {
    "background": striped,
    "light": lambda image: (image * np.array([0.6, 0.5, 0.4])).astype(np.uint8),
    "scale": small,
    "several": repeated,
    "hue": lambda image: image[..., ::-1],
    "wetness": glinting,
    "blur": lambda image: cv2.GaussianBlur(image, (0, 0), 2.0),
    "noise": noisy,
    "jpeg": lambda image: image,
}
for _file in Path(__file__).parent.glob("test_factor_*.py"):
    if (_name := _file.stem.removeprefix("test_factor_")) in FACTORS:
        PLANTED[_name] = importlib.import_module(f"diagnosis.{_file.stem}").plant
"""How each factor is put into a picture: here, or by `plant` of the factor's own `test_factor_<name>.py`."""


def measured(name: str, seed: int = 5) -> Measurements:
    """A field in which the factor was planted; of a probe, one that is like the lab."""
    plant = PLANTED.get(name, lambda image: image)
    pair = split_pair(np.stack([plant(image) for image in discs(seed=seed)[0]]))
    if name == "jpeg":
        object.__setattr__(pair.field.material, "jpeg_quality", np.full(len(pair.field.material), 30))
    return Measurements(pair, FACTORS)


def change_of(name: str) -> tuple[Measurements, Change]:
    measurements = measured(name)
    change = measurements.change(name)
    assert isinstance(change, Change), change
    return measurements, change


def test_every_cause_is_planted_here() -> None:
    assert set(PLANTED) == {factor.name for factor in registry.suspects()}


@pytest.mark.parametrize("name", FACTORS)
def test_a_change_keeps_shape_type_and_range(name: str) -> None:
    measurements, change = change_of(name)
    lab = measurements.pair.lab
    layers = change.apply(lab.cutouts[ROWS], ROWS)
    assert (layers.objects.shape, layers.alpha.shape) == ((6, SIDE, SIDE, 3), (6, SIDE, SIDE))
    assert (layers.objects.dtype, layers.alpha.dtype) == (np.float32, np.float32)
    for values, maximum in ((layers.objects, 255), (layers.backgrounds, 255), (layers.alpha, 1)):
        assert np.isfinite(values).all()
        assert values.max() <= maximum * 1.001
    pixels = changed_pixels(lab, [change], ROWS)
    assert (pixels.shape, pixels.dtype) == (lab.material.pixels[ROWS].shape, np.uint8)
    assert np.abs(pixels.astype(int) - lab.material.pixels[ROWS]).mean() > 0.1, "it changes nothing"
    assert change.factor == name
    assert len(change.dose) > 5


@pytest.mark.parametrize("name", FACTORS)
def test_the_same_stream_makes_the_same_change_in_any_batch(name: str) -> None:
    _, change = change_of(name)
    measurements, other = change_of(name)
    lab = measurements.pair.lab
    together = changed_pixels(lab, [change], ROWS)
    assert (changed_pixels(lab, [other], ROWS) == together).all()
    assert (changed_pixels(lab, [other], ROWS[3:4]) == together[3:4]).all()


@pytest.mark.parametrize("factor", registry.suspects(), ids=lambda factor: factor.name)
def test_where_the_field_is_like_the_lab_there_is_nothing_to_change(factor) -> None:
    change = Measurements(split_pair(discs(seed=5)[0]), FACTORS).change(factor.name)
    assert isinstance(change, NotRun)
    assert len(change.reason) > 20


@pytest.mark.parametrize("factor", registry.suspects(), ids=lambda factor: factor.name)
def test_what_can_be_undone_goes_back_towards_the_lab(factor) -> None:
    """On the field itself, by the mean picture of a class: the discs are other specimens."""
    assert (factor.undo is None) == (not factor.undone)
    if factor.undo is None:
        return
    measurements = measured(factor.name)
    lab, field = measurements.pair.lab, measurements.pair.field
    back = factor.undo(measurements)
    if factor.name == "hue":
        assert isinstance(back, NotRun), "red and blue exchanged is no turn of hue"
        return
    assert isinstance(back, Change), back
    rows = np.arange(len(field.material))
    undone = changed_pixels(field, [back], rows)
    before, after = (distance(factor.name, lab.material.pixels, pixels) for pixels in (field.material.pixels, undone))
    assert after < before, (before, after)


def distance(name: str, lab: np.ndarray, field: np.ndarray) -> float:
    """Of the mean pictures; of noise and blur, which a mean picture does not show, of the steps between pixels."""
    if name in ("noise", "blur"):
        steps = [np.abs(np.diff(pixels.astype(float), axis=2))[:, 18:30, 18:30].mean() for pixels in (lab, field)]
        return abs(steps[1] - steps[0])
    return float(np.abs(lab.mean(axis=0) - field.mean(axis=0)).mean())


@pytest.mark.parametrize("name", FACTORS)
def test_a_registration_says_what_a_reader_needs(name: str) -> None:
    factor = FACTORS[name]
    assert all([factor.title, factor.sentence, factor.measured, factor.applied])
    assert (factor.remedy is None) == (factor.kind == "probe")
    assert factor.title[0].isupper()
    assert not factor.sentence.endswith(".")
    module = sys.modules[factor.measure.__module__]
    assert module.__name__ == f"{registry.PACKAGE}.{name}", "one file per factor, of its name"
    assert len(module.__doc__ or "") > 20


@pytest.mark.parametrize("factor", registry.suspects(), ids=lambda factor: factor.name)
def test_a_remedy_says_what_to_do_at_the_measured_dose(factor) -> None:
    remedy = factor.remedy(measured(factor.name), "ten of twelve")
    assert "ten of twelve" in remedy.sentence


def test_names_and_places_are_each_taken_once() -> None:
    assert len({factor.order for factor in FACTORS.values()}) == len(FACTORS)
    assert len({registry.position(name) for name in FACTORS}) == len(FACTORS)
    claims = registry.causes()
    assert {factor.name for factor in registry.suspects()} <= set(claims)
    assert all(claims[factor.name] == (factor.name,) for factor in registry.suspects())
    assert {"light", "blur", "noise", "jpeg"} <= set(claims["camera"])
    assert {"scale", "several"} <= set(claims["layout"])
    assert "hue" in claims["variety"]
    assert not set(claims) & {probe.name for probe in registry.probes()}


def test_changes_are_applied_as_a_picture_comes_about() -> None:
    order = [
        "hue", "wetness", "scale", "several", "background", "occlusion", "light", "rotation", "grey", "blur", "noise",
        "jpeg",
    ]  # fmt: skip
    assert [name for name in sorted(FACTORS, key=registry.position) if name in order] == order


def test_the_readme_lists_the_causes() -> None:
    assert registry.table() in README.read_text()


def test_claims_are_known_before_anything_heavy_is_loaded() -> None:
    code = (
        "import sys; from fruitaudit.diagnosis.factors import registry; registry.causes(); "
        "heavy = {'tensorflow', 'keras', 'sklearn', 'pandas'} & set(sys.modules); assert not heavy, heavy"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
