"""What class activation maps share: the layer, its activations and gradients, maps enlarged to the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fruitaudit.attribution.base import Layer, LayerGradients, Model
from fruitaudit.attribution.convolutions import convolutions, spread
from fruitaudit.errors import CannotExplain
from fruitaudit.records.data import FloatArray, Images, IntArray
from fruitaudit.records.explanations import Maps, Targets

Combine = Callable[[LayerGradients], FloatArray]
"""(N, h, w, K) activations and gradients of the logit -> (N, h, w)."""


def layer_for(model: Model, layer: str | None, title: str) -> str:
    """The layer that was named, else the last one with a spatial activation. Raises CannotExplain without one."""
    path = layer or model.cam_layer
    if path is None:
        raise CannotExplain(
            f"{title} needs a layer with a spatial activation, and none is found in this model; use occlusion instead"
        )
    return path


def gradient_maps(
    model: Model, images: Images, targets: Targets, title: str, combine: Combine, layer: str | None, depths: int = 0
) -> Maps:
    """The maps of one layer; with `depths`, as parts those of so many layers up to it, all from one pass.

    A part is multiplied by (its places / places of the layer itself): the same evidence spread over more places is
    weaker at each one, and parts are drawn on one scale.
    """
    path = layer_for(model, layer, title)
    if not depths:
        maps = combine(_spatial(model.layer_gradients(images.values, targets.classes, path), path))
        return enlarged(maps, images, path)
    paths = _up_to(model, path, depths)
    found = [combine(_spatial(inside, p)) for p, inside in zip(paths, _gradients(model, images, targets, paths),
                                                               strict=True)]  # fmt: skip
    main = enlarged(found[-1], images, path)
    parts = {
        p: enlarged(maps * np.float32(maps[0].size / found[-1][0].size), images, p).values
        for p, maps in zip(paths, found, strict=True)
    }
    return Maps(main.values, notes=(*main.notes, f"depths {', '.join(paths)}"), parts=parts)


def enlarged(maps: FloatArray, images: Images, path: str) -> Maps:
    """(N, h, w) -> (N, H, W), bilinearly, with a note on the layer."""
    import cv2

    height, width = images.values.shape[1:3]
    large = [cv2.resize(m, (width, height), interpolation=cv2.INTER_LINEAR) for m in maps.astype(np.float32)]
    return Maps(np.stack(large).astype(np.float32), notes=(f"layer {path}, {maps.shape[1]} x {maps.shape[2]}",))


def activations(model: Model, values: FloatArray, path: str) -> FloatArray:
    """(N, h, w, K) what a layer answers. Raises CannotExplain where it has no places."""
    shape = layer_at(model, path).shape
    if len(shape) != 3:
        raise CannotExplain(_flat(path))
    return model.features(values, path).reshape(len(values), *(side or -1 for side in shape))


def layer_at(model: Model, path: str) -> Layer:
    """The layer of this path, or the only one of this name. Raises CannotExplain for any other."""
    found = [one for one in model.layers if one.path == path]
    found = found or [one for one in model.layers if one.path.rsplit("/", 1)[-1] == path]
    if len(found) != 1:
        raise CannotExplain(f"the model has no layer {path}; its last ones are "
                            + ", ".join(one.path for one in list(model.layers)[-6:]))  # fmt: skip
    return found[0]


def _spatial(inside: LayerGradients, path: str) -> LayerGradients:
    if inside.activations.ndim != 4:
        raise CannotExplain(_flat(path))
    return inside


def _flat(path: str) -> str:
    return f"the answer of layer {path} has no places; name a convolution or its activation, or use occlusion instead"


def _up_to(model: Model, path: str, depths: int) -> list[str]:
    """At most so many layers, evenly spread from the first convolution's activation to `path`, which is the last."""
    end = layer_at(model, path).path
    order = [one.path for one in model.layers]
    places = {one.path for one in model.layers if len(one.shape) == 3 and one.shape[:2] != (1, 1)}
    found = dict.fromkeys(c.after for c in convolutions(model) if c.after in places)
    before = [p for p in found if order.index(p) < order.index(end)]
    return [[*before, end][i] for i in spread(len(before) + 1, depths)]


def _gradients(model: Model, images: Images, targets: Targets, paths: Sequence[str]) -> list[LayerGradients]:
    """Activations and gradients of several layers, of one pass."""
    from fruitaudit.models.backend import tf

    def run(values: Any, classes: Any) -> Any:
        called = model.in_graph(values)
        tensors = [called.layer(path) for path in paths]
        scores = tf.gather(called.logits, classes, batch_dims=1)
        gradients = tf.gradients(scores, tensors)
        for path, gradient in zip(paths, gradients, strict=True):
            if gradient is None:
                raise CannotExplain(f"the model's output does not depend on layer {path} by any gradient")
        return [tf.cast(t, tf.float32) for t in (*tensors, *gradients)], scores

    function = tf.function(run, autograph=False, reduce_retracing=True)
    parts: list[Any] = []
    for start in range(0, len(images), model.batch_size):
        rows = slice(start, start + model.batch_size)
        classes: IntArray = targets.classes[rows]
        inside, scores = function(tf.constant(images.values[rows]), tf.constant(classes))
        parts.append([t.numpy() for t in (*inside, scores)])
    model.passes.gradient += len(images)
    *inside, scores = (np.concatenate(p) for p in zip(*parts, strict=True))
    n = len(paths)
    return [LayerGradients(inside[i], inside[n + i], scores) for i in range(n)]
