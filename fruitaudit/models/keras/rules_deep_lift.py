"""DeepLIFT's rescale rule for every kind of operation: multipliers m with sum_i m_i (x_i - r_i) = f(x) - f(r), exactly.

A step's `op` and `partner` belong to two traces, one of images and one of references; which of them is which matters
to maxima alone, because every other rule is symmetric. One of the two holds a single image, the partner's, which
broadcasts.

- Linear operations: their transpose. Products, squares: their gradient at the midpoint, which is exact for them.
- Functions of one number: (f(x) - f(r)) / (x - r). Maxima: `rules_maxima`.
- Softmax, log-softmax, quotients: made of the above.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fruitaudit.errors import CannotExplain
from fruitaudit.models.keras import backward, rules_maxima
from fruitaudit.models.keras.backend import tf
from fruitaudit.models.keras.backward import BackwardRules, Signals, TracedOperation, transposed

if TYPE_CHECKING:
    from fruitaudit.models.keras.classifier import Classifier

_NEAR = 1e-4
"""Below this relative difference a slope is taken as the derivative: float32 leaves too few digits to divide."""
_N = 7
"""A number of images that no axis of a network has by chance."""
_LARGE = 1 << 16
"""Values per image from which an operation is bound by memory bandwidth."""


def require_batch_axis(model: Classifier) -> None:
    """Raises CannotExplain where an operation moves images from the first axis, on which references are laid."""

    def run(images: Any) -> Any:
        scores = model.in_graph(images).logits
        for step in filter(_compares, backward.steps_between(images, scores)):
            if any(t.shape.rank == 0 or t.shape[0] not in (None, _N) for t in step.inputs):
                raise CannotExplain(
                    f"{step.op.type} in this model moves images from the first axis, so that they cannot be compared "
                    "with references; use integrated_gradients instead"
                )
        return scores

    tf.function(run, autograph=False).get_concrete_function(tf.TensorSpec((_N, *model.input_shape), tf.float32))


def _compares(step: TracedOperation) -> bool:
    """Whether the rule looks at both traces, or only at this one: the rule of linear operations."""
    rule = RULES.get(step.op.type)
    return rule not in (backward.gradient, backward.identity_rule, _product) or (
        rule is _product and len(step.needed) > 1
    )


def _midpoint(step: TracedOperation, signals: Signals) -> Signals:
    """The gradient halfway, exact for whatever is at most quadratic."""
    inputs = list(step.op.inputs)
    for i in step.needed:
        inputs[i] = (inputs[i] + step.partner.inputs[i]) / 2
    return transposed(step.op, inputs, signals, step.needed)


def _product(step: TracedOperation, signals: Signals) -> Signals:
    return (backward.gradient if len(step.needed) == 1 else _midpoint)(step, signals)


def _piecewise(step: TracedOperation, signals: Signals) -> Signals:
    """`_rescale` of ReLUs, whose slope is exact in float32 however near the two are; nothing where they are equal."""
    [signal], [x], [r] = signals, step.op.inputs, step.partner.inputs
    return [_by_slope(step.op.type, signal, x, r)]


def _by_slope(kind: str, signal: Any, x: Any, r: Any) -> Any:
    """m (f(x) - f(r)) / (x - r), f computed again: a loop would have to keep the outputs for it."""
    relu = {"Relu": tf.nn.relu, "Relu6": tf.nn.relu6}[kind]
    return signal * tf.math.divide_no_nan(relu(x) - relu(r), x - r)


_by_slope_fused = tf.function(_by_slope, autograph=False, jit_compile=True)


def _piecewise_fused(step: TracedOperation, signals: Signals) -> Signals:
    """The same numbers in one sweep through memory, where they are many."""
    [signal], [x], [r] = signals, step.op.inputs, step.partner.inputs
    if (x.shape[1:].num_elements() or 0) < _LARGE or tf.config.list_physical_devices("GPU"):
        return _piecewise(step, signals)
    return [_by_slope_fused(step.op.type, signal, x, r)]


def _rescale(step: TracedOperation, signals: Signals) -> Signals:
    """m (f(x) - f(r)) / (x - r), with a constant for every other input of the operation."""
    [signal], [i] = signals, step.needed
    x, r, y, q = step.op.inputs[i], step.partner.inputs[i], step.op.outputs[0], step.partner.outputs[0]
    near = abs(x - r) <= _NEAR * tf.maximum(abs(x), abs(r))
    inputs = list(step.op.inputs)
    inputs[i] = (x + r) / 2
    [derivative] = transposed(step.op, inputs, [tf.ones_like(signal)], step.needed)
    return [signal * tf.where(near, derivative, (y - q) / tf.where(near, tf.ones_like(x - r), x - r))]


def _one_input(rule: backward.Rule, step: TracedOperation, signals: Signals) -> Signals:
    if len(step.needed) != 1:
        raise CannotExplain(f"DeepLIFT has no rule for {step.op.type} of two values in this model; use "
                            "integrated_gradients instead")  # fmt: skip
    return rule(step, signals)


def _quotient(step: TracedOperation, signals: Signals) -> Signals:
    """a / b as a times 1 / b."""
    if step.needed == (0,):
        return backward.gradient(step, signals)
    [signal] = signals
    (a, b), (a_r, b_r) = step.op.inputs, step.partner.inputs
    multipliers = {
        0: _summed_to(signal * (1 / b + 1 / b_r) / 2, a),
        1: _summed_to(-signal * (a + a_r) / 2 / (b * b_r), b),
    }
    return [multipliers[i] for i in step.needed]


def _summed_to(values: Any, like: Any) -> Any:
    """The sum over the axes along which `like` was broadcast."""
    axes = tf.raw_ops.BroadcastGradientArgs(s0=tf.shape(like), s1=tf.shape(values))[0]
    return tf.reshape(tf.reduce_sum(values, axes), tf.shape(like))


def _softmax(step: TracedOperation, signals: Signals) -> Signals:
    """e_k / sum e, e = exp(z): each e_k by its share, and through the sum."""
    [signal], e, e_r, slope = signals, *_exponentials(step)
    total, total_r = (tf.reduce_sum(v, -1, keepdims=True) for v in (e, e_r))
    through_sum = -tf.reduce_sum(signal * (e + e_r) / 2, -1, keepdims=True) / (total * total_r)
    return [(signal * (1 / total + 1 / total_r) / 2 + through_sum) * slope]


def _log_softmax(step: TracedOperation, signals: Signals) -> Signals:
    """z_k - log(sum e), e = exp(z)."""
    [signal], e, e_r, slope = signals, *_exponentials(step)
    total, total_r = (tf.reduce_sum(v, -1, keepdims=True) for v in (e, e_r))
    log_slope = _log_mean_inverse(total, total_r)
    return [signal - tf.reduce_sum(signal, -1, keepdims=True) * log_slope * slope]


def _exponentials(step: TracedOperation) -> tuple[Any, Any, Any]:
    """exp(z) of both traces and (exp(z) - exp(z_r)) / (z - z_r), each row divided by one number."""
    [z], [z_r] = step.op.inputs, step.partner.inputs
    z, z_r = z + tf.zeros_like(z_r), z_r + tf.zeros_like(z)
    top = tf.reduce_max(tf.maximum(z, z_r), -1, keepdims=True)
    e, e_r = tf.exp(z - top), tf.exp(z_r - top)
    half = (z - z_r) / 2
    # exp((z + z_r) / 2) sinh(half) / half, which is even and smooth where the two meet.
    near = abs(half) < 1e-2
    ratio = tf.where(near, 1 + half**2 / 6, (e - e_r) / tf.where(near, tf.ones_like(half), 2 * half))
    return e, e_r, tf.where(near, tf.exp((z + z_r) / 2 - top) * ratio, ratio)


def _log_mean_inverse(a: Any, b: Any) -> Any:
    """(log a - log b) / (a - b), 2 / (a + b) where the two meet."""
    near = abs(a - b) <= _NEAR * tf.maximum(a, b)
    return tf.where(near, 2 / (a + b), (tf.math.log(a) - tf.math.log(b)) / tf.where(near, tf.ones_like(a), a - b))


def _alone(rule: backward.Rule) -> backward.Rule:
    return lambda step, signals: _one_input(rule, step, signals)


RULES: BackwardRules = {
    **backward.UNCHANGED,
    **backward.TRANSPARENT,
    **dict.fromkeys((*backward.MOVES, *backward.SUMS), backward.gradient),
    **dict.fromkeys((*backward.WEIGHTED, *backward.PRODUCTS), _product),
    **dict.fromkeys(("Square", "SquaredDifference"), _midpoint),
    **dict.fromkeys(backward.OF_ONE_NUMBER, _alone(_rescale)),
    **dict.fromkeys(rules_maxima.MAXIMA, _alone(rules_maxima.maximum)),
    **dict.fromkeys(("Relu", "Relu6"), _piecewise),
    "RealDiv": _quotient,
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
}
FUSED_RULES: BackwardRules = {**RULES, **dict.fromkeys(("Relu", "Relu6"), _piecewise_fused)}
"""The same with ReLUs that XLA compiles for each shape, which takes as long as it saves in about a hundred passes."""


def against_one(model: Classifier, images: Any, weights: Any, baseline: Any) -> tuple[Any, Any]:
    """In a graph: (maps (N, H, W), differences of the weighted logits (N,)) of images against one baseline."""
    of_images, of_baseline = model.in_graph(images), model.in_graph(baseline)
    one = baseline, of_baseline.logits
    multipliers = _multipliers_of(model, (images, of_images.logits), one, weights, colour=baseline)
    difference = tf.reduce_sum((of_images.logits - of_baseline.logits) * weights, axis=1)
    return tf.reduce_sum(multipliers * (images - baseline), axis=-1), difference


def _multipliers_of(
    model: Classifier,
    many: tuple[Any, Any],
    one: tuple[Any, Any],
    seed: Any,
    *,
    fused: bool = False,
    colour: Any = None,
) -> Any:
    """In a graph: multipliers at the images of `many`, (images, logits) each; the other trace holds a single image.

    `fused`: with rules that take long to compile and less time in each pass. `colour`: this single image,
    where it is the reference and of one colour; left out, those of `many` are the references.
    """
    steps = backward.steps_between(*many, one)
    backward.require_rules(steps, RULES, "DeepLIFT", "integrated_gradients")
    require_batch_axis(model)
    return backward.walk_back(
        rules_maxima.with_maxima(steps, colour), many[1], seed, many[0], FUSED_RULES if fused else RULES
    )


def against_many(model: Classifier, images: Any, seeds: Any, references: Any, *, fused: bool) -> tuple[Any, Any]:
    """In a graph: sums over the references, which run forward once for all images."""
    of_references = model.in_graph(references)

    def image_sums(image_and_seed: tuple[Any, Any]) -> tuple[Any, Any]:
        # Known to be one, Keras would trace other operations for it than for the references.
        image = tf.compat.v1.placeholder_with_default(image_and_seed[0][None], (None, *model.input_shape))
        seed = image_and_seed[1][None]
        logits = model.in_graph(image).logits
        repeated_seed = tf.repeat(seed, tf.shape(references)[0], axis=0)
        multipliers = _multipliers_of(
            model, (references, of_references.logits), (image, logits), repeated_seed, fused=fused
        )
        maps = tf.reduce_sum(multipliers * (image - references), axis=(0, 3))
        return maps, tf.reduce_sum((logits - of_references.logits) * seed)

    result = (tf.TensorSpec(model.input_shape[:2], tf.float32), tf.TensorSpec((), tf.float32))
    # One after the other: the activations of one image against all references already fill a batch.
    return tf.map_fn(image_sums, (images, seeds), parallel_iterations=1, fn_output_signature=result)
