"""What class activation maps share: the layer, its activations and gradients, maps enlarged to the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fruitaudit.attribution.base import LayerGradients, Model
from fruitaudit.attribution.convolutions import convolutions, spread
from fruitaudit.attribution.sharing import computed_once
from fruitaudit.errors import CannotExplain, NoGradient
from fruitaudit.models.layers import layer_at
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Maps, Targets

Combine = Callable[[LayerGradients], FloatArray]
"""(N, h, w, K) activations and gradients of the logit -> (N, h, w)."""
Gradients = Callable[[slice], list[LayerGradients]]
"""For a batch of images, one record per layer."""


def layer_for(model: Model, layer: str | None, title: str) -> str:
    """The layer that was named, else the last one with a spatial activation. Raises CannotExplain without one."""
    path = layer or model.cam_layer
    if path is None:
        raise CannotExplain(f"{title} needs a layer with a spatial activation, and {_why_none(model)}")
    return path


def another_layer(model: Model, layer: str | None) -> str | None:
    """A layer with a spatial activation that would do as well: the default, where another was named.

    Else the last one before the convolution that leads to the default, and None where the network has no such layer.
    """
    default = model.cam_layer
    layers = model.layers if "activations" in model.offers else ()
    if layers and layer is not None and default is not None and layer_at(layers, layer).path != default:
        return default
    spatial = [one for one in layers if len(one.shape) == 3 and one.shape[:2] != (1, 1)]
    order = [one.path for one in spatial]
    upto = spatial[: order.index(default) + 1] if default in order else []
    convolutional = [i for i, one in enumerate(upto) if one.role == "convolution"]
    return upto[convolutional[-1] - 1].path if len(convolutional) > 1 else None


def _why_none(model: Model) -> str:
    if model.hidden_layers:
        return model.hidden_layers
    if any(one.role == "convolution" and len(one.shape) == 3 and one.shape[:2] != (1, 1) for one in model.layers):
        return "after the last one of this model come tokens, as in a vision transformer; use occlusion instead"
    return "none is found in this model; use occlusion instead"


def gradient_maps(
    model: Model, images: Images, targets: Targets, title: str, combine: Combine, layer: str | None, depths: int = 0
) -> Maps:
    """The maps of one layer; with `depths`, as parts those of so many layers up to it, all from one pass.

    A part is multiplied by (its places / places of the layer itself): the same evidence spread over more places is
    weaker at each one, and parts are drawn on one scale.
    """
    path = layer_for(model, layer, title)
    paths = _up_to(model, path, depths) if depths else [path]
    gradients = (_gradients_at_several if depths else _gradients_at_one)(model, images, targets, paths)
    batches = list[list[FloatArray]]()
    # Batch by batch: the activations of early layers are many times as large as the images.
    for start in range(0, len(images), model.batch_size):
        inside = gradients(slice(start, start + model.batch_size))
        batches.append([combine(_spatial(one, p)) for one, p in zip(inside, paths, strict=True)])
    layer_maps = [np.concatenate(maps) for maps in zip(*batches, strict=True)]
    main = enlarged(layer_maps[-1], images, path)
    if not depths:
        return main
    parts = {
        p: enlarged(maps * np.float32(maps[0].size / layer_maps[-1][0].size), images, p).values
        for p, maps in zip(paths, layer_maps, strict=True)
    }
    return Maps(main.values, notes=(*main.notes, f"depths {', '.join(paths)}"), parts=parts)


def enlarged(maps: FloatArray, images: Images, path: str) -> Maps:
    """(N, h, w) -> (N, H, W), bilinearly, with a note on the layer."""
    import cv2

    height, width = images.values.shape[1:3]
    large = [cv2.resize(m, (width, height), interpolation=cv2.INTER_LINEAR) for m in maps.astype(np.float32)]
    return Maps(np.stack(large).astype(np.float32), notes=(f"layer {path}, {maps.shape[1]} x {maps.shape[2]}",))


def activations(model: Model, values: FloatArray, path: str) -> FloatArray:
    """(N, h, w, K) activations of a layer. Raises CannotExplain where it has no places."""
    shape = layer_at(model.layers, path, model.hidden_layers).shape
    if len(shape) != 3:
        raise CannotExplain(_no_places_message(path))
    return model.features(values, path).reshape(len(values), *(side or -1 for side in shape))


def _spatial(inside: LayerGradients, path: str) -> LayerGradients:
    if inside.activations.ndim != 4:
        raise CannotExplain(_no_places_message(path))
    return inside


def _no_places_message(path: str) -> str:
    return f"the answer of layer {path} has no places; name a convolution or its activation, or use occlusion instead"


def _up_to(model: Model, path: str, depths: int) -> list[str]:
    """At most so many layers, evenly spread from the first convolution's activation to `path`, which is the last."""
    end = layer_at(model.layers, path, model.hidden_layers).path
    order = [one.path for one in model.layers]
    places = {one.path for one in model.layers if len(one.shape) == 3 and one.shape[:2] != (1, 1)}
    spatial = dict.fromkeys(c.after for c in convolutions(model) if c.after in places)
    earlier = [p for p in spatial if order.index(p) < order.index(end)]
    return [[*earlier, end][i] for i in spread(len(earlier) + 1, depths)]


def _gradients_at_one(model: Model, images: Images, targets: Targets, paths: Sequence[str]) -> Gradients:
    [path] = paths

    def run(rows: slice) -> list[LayerGradients]:
        values, batch_targets = images.values[rows], targets.select(rows)

        def compute() -> LayerGradients:
            return model.layer_gradients(values, batch_targets.classes, path, against=batch_targets.against)

        return [computed_once(f"gradients at {path}", compute, model, images, targets, rows.start)]

    return run


def _gradients_at_several(model: Model, images: Images, targets: Targets, paths: Sequence[str]) -> Gradients:
    """Of all these layers from one pass."""

    def run(rows: slice) -> list[LayerGradients]:
        values, batch_targets = images.values[rows], targets.select(rows)
        try:
            return model.layer_gradients_at(values, batch_targets.classes, tuple(paths), against=batch_targets.against)
        except NoGradient as error:
            raise CannotExplain(f"{error.why}; leave out depths, or use occlusion instead") from error

    return run
