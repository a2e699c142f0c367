"""Runs alibi's CEM in an interpreter that has alibi: `python -I alibi_child.py FOLDER`. Imports nothing of fruitaudit.

alibi's CEM builds TensorFlow 1 graphs and cannot live beside Keras 3. The folder holds `job.json` (options and names of
the graphs' ends), `arrays.npz` (images, no_information, one_hot), `model.pb` and perhaps `autoencoder.pb`, frozen
graphs; afterwards also `found.npz` with found (2, N) and change (2, N, H, W, C), PN first. All colours are 0..1.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


def main(folder: Path) -> None:
    """Explain every image in both modes."""
    # Both are read when TensorFlow is imported: alibi asks whether the model is a tf.keras.Model of Keras 2.
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import numpy as np
    import tensorflow.compat.v1 as tf

    tf.disable_v2_behavior()
    from alibi.explainers import CEM  # type: ignore[import-not-found]

    class Frozen(tf.keras.Model):  # type: ignore[misc]
        """A frozen graph under the type that alibi asks for."""

        def __init__(self, file: Path, ends: list[str]) -> None:
            super().__init__()
            self.ends, self.graph = ends, tf.GraphDef()
            self.graph.ParseFromString(file.read_bytes())

        def call(self, values: Any) -> Any:
            start, end = self.ends
            values = tf.convert_to_tensor(values)
            return tf.graph_util.import_graph_def(self.graph, {start: values}, [end], name="")[0]

    job = json.loads((folder / "job.json").read_text())
    arrays = dict(np.load(folder / "arrays.npz"))
    images, one_hot = arrays["images"], arrays["one_hot"]
    found, change = np.zeros((2, len(images)), bool), np.zeros((2, *images.shape), np.float32)
    for row, mode in enumerate(("PN", "PP")):
        tf.keras.backend.clear_session()
        networks = {name: Frozen(folder / f"{name}.pb", ends) for name, ends in job["ends"].items()}
        options = job["options"] | {"c_init": job["c_init"][row]}
        explainer = CEM(
            networks["model"],
            mode,
            (1, *images.shape[1:]),
            ae_model=networks.get("autoencoder"),
            feature_range=(0.0, 1.0),
            no_info_val=arrays["no_information"][None],
            **options,
        )
        for i in range(len(images)):
            explanation = explainer.explain(images[i : i + 1], Y=one_hot[i : i + 1])[mode]
            if explanation is not None:
                found[row, i] = True
                # A PP is the change itself: alibi feeds it to the model as it is.
                change[row, i] = explanation[0] - images[i] if mode == "PN" else explanation[0]
    np.savez(folder / "found.npz", found=found, change=change)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
