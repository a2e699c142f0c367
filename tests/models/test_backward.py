"""The walk back through a traced network, and the blocks that it is put together to."""

import numpy as np
import pytest
import zoo

from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras import backward, blocks
from fruitaudit.models.keras.backend import keras, tf
from fruitaudit.models.keras.classifier import Classifier
from fruitaudit.models.rules import DeepLiftRules, LrpRule, LrpRules, ReluRules

L = keras.layers


class Everything(dict):
    """The ordinary gradient as the rule of every operation."""

    def __missing__(self, kind):
        return backward.gradient


def walked(model, look):
    """`look(images, logits)` in a trace of the model, whose result is returned as arrays."""
    spec = tf.TensorSpec((None, *model.input_shape), tf.float32)
    return tf.function(lambda x: look(x, model.in_graph(x).logits), input_signature=[spec], autograph=False)


@pytest.mark.parametrize("kind", ["resnet", "vit", "sigmoid", "mixed_float16", "gelu"])
def test_with_the_gradient_as_every_rule_it_is_the_gradient(kind):
    model = zoo.classifier(kind, 4)
    values = np.random.default_rng(0).uniform(0, zoo.TOP.get(kind, 1), (3, *model.input_shape)).astype(np.float32)

    def look(x, logits):
        steps = backward.steps_between(x, logits)
        seed = tf.one_hot([1, 1, 1], model.n_classes)
        return backward.walk_back(steps, logits, seed, x, Everything())

    expected = model.gradient(values, np.ones(3, np.int64))
    tolerance = 1e-2 if kind == "mixed_float16" else 1e-5
    np.testing.assert_allclose(walked(model, look)(values), expected, atol=tolerance * abs(expected).max())


class Constants(L.Layer):
    """Sums, differences and products with constants of every shape that broadcasts, on either side."""

    def call(self, x):
        x = (0.5 - x) * np.float32([1, 2, 3]) - np.float32([[0.1], [0.2], [0.3], [0.4], [0.5], [0.6], [0.7], [0.8]])
        mean = keras.ops.mean(x, axis=(1, 2), keepdims=True)
        return x + (np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 8, 8, 1) - mean * 2 + 0.3) * mean


class LongPadding(L.Layer):
    def call(self, x):
        return tf.pad(x, tf.constant([[0, 0], [1, 0], [0, 1], [0, 0]], tf.int64))


@pytest.mark.parametrize("layers", [
    [Constants(), L.Flatten()],
    [LongPadding(), L.ZeroPadding2D(((1, 2), (0, 3))), L.Conv2D(4, 3, strides=2), L.Flatten()],
    [L.Conv2D(4, 3, padding="same", dilation_rate=2), L.DepthwiseConv2D(2, depth_multiplier=2), L.Flatten()],
], ids=["constants", "padding-strides", "dilation-depthwise"])  # fmt: skip
def test_the_rules_of_linear_operations_are_their_gradients(layers):
    keras.utils.set_random_seed(3)
    model = Classifier.from_network(keras.Sequential([L.Input((8, 8, 3)), *layers, L.Dense(3)]))
    values = np.random.default_rng(3).uniform(0, 1, (2, 8, 8, 3)).astype(np.float32)

    def look(x, logits):
        steps = backward.steps_between(x, logits)
        return backward.walk_back(steps, logits, tf.one_hot([1, 1], 3), x, Everything())

    expected = model.gradient(values, np.ones(2, np.int64))
    np.testing.assert_allclose(walked(model, look)(values), expected, atol=1e-6 * abs(expected).max())


def test_a_loop_is_given_shapes_in_place_of_the_inputs_of_linear_operations():
    layers = [L.ZeroPadding2D(1), L.Conv2D(4, 3), L.BatchNormalization(), L.DepthwiseConv2D(3), L.Flatten(), L.Dense(3)]
    model = Classifier.from_network(keras.Sequential([L.Input((8, 8, 3)), *layers]))

    def look(x, logits):
        steps = backward.steps_between(x, logits)
        one = lambda seed: backward.walk_back(steps, logits, tf.repeat(seed[None], 2, 0), x, Everything())  # noqa: E731
        return tf.map_fn(one, tf.eye(3), parallel_iterations=1)

    graph = walked(model, look).get_concrete_function().graph
    [loop] = [op for op in graph.get_operations() if op.type in ("While", "StatelessWhile")]
    image_inputs = {t.op.type for t in loop.inputs if t.shape.rank == 4 and t.shape[0] is None}
    assert "Shape" in {t.op.type for t in loop.inputs}
    assert image_inputs == set()


