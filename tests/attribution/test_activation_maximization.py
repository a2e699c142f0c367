import dataclasses

import numpy as np
import pytest
import zoo
from analytic_models import some_images, some_targets

from fruitaudit.attribution.ascent import Ascent, Fourier, Pixels, Units, colours_of
from fruitaudit.attribution.methods.activation_maximization import ActivationMaximization
from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras.backend import keras, tf
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.records.data import Background
from fruitaudit.runtime.streams import Streams

L = keras.layers


def material(shape, low=0.0, high=1.0, n=12):
    references = some_images(shape, n=n, low=low, high=high, seed=1)
    background = Background(references.values, np.zeros(n, np.int64), references.sample_ids, 2 * n)
    return dataclasses.replace(references.select(slice(0, 0)), background=background)


def run(model, low=0.0, high=1.0, **options):
    images = material(model.input_shape, low, high)
    return ActivationMaximization(**options)(model, images, some_targets(0, 2), Streams(9)), images


def linear_filters(activation=None):
    keras.utils.set_random_seed(4)
    body = [L.Input((9, 8, 3)), L.Conv2D(3, 3, activation=activation, name="conv"), L.Flatten(), L.Dense(4)]
    return Classifier.from_network(keras.Sequential(body), batch_size=4)


def filter_gradients(model):
    """(U, H, W, C) of the mean over places of each filter of a valid convolution, written out."""
    kernel = np.asarray(model.network.get_layer("conv").kernel)
    gradients = np.zeros((3, 9, 8, 3))
    for i in range(7):
        for j in range(6):
            gradients[:, i : i + 3, j : j + 3] += np.moveaxis(kernel, -1, 0) / 42
    return gradients


@pytest.mark.parametrize(("parameterization", "share"), [("pixel", 0.9999), ("fourier", 0.9)])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 3.0)])
def test_a_linear_unit_reaches_the_corner_of_the_box(parameterization, share, low, high):
    """max g . x over low <= x <= high is high where g > 0 and low where g < 0; for filters and for class neurons."""
    model = linear_filters()
    explanation, _ = run(model, low, high, parameterization=parameterization, steps=150, jitter=0, total_variation=0.0,
                  filters=3, choose="first")  # fmt: skip
    kernel = np.asarray(model.network.layers[-1].kernel).reshape(7, 6, 3, 4)
    convolution = np.asarray(model.network.get_layer("conv").kernel)
    classes = np.zeros((4, 9, 8, 3))
    for i in range(7):
        for j in range(6):
            classes[:, i : i + 3, j : j + 3] += np.einsum("ok,abco->kabc", kernel[i, j], convolution)
    for unit, value, reached, g in zip(
        explanation.units, explanation.values, explanation.reached, [*filter_gradients(model), *classes], strict=True
    ):
        best, worst = np.maximum(g * low, g * high).sum(), np.minimum(g * low, g * high).sum()
        assert worst + share * (best - worst) < reached <= best + 1e-4, unit
        assert reached == pytest.approx((g * value).sum(), rel=1e-4, abs=1e-4)
        if parameterization == "pixel":
            np.testing.assert_allclose(value[abs(g) > 1e-3], np.where(g > 0, high, low)[abs(g) > 1e-3], atol=1e-4)


@pytest.mark.parametrize("parameterization", ["pixel", "fourier"])
def test_penalties_make_smoother_and_greyer_pictures(parameterization):
    default, rough, flat = (
        run(linear_filters("relu"), parameterization=parameterization, steps=60, filters=2, total_variation=tv, l2=l2)[
            0
        ]
        for tv, l2 in ((0.0, 0.0), (3.0, 0.0), (0.0, 9.0))
    )
    variation = [abs(np.diff(explanation.values, axis=2)).mean() for explanation in (default, rough)]
    assert variation[1] < 0.5 * variation[0]
    assert ((flat.values - 0.5) ** 2).mean() < 0.5 * ((default.values - 0.5) ** 2).mean()


@pytest.mark.parametrize("kind", ["sequential", "swish", "mixed_float16", "sigmoid"])
def test_made_up_inputs_stay_in_range_and_excite_more_than_real_ones(kind):
    top = zoo.TOP.get(kind, 1.0)
    model = zoo.classifier(kind)
    explanation, images = run(model, high=top, filters=3, steps=40)
    assert explanation.values.min() >= 0
    assert explanation.values.max() <= top
    assert explanation.values.max() > 0.9 * top
    layers = {unit.layer for unit in explanation.units}
    assert len(layers) == 3
    assert (explanation.reached > explanation.strongest).mean() > 0.9
    in_use = [i for i, unit in enumerate(explanation.units) if unit.layer == ""]
    scores = model.logits(images.background.values)[:, [explanation.units[i].index for i in in_use]]
    np.testing.assert_allclose(explanation.strongest[in_use], scores.max(axis=0), rtol=1e-2, atol=1e-3)
    ids = [images.background.sample_ids[i] for i in scores.argmax(axis=0)]
    assert [explanation.strongest_ids[i] for i in in_use] == ids
    assert np.isnan(np.delete(explanation.diagnostics["probability"], in_use)).all()
    assert np.isfinite(explanation.diagnostics["probability"][in_use]).all()


