"""What a layer of Keras makes of a shape, and how many weights it has, by its config alone.

Only what can be said without Keras: a layer that is not here has an unknown output. Weights are those that building
allocates, or fewer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fruitaudit.models.keras.declared import Dimension, Options, Rule, Senseless, Shape, Size, product
from fruitaudit.models.keras.spatial_sizes import spatial_rule_of


def same(options: Options, inputs: Sequence[Shape]) -> Size:
    """The output is as large as the input."""
    return Size(inputs[0])


def dense(options: Options, inputs: Sequence[Shape]) -> Size:
    [*front, last], units = inputs[0], options.number("units")
    return Size((*front, units), product((last, units)) + options.bias(units))


def embedding(options: Options, inputs: Sequence[Shape]) -> Size:
    n, width = options.number("input_dim"), options.number("output_dim")
    return Size((*inputs[0], width) if inputs else None, product((n, width)))


def einsum_dense(options: Options, inputs: Sequence[Shape]) -> Size:
    match = re.fullmatch(r"(\w+),(\w+)->(\w+)", str(options.values.get("equation")).replace(" ", ""))
    declared = options.values.get("output_shape")
    n = len(declared) if isinstance(declared, list) else 1
    inner = _output_shape(options, n)
    if match is None:
        return Size(None, product(inner))
    sizes: dict[str, Dimension] = dict(zip(match[1], inputs[0], strict=False))
    sizes |= dict(zip(match[3][-n:], inner, strict=False))
    output = tuple(sizes.get(letter) for letter in match[3])
    return Size(output, product(sizes.get(letter) for letter in match[2]))


def _output_shape(options: Options, n: int) -> list[int]:
    declared = options.values.get("output_shape")
    items = declared if isinstance(declared, list) else [declared]
    return [Options({"output_shape": item}).number("output_shape") for item in items[:n]]


def flatten(options: Options, inputs: Sequence[Shape]) -> Size:
    batch, *rest = inputs[0]
    return Size((batch, None if None in rest else product(rest)))


def reshape(options: Options, inputs: Sequence[Shape]) -> Size:
    wanted = options.values.get("target_shape")
    items = wanted.get("items") if isinstance(wanted, dict) else wanted
    if not isinstance(items, list):
        raise Senseless("has no target_shape, where a list of whole numbers belongs")
    sizes = [n if n == -1 else Options({"target_shape": n}).number("target_shape") for n in items]
    batch, *rest = inputs[0]
    known = max(product(n for n in sizes if n != -1), 1)
    open_axis = None if None in rest else product(rest) // known
    return Size((batch, *(open_axis if n == -1 else n for n in sizes)))


def permute(options: Options, inputs: Sequence[Shape]) -> Size:
    axes = options.numbers("dims", len(inputs[0]) - 1, least=1)
    return Size((inputs[0][0], *(inputs[0][axis] for axis in axes)))


def repeat_vector(options: Options, inputs: Sequence[Shape]) -> Size:
    return Size((inputs[0][0], options.number("n"), *inputs[0][1:]))


def merge(options: Options, inputs: Sequence[Shape]) -> Size:
    """Elementwise, with axes of 1 stretched."""
    rank = max(map(len, inputs))
    padded = [(1,) * (rank - len(shape)) + shape for shape in inputs]
    return Size(tuple(None if None in axis else max(axis) for axis in zip(*padded, strict=True)))


def concatenate(options: Options, inputs: Sequence[Shape]) -> Size:
    value = options.values.get("axis", -1)
    axis = value if isinstance(value, int) else -1
    sizes = [shape[axis] for shape in inputs]
    output = list(inputs[0])
    output[axis] = None if None in sizes else sum(n or 0 for n in sizes)
    return Size(tuple(output))


def one_hot(options: Options, inputs: Sequence[Shape]) -> Size:
    return Size((*inputs[0][:-1], options.number("num_tokens")))


def channel_weights(options: Options, inputs: Sequence[Shape]) -> Size:
    """Normalization: at least one weight for every number along its axes."""
    value = options.values.get("axis", -1)
    axes = value if isinstance(value, list) else [value]
    return Size(inputs[0], product(inputs[0][axis] for axis in axes if isinstance(axis, int)))


def parametric(options: Options, inputs: Sequence[Shape]) -> Size:
    """PReLU: a weight for every number, but for the axes that share one."""
    shared = options.values.get("shared_axes")
    axes = shared if isinstance(shared, list) else []
    return Size(inputs[0], product(n for axis, n in enumerate(inputs[0]) if axis and axis not in axes))


def multi_head(options: Options, inputs: Sequence[Shape]) -> Size:
    """Three projections into the heads and one out of them, and the scores of every token with every other."""
    heads = options.number("num_heads", options.number("num_query_heads"))
    width = product((heads, options.number("key_dim", options.number("head_dim"))))
    query, value = inputs[0], inputs[min(1, len(inputs) - 1)]
    weights = 2 * product((query[-1], width))
    return Size(query, weights, product((heads, *query[1:-1], *value[1:-1])))


def attention(options: Options, inputs: Sequence[Shape]) -> Size:
    query, value = inputs[0], inputs[1]
    return Size((*query[:-1], value[-1]), 0, product((query[-2], value[-2])))


def _recurrent(gates: int) -> Rule:
    def sized(options: Options, inputs: Sequence[Shape]) -> Size:
        batch, steps, width, units = *inputs[0], options.number("units")
        output = (batch, steps, units) if options.has("return_sequences", True) else (batch, units)
        return Size(output, gates * (product((width, units)) + product((units, units))))

    return sized


def recurrent_convolution(options: Options, inputs: Sequence[Shape]) -> Size:
    filters, n = options.number("filters"), len(inputs[0]) - 3
    weights = 4 * product((*options.numbers("kernel_size", n), (inputs[0][-1] or 1) + filters, filters))
    return Size(None, weights)


def spectrogram(options: Options, inputs: Sequence[Shape]) -> Size:
    """Waves, or bands, of every frequency."""
    frequencies = options.number("fft_length", 2048) // 2 + 1
    return Size(None, product((frequencies, options.number("num_mel_bins", 1))))


_LAYERS: dict[str, Rule] = {
    "Dense": dense, "Embedding": embedding, "EinsumDense": einsum_dense, "Flatten": flatten, "Reshape": reshape,
    "Permute": permute, "RepeatVector": repeat_vector, "Concatenate": concatenate, "CategoryEncoding": one_hot,
    "PReLU": parametric, "MultiHeadAttention": multi_head, "GroupedQueryAttention": multi_head,
    "GroupQueryAttention": multi_head, "Attention": attention, "AdditiveAttention": attention,
    "MelSpectrogram": spectrogram, "STFTSpectrogram": spectrogram,
    "LSTMCell": _recurrent(4), "GRUCell": _recurrent(3), "SimpleRNNCell": _recurrent(1),
    "LSTM": _recurrent(4), "GRU": _recurrent(3), "SimpleRNN": _recurrent(1),
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), merge),
    **dict.fromkeys(("BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization"),
                    channel_weights),
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), recurrent_convolution),
    **dict.fromkeys((
        "Activation", "ReLU", "LeakyReLU", "ELU", "ThresholdedReLU", "Softmax", "UnitNormalization", "Normalization",
        "Rescaling", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout",
        "GaussianDropout", "GaussianNoise", "ActivityRegularization", "Identity", "Masking", "RandomFlip",
        "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness",
    ), same),
}  # fmt: skip


_OPERATIONS: dict[str, Rule] = {
    "Concatenate": concatenate,
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum", "Minimum"), merge),
    **dict.fromkeys((
        "Relu", "Relu6", "Sigmoid", "HardSigmoid", "HardSwish", "Silu", "Gelu", "Elu", "Selu", "Tanh", "Softplus",
        "LeakyRelu", "Softmax", "Cast", "Abs", "Exp", "Sqrt", "Square", "Negative", "Clip",
    ), same),
}  # fmt: skip
"""Operations of `keras.ops`, some of which are named like a layer that does something else."""


def rule_of(kind: str, module: str = "") -> Rule | None:
    """The rule of a class of layers or operations; None where nothing is known of it."""
    if ".ops" in module:
        return _OPERATIONS.get(kind)
    return _LAYERS.get(kind) or spatial_rule_of(kind)
