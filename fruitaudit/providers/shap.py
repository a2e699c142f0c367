"""DeepSHAP by shap's DeepExplainer, in a child process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from fruitaudit.attribution.base import OPTIONS, Model, Passes, Registration, Shape
from fruitaudit.attribution.methods.deep_lift import additivity
from fruitaudit.attribution.methods.deep_shap import DeepShap
from fruitaudit.errors import CannotExplain
from fruitaudit.models.rules import Propagated
from fruitaudit.providers.keras_network import NEEDS, with_linear_head
from fruitaudit.records.data import FloatArray, Images
from fruitaudit.records.explanations import Maps, Targets
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True, config=OPTIONS)
class DeepShapByShap:
    """`shap.DeepExplainer` of a copy of the model whose outputs are logits; all classes are computed.

    Differs from the native one: swish does not add up; ReLU6, gelu and attention fail.
    Raises CannotExplain where shap fails, with its own words.
    """

    registration: ClassVar[Registration] = replace(
        DeepShap.registration,
        provider="shap",
        package="shap",
        needs=NEEDS,
        cost="2 x classes x background gradients",
        sensitivity_options=(("background", 3),),
        caveat="does not add up on swish (by 7 to 9 % of the difference, on a small network), fails on ReLU6, gelu and "
        "attention; equal to the native one to 4e-7 on ReLU networks",
    )
    fixed: ClassVar[dict[str, Any]] = {"classes": None, "total": False}

    background: Annotated[int, Field(ge=1)] = 100

    @property
    def background_size(self) -> int:
        return self.background

    def __call__(self, model: Model, images: Images, targets: Targets, streams: Streams) -> Maps:
        if images.background is None or len(images.background.values) == 0:
            raise CannotExplain("DeepSHAP compares with reference images, and there are none: add a split with the "
                                "role reference, or use deep_lift instead")  # fmt: skip
        references = images.background.values[: self.background]
        network = with_linear_head(model, images.values[:1])
        with tempfile.TemporaryDirectory(prefix="fruitaudit-shap-") as name:
            folder = Path(name)
            network.save(folder / "model.keras")
            np.savez(folder / "arrays.npz", images=images.values, classes=targets.classes, background=references)
            values = _run(folder).sum(axis=-1)
        logits = model.logits(np.concatenate([images.values, references]))
        image_logits, mean_logits = logits[: len(images)], logits[len(images) :].mean(axis=0)
        difference = image_logits[np.arange(len(images)), targets.classes] - mean_logits[targets.classes]
        return Maps(values, additivity(Propagated(values, difference)))

    def model_passes(self, n_images: int, input_shape: Shape) -> Passes:
        return Passes(forward=n_images + self.background + 1, gradient=2 * n_images * self.background)


def _run(folder: Path) -> FloatArray:
    """What the child makes of the folder, (N, H, W, C). Raises CannotExplain with the last line that it says."""
    command = [sys.executable, "-m", "fruitaudit.providers.shap_child", str(folder)]
    process = subprocess.run(command, capture_output=True, text=True)  # noqa: S603
    if process.returncode:
        message = (process.stderr.strip().splitlines() or ["no message"])[-1].strip()
        raise CannotExplain(f"shap's DeepExplainer fails on this model ({message}); use the native method instead")
    with np.load(folder / "found.npz", allow_pickle=False) as archive:
        return np.asarray(archive["values"], np.float32)


METHODS = (DeepShapByShap,)
