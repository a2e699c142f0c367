"""Whole audits of every kind of model with every method and provider: each map is right, or a sentence says why not.

References are computed from the files alone: Keras, OpenCV and an eager tape on the network of the zoo.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from zoo import KINDS, SORTS, TOP

METHODS = [
    "saliency",
    {"smoothgrad": {"samples": 2, "noise": 0.0}},
    "grad_cam_pp",
    {"integrated_gradients": {"steps": 50}},
    {"occlusion": {"patch": 8}},
    {"lime": {"samples": 30}},
    "saliency@tf-keras-vis",
    {"smoothgrad@tf-keras-vis": {"samples": 2}},
    "grad_cam_pp@tf-keras-vis",
    "saliency@tf-explain",
    {"integrated_gradients@tf-explain": {"steps": 3}},
    {"occlusion@tf-explain": {"patch": 16}},
]
FORMATS = {"keras2_style_h5": "model.h5", "saved_model": "model"}
"""The "sequential" once more, in other formats. A subclassed model can only be opened as a SavedModel."""
IMAGES = 4
HIDDEN = {"saved_model", "subclassed"}
ONE_UNIT = {"sigmoid", "one_logit"}
CAM_LAYER = {
    "added": "conv_2",
    "resnet": "block2_out",
    "nested_functional": "mobilenet/block_13_expand_relu",
}
NESTED = {"nested_functional"}
SLOW = {"smoothgrad@tf-keras-vis", "integrated_gradients@tf-explain"}
"""Left out for the nested models: they trace or call a large model layer by layer, many times."""


@dataclass(frozen=True)
class Audited:
    kind: str
    folder: Path
    rows: dict[str, Any]
    findings: set[str]
    network: Any
    after: list[np.ndarray]
    """The weights of the network that was audited, afterwards."""
    paths: list[Path]

    @property
    def values(self) -> np.ndarray:
        pixels = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in self.paths]
        coloured = [p[..., None] if p.ndim == 2 else p[..., ::-1] for p in pixels]
        return np.stack(coloured).astype(np.float32) / (255 / TOP.get(self.network.name, 1.0))

    def maps(self, method: str) -> np.ndarray:
        with np.load(self.folder / self.rows[method].file) as stored:
            assert list(stored["sample_ids"]) == [f"photos/{p.parent.name}/{p.name}" for p in self.paths]
            return stored["maps"]


def write_photos(folder: Path, network: Any) -> tuple[list[Path], int]:
    """Noise in blocks, in folders named by what the network calls it; the images of the class called most."""
    height, width, channels = network.input_shape[1:] if network.name != "subclassed" else (32, 32, 3)
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 256, (IMAGES, height // 4, width // 4, channels), dtype=np.uint8)
    pixels = pixels.repeat(4, axis=1).repeat(4, axis=2)
    answers = np.asarray(network(pixels.astype(np.float32) / (255 / TOP.get(network.name, 1.0)), training=False))
    called = (answers[:, 0] > (0.5 if network.layers[-1].activation.__name__ == "sigmoid" else 0)).astype(int) \
        if answers.shape[1] == 1 else answers.argmax(axis=1)  # fmt: skip
    paths = []
    for i, k in enumerate(called):
        paths.append(folder / f"class_{k}" / f"{i}.png")
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(paths[-1]), pixels[i][..., ::-1] if channels == 3 else pixels[i][..., 0])
    most = int(np.bincount(called).argmax())
    return [path for path, k in zip(paths, called, strict=True) if k == most], most


@pytest.fixture(
    scope="module",
    # The others, of which `attribution/test_matrix` asks every method, are marked slow. To the door
    # "nested_sequential" is what "nested_functional" is: see `models/test_classifier`.
    params=[
        pytest.param(kind, marks=() if kind in SORTS or kind == "saved_model" else pytest.mark.slow)
        for kind in (*(kind for kind in KINDS if kind != "nested_sequential"), *FORMATS)
    ],
)
def audited(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    import fruitaudit.audit.opening
    from fruitaudit.commands.progress import Quiet
    from fruitaudit.config.schema import Config
    from fruitaudit.pipeline import audit

    kind, folder = request.param, tmp_path_factory.mktemp(request.param)
    network = KINDS.get(kind, KINDS["sequential"])()
    path = folder / FORMATS.get(kind, "model" if kind in HIDDEN else "model.keras")
    if path.suffix:
        network.save(path)
    else:
        network.export(path, verbose=False)
    paths, called = write_photos(folder / "photos", network)
    n_classes = 2 if kind in ONE_UNIT else 5
    config = Config.model_validate(
        {
            "model": {
                "path": path,
                "allow_code": not path.suffix,
                "classes": [f"class_{k}" for k in range(n_classes)],
                "preprocessing": {
                    "resize": "stretch",
                    "interpolation": "area",
                    "scale": "0-255" if kind in TOP else "0-1",
                },
            },
            "splits": [{"name": "photos", "path": folder / "photos", "role": "field"}],
            "groups": [{"name": "group", "split": "photos", "kind": "true_positive", "class": f"class_{called}"}],
            "methods": methods_for(kind),
            "trust": "off",
            "diagnosis": "off",
            "out": folder / "audit",
        }
    )
    opened: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        whole = fruitaudit.audit.opening.open_model
        patch.setattr(
            fruitaudit.audit.opening, "open_model", lambda *a, **k: opened.append(whole(*a, **k)) or opened[0]
        )
        results, _ = audit(config, Quiet(), "")
    rows = {row.method: row for row in results.explanations}
    after = [np.asarray(w) for w in opened[0].network.weights]
    return Audited(kind, folder / "audit", rows, {f.slug for f in results.findings}, network, after, paths)


def methods_for(kind: str) -> list[Any]:
    names = [m if isinstance(m, str) else next(iter(m)) for m in METHODS]
    return [m for m, name in zip(METHODS, names, strict=True) if not (kind in NESTED and name in SLOW)]


def logit_of(audited: Audited) -> Callable[[Any], Any]:
    """values -> the logit (N,) of the class called, by taking the last activation away; the network is changed."""
    from fruitaudit.models.keras.backend import keras, tf

    network, called = audited.network, int(audited.paths[0].parent.name.removeprefix("class_"))
    layers = network.layers
    if isinstance(layers[-1], (keras.layers.Softmax, keras.layers.Activation)):
        layers = layers[:-1]
    elif audited.kind != "log_softmax":  # there the outputs are the logits
        layers[-1].activation = keras.activations.linear
        layers = None

    def run(values: Any) -> Any:
        out = values
        for layer in layers or [network]:
            out = layer(out, training=False) if layer is network or layer.name == "dropout" else layer(out)
        out = tf.cast(out, tf.float32)
        return out[:, 0] * (called - 0.5) if out.shape[1] == 1 else out[:, called]

    return run


def test_every_map_is_the_one_asked_for(audited: Audited) -> None:
    from fruitaudit.models.keras.backend import tf

    values, run = audited.values, logit_of(audited)
    rough = 2e-2 if audited.kind == "mixed_float16" else 1e-4
    with tf.GradientTape() as tape:
        x = tf.constant(values)
        tape.watch(x)
        score = run(x)
    expected = np.abs(tape.gradient(score, x).numpy()).max(axis=-1)
    for method in ("saliency", "smoothgrad"):
        assert audited.rows[method].model_passes == len(values) * (2 if method == "smoothgrad" else 1)
        np.testing.assert_allclose(audited.maps(method), expected, atol=rough * expected.max(), err_msg=method)

    row = audited.rows["integrated_gradients"]
    difference = (score - run(tf.zeros_like(x))).numpy()
    missed = abs(audited.maps(row.method).sum(axis=(1, 2)) - difference)
    np.testing.assert_allclose(row.diagnostics["score_difference"], difference, rtol=rough, atol=rough)
    reported = np.array(row.diagnostics["completeness_error"])
    np.testing.assert_allclose(reported * abs(difference), missed, rtol=rough, atol=rough * (1 + abs(difference).max()))
    assert ("incomplete-attribution" in audited.findings) == (reported > 0.05).any()


def test_occlusion_of_the_first_window_is_the_drop_of_probability(audited: Audited) -> None:
    """Only one window covers the corner."""
    from fruitaudit.models.keras.classifier import Classifier

    model = Classifier.from_network(KINDS.get(audited.kind, KINDS["sequential"])())
    hidden = audited.values
    hidden[:, :8, :8] = TOP.get(audited.network.name, 1.0) / 2
    called = int(audited.paths[0].parent.name.removeprefix("class_"))
    drop = model.probabilities(audited.values)[:, called] - model.probabilities(hidden)[:, called]
    atol = 1e-3 if audited.kind == "mixed_float16" else 1e-6
    np.testing.assert_allclose(audited.maps("occlusion")[:, 0, 0], drop, rtol=1e-4, atol=atol)


def test_every_method_has_maps_or_a_sentence(audited: Audited) -> None:
    assert len(audited.rows) == len(methods_for(audited.kind))
    for method, row in audited.rows.items():
        if row.state == "not_run":
            assert row.reason.reason == expected_reason(audited, method), method
            continue
        assert expected_reason(audited, method) is None, method
        maps = audited.maps(method)
        assert maps.shape == audited.values.shape[:3]
        assert np.isfinite(maps).all()
        assert row.signed or maps.min() >= 0
        assert row.scale == pytest.approx(abs(maps).max())
        assert row.empty == tuple(i for i, m in zip(row.sample_ids, maps, strict=True) if not m.any())
        assert set(row.target_classes) == {audited.paths[0].parent.name}
    if audited.rows["saliency@tf-keras-vis"].state == "done":
        r = np.corrcoef(audited.maps("saliency").ravel(), audited.maps("saliency@tf-keras-vis").ravel())[0, 1]
        assert r > 0.999


def test_the_layer_of_class_activation_maps_is_told(audited: Audited) -> None:
    row = audited.rows["grad_cam_pp"]
    if row.state == "done":
        assert row.notes[0].startswith(f"layer {CAM_LAYER.get(audited.kind, 'conv_2')}, ")


def test_no_weight_is_changed(audited: Audited) -> None:
    network = KINDS.get(audited.kind, KINDS["sequential"])()
    assert audited.kind in HIDDEN or len(audited.after) == len(network.weights)
    if audited.kind not in HIDDEN:
        for weight, after in zip(network.weights, audited.after, strict=True):
            np.testing.assert_array_equal(np.asarray(weight), after, err_msg=weight.path)


def expected_reason(audited: Audited, method: str) -> str | None:
    """Why a method does not apply to this kind; None where it must."""
    kind, (name, _, library) = audited.kind, method.partition("@")
    if library and kind in ONE_UNIT:
        return "this library explains models with one output per class only; use the native method instead"
    if name == "grad_cam_pp" and kind in HIDDEN | {"vit", "mlp"}:
        why = "none is found in this model; "
        if kind in HIDDEN:
            why = "a SavedModel hides its layers; take a .keras or .h5 file of the same model, or "
        elif kind == "vit":
            why = "after the last one of this model come tokens, as in a vision transformer; "
        return f"Grad-CAM++ needs a layer with a spatial activation, and {why}use occlusion instead"
    if library and name != "occlusion" and kind in HIDDEN:
        return "this library cannot look into a SavedModel; use the native method instead"
    if method == "grad_cam_pp@tf-keras-vis" and kind in NESTED:
        return f"tf-keras-vis does not reach layer {CAM_LAYER[kind]}, which lies inside a nested model"
    if method == "occlusion@tf-explain" and kind == "non_square":
        return "tf-explain swaps height and width, which are 24 and 40 pixels here; use the native method instead"
    if method == "occlusion@tf-explain" and kind in {"logits", "log_softmax"}:
        return (
            "tf-explain takes the model's output from 1, and this model's outputs are no probabilities; use the native "
            "method instead"
        )
    return None
