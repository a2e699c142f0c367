import base64
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fruitaudit.report import figures
from fruitaudit.report.figures import Scale, draw_map, empty_reason, palette, photograph, scale_of, shrink
from fruitaudit.report.superpixels import superpixel_views


def pixels(uri: str) -> np.ndarray:
    """The picture of a data URI as RGBA 0..255, float."""
    content = base64.b64decode(uri.split(",")[1])
    return np.asarray(Image.open(BytesIO(content)).convert("RGBA")).astype(float)


def on_white(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:] / 255
    return rgba[..., :3] * alpha + 255 * (1 - alpha)


def luminance(rgb: np.ndarray) -> np.ndarray:
    return rgb @ np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("signed", [False, True])
def test_zero_is_white_and_fully_transparent(signed):
    picture = pixels(draw_map(np.array([[0.0, 1.0]], np.float32), Scale(1.0, signed, root=False)))
    assert picture[0, 0, 3] == 0
    assert picture[0, 1, 3] > 200
    np.testing.assert_array_equal(on_white(picture)[0, 0], [255, 255, 255])


def test_signs_have_their_own_colours():
    picture = on_white(pixels(draw_map(np.array([[-1.0, 1.0]], np.float32), Scale(1.0, signed=True, root=False))))
    negative, positive = picture[0]
    assert negative[2] > negative[0] + 60
    assert positive[0] > positive[2] + 60


@pytest.mark.parametrize("anchors", [figures.SEQUENTIAL, figures.POSITIVE, figures.NEGATIVE])
def test_lightness_falls_strictly_and_evenly(anchors):
    lightness = figures._to_oklab(figures.ramp(anchors) / 255)[:, 0]
    steps = -np.diff(lightness)
    assert (steps > 0).all()
    assert steps.max() < 2.5 * steps.mean()


@pytest.mark.parametrize("signed", [False, True])
def test_on_white_the_overlay_is_the_colour_map(signed):
    ramp = figures.ramp
    whole = (
        np.concatenate([ramp(figures.NEGATIVE)[:0:-1], ramp(figures.POSITIVE)]) if signed else ramp(figures.SEQUENTIAL)
    )
    np.testing.assert_allclose(on_white(palette(signed=signed).astype(float)), whole, atol=1.0)


@given(st.floats(0.01, 1.0), st.floats(1e-6, 1e6))
def test_one_scale_for_a_group(share, end):
    """A map at a tenth of the group's scale is not stretched to look like the strongest one."""
    scale = Scale(end, signed=False, root=False)
    weak = luminance(on_white(pixels(draw_map(np.full((2, 2), share * end, np.float32), scale))))
    strong = luminance(on_white(pixels(draw_map(np.full((2, 2), end, np.float32), scale))))
    assert (weak >= strong).all()
    if share < 0.9:
        assert (weak > strong).all()


def test_heavy_tails_are_drawn_by_square_root_and_the_bar_says_where():
    values = np.zeros((1, 20, 20), np.float32)
    values[0, 0, 0] = 4.0
    scale = scale_of(values, 4.0, signed=False)
    assert scale.root
    assert scale.ticks() == [(0.0, "0"), (0.5, "1"), (1.0, "4")]
    assert scale.strength(np.float32([1.0]))[0] == pytest.approx(0.5)
    flat = scale_of(np.full((1, 4, 4), 4.0, np.float32), 4.0, signed=True)
    assert not flat.root
    assert flat.ticks() == [(0.0, "−4"), (0.5, "0"), (1.0, "4")]


def test_a_change_below_a_point_of_probability_does_not_fill_the_bar():
    values = np.full((1, 4, 4), 0.0004, np.float32)
    scale = scale_of(values, 0.0004, signed=True, probability=True)
    assert scale.ticks()[-1] == (1.0, "0.01")
    assert scale.strength(values).max() == pytest.approx(0.04)
    assert scale_of(values, 0.0004, signed=True).strength(values).max() == pytest.approx(1.0)


def test_a_nan_map_does_not_decide_the_scale():
    values = np.ones((2, 3, 3), np.float32)
    values[1, 0, 0] = np.nan
    assert not scale_of(values, 1.0, signed=False).root


def test_empty_maps_are_said_so():
    assert empty_reason(np.zeros((3, 3), np.float32)) == "the map is zero everywhere"
    assert "not finite" in empty_reason(np.float32([[np.inf, 0]]))
    assert "not finite" in empty_reason(np.float32([[np.nan, 1]]))
    assert empty_reason(np.float32([[1e-30, 0]])) is None


def test_large_maps_are_averaged_down_and_small():
    values = np.random.default_rng(0).random((300, 600), np.float32)
    small = shrink(values)
    assert small.shape == (56, 112)
    assert small.mean() == pytest.approx(values.mean(), abs=1e-3)
    assert len(draw_map(values, Scale(1.0, signed=False, root=False))) < 9000
    assert Image.open(BytesIO(base64.b64decode(draw_map(values, Scale(1.0, True, False)).split(",")[1]))).mode == "P"


def test_photographs_shrink_and_small_drawings_keep_every_pixel(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (28, 28), np.uint8)
    Image.fromarray(noise).save(tmp_path / "digit.png")
    np.testing.assert_array_equal(pixels(photograph(tmp_path / "digit.png", 100))[..., 0], noise)
    Image.new("RGB", (900, 600), "red").save(tmp_path / "photo.jpg")
    assert pixels(photograph(tmp_path / "photo.jpg", 300)).shape == (200, 300, 4)
    assert photograph(tmp_path / "absent.jpg", 300) is None
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    assert photograph(tmp_path / "broken.jpg", 300) is None


def test_superpixel_views_hide_outline_and_print():
    segments = np.repeat(np.arange(3), 4)[:, None] * np.ones((1, 12), int)
    views = superpixel_views(segments.astype(np.int32), np.float32([0.5, -0.25, 0, np.nan]))
    hidden, outlines = pixels(views.hidden), pixels(views.outlines)
    assert (hidden[:4, :, 3] == 0).all()
    assert (hidden[4:, :, 3] == 255).all(), "what speaks against the class is hidden, and what was not selected"
    assert outlines.shape[:2] == (36, 36)
    green, red = outlines[0, 0], outlines[23, 0]
    assert green[1] > green[0]
    assert red[0] > red[1]
    assert outlines[30, 10, 3] == 0
    assert [label.text for label in views.labels] == ["+0.5", "−0.25"]
    assert (views.n_segments, views.n_selected) == (3, 2)


DAMAGE = {
    "empty": lambda data: b"",
    "signature only": lambda data: data[:8],
    "cut off": lambda data: data[: len(data) // 2],
    "wide": lambda data: data[:16] + b"\x7f\xff\xff\xff\x7f\xff\xff\xff" + data[24:],
    "no chunk": lambda data: data[:33] + bytes(len(data) - 33),
    "an array": lambda data: b"\x93NUMPY",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_photograph_is_none(tmp_path, damage):
    buffer = BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(buffer, "PNG")
    (tmp_path / "a.png").write_bytes(DAMAGE[damage](buffer.getvalue()))
    assert photograph(tmp_path / "a.png", 20) is None