def test_the_strongest_filters_are_those_that_real_images_excite_most():
    model = zoo.classifier("sequential")
    explanation, images = run(model, layers=["conv_2"], filters=4, classes=0, steps=1)
    means = model.features(images.background.values, "conv_2").reshape(12, 13, 13, 12).mean(axis=(1, 2))
    assert [unit.index for unit in explanation.units] == np.argsort(-means.mean(axis=0))[:4].tolist()
    np.testing.assert_allclose(
        explanation.strongest, means.max(axis=0)[[u.index for u in explanation.units]], rtol=1e-4
    )


def test_a_filter_that_is_silent_is_woken():
    """Its bias keeps it below 0 on a grey picture; by the gradient after ReLU alone it would stay as it began."""
    model = linear_filters("relu")
    kernel, _ = model.network.get_layer("conv").get_weights()
    grey = 0.5 * kernel.sum(axis=(0, 1, 2))
    reach = (0.5 * abs(kernel)).sum(axis=(0, 1, 2))
    model.network.get_layer("conv").set_weights([kernel, -grey - 0.5 * reach])
    explanation, _ = run(model, filters=3, classes=0, steps=100, jitter=0, total_variation=0.0)
    assert (explanation.strongest < 1e-6).all()
    assert (explanation.reached > 0.02).all()


def test_says_which_pictures_excite_less_than_a_photograph():
    model = linear_filters("relu")
    poor, _ = run(model, steps=1, step_size=1e-6, parameterization="pixel")  # grey, as it began
    weaker = poor.reached < poor.strongest
    assert 2 <= weaker.sum() <= 8
    messages = [note for note in poor.notes if "less than a photograph" in note]
    assert messages[0].startswith(f"{weaker.sum()} of 7 made-up images")
    assert messages[0].endswith(": " + ", ".join(u.name for u, less in zip(poor.units, weaker, strict=True) if less))
    good, _ = run(model, steps=100, jitter=0, total_variation=0.0, parameterization="pixel")
    assert (good.reached >= good.strongest).all()
    assert not any("photograph" in note for note in good.notes)


def test_a_unit_does_not_depend_on_the_others_in_its_batch():
    model = linear_filters("relu")
    every, _ = run(model, filters=3, steps=8, choose="first")
    model.batch_size = 1
    alone, _ = run(model, filters=1, classes=0, steps=8, choose="first")
    np.testing.assert_allclose(alone.values[0], every.values[0], atol=1e-4)


def test_a_shift_is_undone_in_the_gradient():
    """With jitter on a model that is blind to shifts, the pictures are those without jitter."""
    keras.utils.set_random_seed(4)
    blind = Classifier.from_network(
        keras.Sequential([L.Input((8, 8, 3)), L.Conv2D(3, 1, name="conv"), L.GlobalAveragePooling2D(), L.Dense(4)])
    )
    still, shaken = (run(blind, steps=12, jitter=j, parameterization="pixel", total_variation=0.0)[0] for j in (0, 5))
    np.testing.assert_allclose(still.values, shaken.values, atol=1e-3)
    uneven = linear_filters()
    still, shaken = (run(uneven, steps=12, jitter=j, parameterization="pixel")[0] for j in (0, 5))
    assert abs(still.values - shaken.values).max() > 0.1


def test_fourier_pictures_have_the_colours_of_the_reference_images():
    images = material((8, 8, 3))
    one_hue = images.background.values.mean(axis=-1, keepdims=True) * np.float32([1, 0.5, 0.25])
    background = dataclasses.replace(images.background, values=one_hue.astype(np.float32))
    canvas = Fourier((8, 8, 3), colours_of(background, images))
    noise = np.random.default_rng(0).normal(0, 1, (4, 2, 3, 8, 5)).astype(np.float32)
    logits = np.log(p := canvas.picture(noise)) - np.log(1 - p)
    assert np.corrcoef(logits.reshape(-1, 3), rowvar=False).min() > 0.99
    grey = Fourier((8, 8, 3), np.eye(3, dtype=np.float32)).picture(noise)
    assert abs(np.corrcoef(grey.reshape(-1, 3), rowvar=False)[0, 1]) < 0.5


