"""Runs shap's DeepExplainer in a process of its own: `python -m fruitaudit.providers.shap_child FOLDER`.

shap exchanges the gradients that TensorFlow has registered; where it fails, every later gradient of the process fails
too. The folder holds `model.keras`, whose outputs are logits, and `arrays.npz` (images, classes, background);
afterwards also `found.npz` with values (N, H, W, C).
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Explain each image; all classes are computed, because shap lets one choose by rank only."""
    import numpy as np

    from fruitaudit.models.keras.backend import keras
    from fruitaudit.providers.keras_network import quiet

    with quiet():
        import shap

        # Written by our own process from a network that it had already loaded.
        network = keras.models.load_model(folder / "model.keras", compile=False, safe_mode=False)
        arrays = dict(np.load(folder / "arrays.npz", allow_pickle=False))
        images, classes = arrays["images"], arrays["classes"]
        explainer = shap.DeepExplainer(network, arrays["background"])
        values = np.zeros(images.shape, np.float32)
        for i, k in enumerate(classes):
            # Its own check has an absolute tolerance; ours is relative, and made where the maps arrive.
            values[i] = explainer.shap_values(images[i : i + 1], check_additivity=False)[0, ..., k]
    np.savez(folder / "found.npz", values=values)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
