"""Do models that Keras 2 saved answer here as they did there?

    python benchmarks/keras2.py make FOLDER [--large]     where TensorFlow 2.13 to 2.15 is installed, without fruitaudit
    python benchmarks/keras2.py compare FOLDER...         where fruitaudit is installed; writes benchmarks/keras2.md

`make` saves every model of `keras2_models.py` as .keras and .h5, with pictures and the answers of `model.predict`.
Weights are random, statistics of BatchNormalization too; the last layer is scaled so that no answer is 0 or 1.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import sys
from pathlib import Path

import numpy as np

LIMITS = {"float32": 1e-5, "float16": 2e-3}
"""Largest difference of a probability, by the number type that the model computes with."""


def make(folder, large, only):
    sys.path.insert(0, str(Path(__file__).parent))
    import keras2_models
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    versions = {"tensorflow": tf.__version__, "keras": importlib.metadata.version("keras"),
                "python": platform.python_version()}  # fmt: skip
    (folder / "versions.json").write_text(json.dumps(versions))
    for seed, build in enumerate(keras2_models.LARGE if large else keras2_models.SMALL):
        if only and build.__name__ not in only:
            continue
        tf.keras.backend.clear_session()
        tf.keras.utils.set_random_seed(seed)
        model = build(tf, tf.keras, tf.keras.layers)
        rng = np.random.default_rng(seed)
        images = pictures(rng, (3, *model.input_shape[1:]))
        randomise(model, rng, images)
        half = any("16" in layer.compute_dtype for layer in model._flatten_layers())
        moderate(model, images)
        answers = model.predict(images.astype(model.inputs[0].dtype.as_numpy_dtype), verbose=0)
        answers = answers if isinstance(answers, list) else [answers]
        called = model(images.astype(model.inputs[0].dtype.as_numpy_dtype), training=False)
        called = called if isinstance(called, list) else [called]
        own = max(float(np.abs(a - b.numpy()).max()) for a, b in zip(answers, called, strict=True))
        saved = [suffix for suffix in ("keras", "h5") if save(model, folder / f"{build.__name__}.{suffix}")]
        np.savez_compressed(folder / f"{build.__name__}.npz", images=images, half=half, own=own,
                            **{f"answers_{i}": a.astype("float32") for i, a in enumerate(answers)})  # fmt: skip
        print(build.__name__, saved, f"{model.count_params():,} weights", np.ptp(answers[0], axis=0).max(), flush=True)


def pictures(rng, shape):
    """A gradient of colours, dark noise, and bright blocks."""
    images = rng.integers(0, 256, shape).astype("uint8")
    images[0] = np.linspace(0, 255, images[0].size).reshape(images[0].shape)
    images[1] //= 5
    images[2, : shape[1] // 2, :, 1:] = 250
    images[2, :, shape[2] // 3 :, :1] = 220
    return images


def save(model, path):
    """Keras 2 cannot write each of its models in each of its formats."""
    try:
        model.save(path)
    except (TypeError, ValueError, NotImplementedError) as error:
        path.unlink(missing_ok=True)
        print(path.name, "cannot be saved by Keras 2:", str(error).splitlines()[0][:100])
        return False
    return True


def randomise(model, rng, images):
    """Kernels stay as Keras drew them; statistics are those of the pictures, a little off, so that no signal dies."""
    import tensorflow as tf

    for weight, name in named_weights(model):
        if name in ("bias", "beta", "alpha"):
            weight.assign(rng.normal(0, 0.1, weight.shape))
        elif name == "gamma":
            weight.assign(rng.uniform(0.6, 1.1, weight.shape))
    normalizations = [layer for layer in model._flatten_layers() if "BatchNorm" in type(layer).__name__]
    settings = [(layer, layer.momentum, layer.trainable) for layer in normalizations]
    for layer in normalizations:
        layer.momentum, layer.trainable = 0.0, True
    more = rng.integers(0, 256, (5, *images.shape[1:]))
    values = np.concatenate([images, more]).astype(model.inputs[0].dtype.as_numpy_dtype)
    inside = [layer for layer in model.layers if isinstance(layer, tf.keras.Model)] if normalizations else []
    for layer in inside:
        before = tf.keras.Model(model.inputs, layer._inbound_nodes[-1].input_tensors)
        layer(before(values), training=True)
    if normalizations:
        model(values, training=True)
    for layer, momentum, trainable in settings:
        layer.momentum, layer.trainable = momentum, trainable
    for weight, name in named_weights(model):
        if name == "moving_variance":
            weight.assign(weight * rng.uniform(0.9, 1.2, weight.shape) + 0.01)
        elif name == "moving_mean":
            weight.assign(weight * rng.uniform(0.9, 1.1, weight.shape))


def named_weights(model):
    """Each with the last part of its name."""
    return [(weight, weight.name.split("/")[-1].split(":")[0]) for weight in model.weights]


def moderate(model, images):
    dense = [layer for layer in model.layers if type(layer).__name__ == "Dense"][-1]
    for _ in range(40):
        answers = model.predict(images.astype(model.inputs[0].dtype.as_numpy_dtype), verbose=0)
        answers = answers[-1] if isinstance(answers, list) else answers
        if answers.max() > 0.8:
            factor = 0.5
        elif np.ptp(answers, axis=0).max() < 0.1:
            factor = 2.0
        else:
            break
        dense.set_weights([weight * factor for weight in dense.get_weights()])


def compare(folders):
    from fruitaudit.errors import ModelError
    from fruitaudit.models.keras.backend import keras, tf
    from fruitaudit.models.keras.load import load_network

    rows = []
    for folder in folders:
        versions = json.loads((folder / "versions.json").read_text())
        for path in sorted(p for p in folder.iterdir() if p.suffix in (".keras", ".h5")):
            with np.load(path.with_suffix(".npz")) as stored:
                images, half = stored["images"], bool(stored["half"])
                wanted = [stored[name] for name in sorted(stored.files) if name.startswith("answers")]
                own = f"{float(stored['own']):.1e}" if "own" in stored.files else ""
            megabytes = f"{path.stat().st_size / 1e6:.2f}"
            try:
                network = load_network(path, allow_code=False).network
            except ModelError as error:
                sentence = str(error).removeprefix(f"{path}: ").split("; export")[0]
                rows.append((versions["tensorflow"], path.name, megabytes, "", "", "", "", f"refused: {sentence}"))
                print(*rows[-1], flush=True)
                continue
            got = network.predict(images.astype(network.inputs[0].dtype), verbose=0)
            got = got if isinstance(got, list) else [got]
            difference = max(float(np.abs(a - b).max()) for a, b in zip(got, wanted, strict=True))
            limit = LIMITS["float16" if half else "float32"]
            spread = max(float(np.ptp(a, axis=0).max()) for a in wanted)
            rows.append((versions["tensorflow"], path.name, megabytes, f"{spread:.3f}", f"{difference:.1e}", own,
                         f"{limit:.0e}", "equal" if difference <= limit else "DIFFERS"))  # fmt: skip
            print(*rows[-1], flush=True)
            keras.backend.clear_session()
    return rows, f"TensorFlow {tf.__version__}, Keras {keras.__version__}, Python {platform.python_version()}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=("make", "compare"))
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--only", nargs="+", metavar="MODEL")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    if arguments.action == "make":
        make(arguments.folders[0], arguments.large, arguments.only)
        return
    rows, versions = compare(arguments.folders)
    equal, refused = (sum(row[-1].startswith(word) for row in rows) for word in ("equal", "refused"))
    models = len({row[1].rsplit(".", 1)[0] for row in rows if row[-1] == "equal"})
    lines = [
        "# Files of Keras 2 beside the Keras that wrote them", "",
        f"Made by `python benchmarks/keras2.py`; read with {versions}. Of {len(rows)} files {equal}, of {models} "
        f"models, answer as they did in the TensorFlow that made them, within 1e-5 of a probability or 2e-3 in mixed "
        f"precision; {refused} are refused, {len(rows) - equal - refused} differ.", "",
        "`spread` is how much the answers differ between the pictures, `difference` the largest between both readers,",
        "`own` that between `predict` and a plain call in the TensorFlow that made the model.", "",
        "| TensorFlow | file | MB | spread | difference | own | limit | |",
        "|---|---|---:|---:|---:|---:|---:|---|",
        *("| " + " | ".join(row) + " |" for row in rows), "",
    ]  # fmt: skip
    arguments.out.write_text("\n".join(lines))
    print(f"{equal} of {len(rows)} are equal, {refused} refused")


if __name__ == "__main__":
    main()