def test_the_steps_are_those_of_adam_cut_to_the_box_after_each():
    """Kingma, Ba 2014, algorithm 1, written out; a pixel that was cut turns back where one that ran on would not."""
    keras.utils.set_random_seed(6)
    body = [L.Input((6, 5, 3)), L.Conv2D(5, 3, activation="tanh"), L.Flatten(), L.Dense(2)]
    model = Classifier.from_network(keras.Sequential(body))
    ends = np.zeros(3, np.float32), np.full(3, 2, np.float32)
    images = dataclasses.replace(material(model.input_shape), low=ends[0], high=ends[1])
    start = np.random.default_rng(5).random((2, 6, 5, 3)).astype(np.float32)
    scale, classes, numbers = np.float32([1.5, 0.2]), np.arange(2), start
    mean = square = np.zeros_like(start)
    for t in range(1, 16):
        gradient = 2 * model.gradient(2 * numbers, classes) / scale[:, None, None, None]
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        step = 0.3 * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        numbers = np.clip(numbers + step, 0, 1)
    ascent = Ascent(15, 0.3, 0, total_variation=0, l2=0)
    units = Units(None, classes, scale)
    explanation = ascent.optimise(model, images, Pixels(model.input_shape), units, start, np.zeros((15, 2), np.int32))
    np.testing.assert_allclose(explanation, 2 * numbers, atol=2e-3)
    assert 0.05 < np.mean((numbers > 0) & (numbers < 1)) < 0.95


@pytest.fixture(scope="module")
def of_two_convolutions():
    keras.utils.set_random_seed(1)
    body = [L.Input((10, 10, 3)), L.Conv2D(4, 3, activation="relu", name="early"), L.Conv2D(4, 3, name="late")]
    model = Classifier.from_network(keras.Sequential([*body, L.Flatten(), L.Dense(5)]))
    return model, run(model, steps=5, filters=2)[0]


@pytest.mark.parametrize(("option", "value"), ActivationMaximization.registration.contract_options)
def test_every_option_changes_the_pictures(of_two_convolutions, option, value):
    model, default = of_two_convolutions
    other, _ = run(model, **{"steps": 5, "filters": 2, option: value})
    same = default.units == other.units and np.allclose(default.values, other.values, atol=1e-4)
    assert not same or option == "reference_images"


def test_says_what_it_lacks():
    model = linear_filters()
    with pytest.raises(CannotExplain, match="set filters or classes"):
        run(model, filters=0, classes=0)
    images = dataclasses.replace(material(model.input_shape), background=None)
    with pytest.raises(CannotExplain, match="name a split with the role reference"):
        ActivationMaximization()(model, images, some_targets(0, 2), Streams(9))
    only_classes, _ = run(Classifier.from_network(zoo.KINDS["mlp"]()), steps=2)
    assert {unit.layer for unit in only_classes.units} == {""}


def test_the_pull_is_the_gradient_of_the_penalties_as_they_are_told():
    picture = tf.constant(np.random.default_rng(3).random((2, 7, 5, 3)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(picture)
        down, across = picture[:, 1:] - picture[:, :-1], picture[:, :, 1:] - picture[:, :, :-1]
        variation = sum(tf.reduce_mean(abs(d), axis=(1, 2, 3)) for d in (down, across))
        total = 0.3 * variation + 0.7 * tf.reduce_mean((picture - 0.5) ** 2, axis=(1, 2, 3))
    ascent = Ascent(1, 0.1, 0, total_variation=0.3, l2=0.7)
    explanation = np.stack([ascent._penalty_gradient(one) for one in picture.numpy()])
    np.testing.assert_allclose(explanation, tape.gradient(total, picture), atol=1e-7)
    assert abs(explanation).max() > 1e-3


@pytest.mark.parametrize("shape", [(6, 8, 3), (7, 5, 1)])
def test_the_way_back_through_the_waves_is_the_gradient_of_the_picture(shape):
    """Both sides of <J d, g> = <d, J^T g>, J d by a difference."""
    rng = np.random.default_rng(1)
    canvas = Fourier(shape, rng.normal(0, 1, (shape[2], shape[2])).astype(np.float32))
    start = np.stack([canvas.start(rng) for _ in range(2)]) * 10
    change, gradient = rng.normal(0, 1, start.shape).astype(np.float32), rng.normal(0, 1, (2, *shape))
    step = 1e-2
    ends = [canvas.picture(start + sign * step * change).astype(np.float64) for sign in (1, -1)]
    forward = ((ends[0] - ends[1]) / (2 * step) * gradient).sum(axis=(1, 2, 3))
    backward = (canvas.parameter_gradient(canvas.picture(start), gradient.astype(np.float32)) * change).sum(
        axis=(1, 2, 3, 4)
    )
    np.testing.assert_allclose(backward, forward, rtol=1e-3, atol=1e-3)
