"""Resizes pictures as torchvision does: `python torchvision_child.py FOLDER`, by an interpreter that has it.

The folder holds `cases.npz`: pictures `x0`, `x1`, … (h, w, 3) uint8, and `ways`, text that `json` reads; afterwards
also `found.npz` with one result per picture and way.
"""

import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
from PIL import Image

# The transforms without the package above them, whose compiled operators a CPU build of torch may be unable to load.
folders = importlib.util.find_spec("torchvision").submodule_search_locations
package = sys.modules["torchvision"] = types.ModuleType("torchvision")
package.__path__ = list(folders)

from torchvision.transforms import CenterCrop, Compose, InterpolationMode, PILToTensor, Resize  # noqa: E402

folder = Path(sys.argv[1])
with np.load(folder / "cases.npz") as cases:
    pictures = [cases[name] for name in cases.files if name.startswith("x")]
    ways = json.loads(str(cases["ways"]))
found = {}
for w, way in enumerate(ways):
    how = InterpolationMode(way["interpolation"])
    size = way["shorter_side"] or way["target"]
    steps = [Resize(size, how), *([CenterCrop(way["target"])] if way["shorter_side"] else []), PILToTensor()]
    for i, picture in enumerate(pictures):
        found[f"{w}-{i}"] = Compose(steps)(Image.fromarray(picture)).permute(1, 2, 0).numpy()
np.savez(folder / "found.npz", **found)