def test_every_operation_without_a_rule_is_named_and_shapes_are_none():
    model = zoo.classifier("swish", 4)
    messages = []

    def look(x, logits):
        steps = backward.steps_between(x, logits)
        assert not {step.op.type for step in steps} & {"Shape", "Const", "ReadVariableOp", "Pack"}
        with pytest.raises(CannotExplain) as error:
            backward.require_rules(steps, dict.fromkeys(("Conv2D", "MatMul", "BiasAdd")), "It", "that")
        messages.append(str(error.value))
        return logits

    walked(model, look)(np.zeros((1, 32, 32, 3), np.float32))
    names = "IdentityN, MaxPool, Mul, Reshape, Sigmoid"
    assert messages[-1] == f"It has no rule for {names} in this model; use that instead"


def test_what_no_signal_reaches_is_zero():
    def look(x, logits):
        steps = backward.steps_between(x, logits)
        return backward.walk_back(steps, logits, logits, x, Everything(Relu=lambda step, signals: [None]))

    model = zoo.classifier("sequential", 4)
    assert not walked(model, look)(np.ones((2, 32, 32, 3), np.float32)).numpy().any()


@pytest.mark.parametrize("layer", [
    L.Conv2D(5, 3),
    L.DepthwiseConv2D(3, depth_multiplier=2),
    L.Conv2DTranspose(5, 3, strides=2),
    L.Conv2D(5, 3, dilation_rate=2),
    L.DepthwiseConv2D(3, dilation_rate=2),
], ids=["conv", "depthwise", "transposed", "dilated", "depthwise-dilated"])  # fmt: skip
def test_a_block_is_linear_in_its_weights_with_one_bias(layer):
    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [L.Input((9, 9, 3)), L.ZeroPadding2D(1), layer, L.BatchNormalization(), L.Flatten(), L.Dense(3)]
    )
    rng = np.random.default_rng(2)
    for weight in network.weights:
        if "seed" not in weight.name:
            weight.assign(rng.uniform(0.5, 2, weight.shape))
    model = Classifier.from_network(network)
    results = []

    def look(x, logits):
        explanation = [
            step
            for step in blocks.with_blocks(backward.steps_between(x, logits))
            if isinstance(step, blocks.TracedBlock)
        ]
        results.append([(block.kind, [step.op.type for step in block.before]) for block in explanation])
        block = explanation[0]
        weights, bias = block.parameters()
        return block.linear(x, weights) + bias, block.op.outputs[0]

    values = rng.normal(0, 1, (2, 9, 9, 3)).astype(np.float32)
    ours, theirs = walked(model, look)(values)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    dilated = getattr(layer, "dilation_rate", 1) in (2, (2, 2))
    assert results[-1] == [("convolution", ["Pad", *dilated * ["SpaceToBatchND"]]), ("dense", [])]


SEED, GREY = np.float32([[1, 0, 0], [0, 1, 0]]), np.full((1, 8, 8, 3), 99, np.float32)
LRP = LrpRules(LrpRule("epsilon", 0.01), LrpRule("z+"), LrpRule("box"), np.zeros(3, np.float32),
               np.full(3, 255, np.float32))  # fmt: skip
PROPAGATIONS = {
    "saliency": lambda model, x: model.gradient(x, np.array([0, 1])),
    "guided_backprop": lambda model, x: model.propagate(ReluRules("guided"), x, SEED),
    "deconvolution": lambda model, x: model.propagate(ReluRules("deconvolution"), x, SEED),
    "lrp": lambda model, x: model.propagate(LRP, x, SEED),
    "deep_lift": lambda model, x: model.propagate(DeepLiftRules(GREY, one_colour=True), x, SEED),
    "deep_shap": lambda model, x: model.propagate(DeepLiftRules(np.concatenate([GREY, GREY / 2])), x, SEED),
}


@pytest.mark.parametrize("method", PROPAGATIONS)
@pytest.mark.parametrize("kind", ["uint8", "int32", "rounded inside"])
def test_images_that_become_whole_numbers_have_no_map_of_zeros(method, kind):
    dtype = "float32" if kind == "rounded inside" else kind
    images = keras.Input((8, 8, 3), dtype=dtype)
    x = keras.ops.cast(keras.ops.cast(images, "int32"), "float32") if kind == "rounded inside" else images
    x = L.Conv2D(4, 3, activation="relu")(L.Rescaling(1 / 255)(x))
    model = Classifier.from_network(keras.Model(images, L.Dense(3, activation="softmax")(L.GlobalMaxPooling2D()(x))))
    values = np.random.default_rng(0).integers(0, 255, (2, 8, 8, 3)).astype(np.float32)
    with pytest.raises(CannotExplain, match=r"no gradient reaches the model's input; use .* occlusion"):
        PROPAGATIONS[method](model, values)
