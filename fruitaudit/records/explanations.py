"""Which images are explained, and what the methods say about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import FloatArray, IntArray
from fruitaudit.records.evidence import Counterfactuals, FeatureMaps, LayerFilters, Neighbours, Synthetic
from fruitaudit.records.states import NotRun

GroupKind = Literal["false_negative", "false_positive", "true_positive", "confused", "misclassified"]
Explains = Literal["logit", "probability", "activation"]
"""What is explained: the class's logit or probability, or what layers answer, whatever the class."""
Channels = Literal["sum", "l2", "maxabs", "none"]
Option = float | int | str | bool | list[str] | None
TargetRule = Literal["predicted", "true", "contrast"]
"""The class explained: the one predicted, the true one, or the one predicted against its rival."""


@dataclass(frozen=True)
class Group:
    """Images that are explained together. `population` images fit the `rule`; `sample_ids` were drawn of them."""

    name: str
    title: str
    split: str
    kind: GroupKind
    class_name: str
    rule: str
    draw: str
    population: int
    sample_ids: tuple[str, ...]
    control_of: str | None = None
    """The group of errors that these true positives are laid beside."""


@dataclass(frozen=True)
class Targets:
    """The class to explain of each image: `classes` (N,) indices into the model's classes.

    With `against` (N,) the question is why this class rather than that one: the difference of their logits.
    """

    classes: IntArray
    against: IntArray | None = None
    rule: TargetRule = "predicted"
    """By what rule the classes were chosen."""

    def __len__(self) -> int:
        return len(self.classes)

    def select(self, rows: slice | IntArray) -> Targets:
        """The targets of these images."""
        return Targets(self.classes[rows], None if self.against is None else self.against[rows], self.rule)


@dataclass(frozen=True)
class Maps:
    """One attribution map per image: `values` (N, H, W) float32, raw, signed where the method is, unscaled.

    `diagnostics` holds numbers a method knows about its own result, (N,) each, e.g. "completeness_error".
    `parts` are further maps (N, H, W) in the same unit, by name, drawn on the same scale: other classes, other layers.
    `classes` gives the index of the class whose map a part is, where it is one's.
    """

    values: FloatArray
    diagnostics: Mapping[str, FloatArray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    parts: Mapping[str, FloatArray] = field(default_factory=dict)
    classes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Segments:
    """A local linear model over superpixels (LIME, KernelSHAP), one per image.

    `segments` (N, H, W) int32 numbers the superpixels from 0; `coefficients` (N, S) float32 the weight of each one,
    0 for a superpixel that was not selected, NaN beyond the image's own number of superpixels.
    `values` paints the coefficients onto the superpixels.
    """

    segments: npt.NDArray[np.int32]
    coefficients: FloatArray
    diagnostics: Mapping[str, FloatArray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def values(self) -> FloatArray:
        """(N, H, W) float32: each pixel has the coefficient of its superpixel."""
        rows = np.arange(len(self.segments))[:, None, None]
        return np.nan_to_num(self.coefficients)[rows, self.segments].astype(np.float32)


Explanation = Maps | Segments | FeatureMaps | LayerFilters | Synthetic | Counterfactuals | Neighbours
"""What a method may return; `Maps` and `Segments` have `values` (N, H, W), one map per image."""
ExplanationKind = Literal["maps", "segments", "feature_maps", "filters", "synthetic", "counterfactuals", "neighbours"]
KINDS: dict[type, ExplanationKind] = {
    Maps: "maps",
    Segments: "segments",
    FeatureMaps: "feature_maps",
    LayerFilters: "filters",
    Synthetic: "synthetic",
    Counterfactuals: "counterfactuals",
    Neighbours: "neighbours",
}
OF_THE_MODEL = "model"
"""The `group` of an explanation that is about the model, not about images."""


@dataclass(frozen=True)
class ExplanationRow:
    """One method on one group, as in `results.json`; the maps lie in `file` under the output folder."""

    group: str
    method: str
    """As the config writes it: "saliency" or "saliency@tf-keras-vis"."""
    title: str
    provider: str
    explains: Explains
    channels: Channels
    signed: bool
    options: dict[str, Option]
    file: str
    kind: ExplanationKind
    sample_ids: tuple[str, ...]
    target_classes: tuple[str, ...]
    scale: float
    """Largest |value| over all maps of the row: the one scale its pictures are printed with. 0: every map is empty, or
    the method gives no maps."""
    empty: tuple[str, ...]
    """Samples whose map is zero everywhere or not finite: no evidence, and said so."""
    diagnostics: dict[str, tuple[float | None, ...]]
    """Numbers of the method about its own maps, one per image; None where they are not finite."""
    notes: tuple[str, ...]
    model_passes: int | None
    """Images that went through the model for this row; None where another library called it, uncounted."""
    question: str = ""
    """What a lay reader learns from the map: printed above the panels."""
    paper: str = ""
    caveat: str = ""
    """What this provider gets wrong, printed wherever its maps are."""
    target: TargetRule = "predicted"
    against_classes: tuple[str, ...] = ()
    """With target "contrast" the rival of each target class; the maps explain the difference of the two logits."""
    state: Literal["done"] = "done"


@dataclass(frozen=True)
class ExplanationNotRun:
    """A method that does not apply or failed; it costs only itself."""

    group: str
    method: str
    title: str
    reason: NotRun
    state: Literal["not_run"] = "not_run"
