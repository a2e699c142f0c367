"""What the tests of the explanations measured, and which method may be read.

Everything is a mean over images with an interval, or the reason why there is none. Rank correlations run from -1 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from fruitaudit.records.explanations import Option
from fruitaudit.records.passes import Passes
from fruitaudit.records.states import Estimate, NotRun, Quantity

TrustLevel = Literal["quick", "standard", "full"]
Readability = Literal["read", "with_care", "do_not_read"]
"""What a reader should do with the maps of a method."""


@dataclass(frozen=True)
class ControlComparison:
    """A score of a method beside those of maps that know nothing of the model (the controls, by name).

    `gains` are paired by image and turned so that positive means that the method does better.
    """

    own: Quantity
    controls: dict[str, Quantity]
    gains: dict[str, Quantity]
    higher_is_better: bool = True


@dataclass(frozen=True)
class Depth:
    """Maps of a network of which `layers` were drawn anew, beside those of the trained network."""

    layers: tuple[str, ...]
    spearman: Quantity
    spearman_absolute: Quantity
    ssim: Quantity
    ssim_absolute: Quantity


@dataclass(frozen=True)
class Randomization:
    """Similarity per depth: `cascading` from the output down to the input, `independent` one layer at a time."""

    cascading: tuple[Depth, ...]
    independent: tuple[Depth, ...]
    n_layers: int
    """Layers with weights; where they are many, the steps above are a selection."""


@dataclass(frozen=True)
class StabilityRow:
    """Maps of images that were changed a little, where the prediction stayed (`kept` of `images`).

    `relative_change`: relative change of the map over that of the image (Euclidean norms); NotRun for a shift.
    """

    kind: Literal["noise", "shift", "jpeg"]
    strength: float
    """Noise: standard deviation as a share of the range. Shift: pixels. JPEG: quality."""
    kept: int
    images: int
    spearman: Quantity
    relative_change: Quantity


@dataclass(frozen=True)
class SettingSpread:
    """Rank correlation of the maps with those under another value of one of the method's own options."""

    option: str
    value: str
    spearman: Quantity


@dataclass(frozen=True)
class EdgeLikeness:
    """Rank correlation of the absolute maps with Sobel edges, also after all weights were drawn anew."""

    trained: Quantity
    redrawn: Quantity
    difference: Quantity


@dataclass(frozen=True)
class Localization:
    """Share of the positive evidence inside the object's mask, and how often the highest value lies in it.

    `background` is one minus the former, by the class explained; `background_share` that of the images.
    """

    inside: ControlComparison
    pointing: ControlComparison
    object_share: Quantity
    """The mask's share of the image: what a map without knowledge would get."""
    background: dict[str, Quantity]
    background_share: dict[str, Quantity] = field(default_factory=dict)


@dataclass(frozen=True)
class MethodTrust:
    """All that was measured of one method.

    `options` are those under test; `reduced` says which were made smaller than the ones of the report's maps.
    `faithfulness` holds deletion, insertion, road, mu_fidelity and neighbours.
    """

    method: str
    title: str
    family: str
    options: dict[str, Option]
    reduced: tuple[str, ...]
    images: int
    telling: Estimate
    """Share of the images whose map tells pixels apart: finite and not constant."""
    faithfulness: dict[str, ControlComparison | NotRun]
    randomization: Randomization | NotRun
    label_randomization: Quantity
    changes: tuple[StabilityRow, ...]
    seeds: Quantity
    settings: tuple[SettingSpread, ...]
    promises_sum: bool
    """Whether the maps should add up to a score; `completeness` is the relative error."""
    completeness: Quantity
    other_class: Quantity
    """Rank correlation with the maps of another class of the same image."""
    grid_pointing: ControlComparison | NotRun
    edges: EdgeLikeness | NotRun
    localization: Localization | NotRun
    passes: Passes
    """All images through the model for these tests."""
    explanations: int
    """Maps made for them."""
    state: Literal["done"] = "done"


@dataclass(frozen=True)
class TrustNotRun:
    """A method that gave no maps to test; there is no verdict on it."""

    method: str
    title: str
    reason: NotRun
    state: Literal["not_run"] = "not_run"


@dataclass(frozen=True)
class GroupReliance:
    """Share of the positive evidence beside the object, by method, in the maps of one group of explained images.

    `background_share` is the background's share of these images: what a map without knowledge would get.
    """

    group: str
    title: str
    background_share: Quantity
    background: dict[str, Quantity]


@dataclass(frozen=True)
class Agreement:
    """Mean rank correlation of absolute maps for each pair of methods, on the images that both explained."""

    methods: tuple[str, ...]
    spearman: tuple[tuple[Quantity, ...], ...]


@dataclass(frozen=True)
class Reason:
    """One rule applied to one method. `rule` is the rule's name; `numbers` are those it was decided by."""

    rule: str
    points_to: Readability
    sentence: str
    numbers: str


@dataclass(frozen=True)
class MethodVerdict:
    """The verdict on one method: the worst that any rule points to. `sentence` is the one line to print by a panel."""

    method: str
    title: str
    reading: Readability
    sentence: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class TrustReport:
    """The trust section of `results.json`."""

    level: TrustLevel
    images: int
    sample_ids: tuple[str, ...]
    methods: tuple[MethodTrust | TrustNotRun, ...]
    verdicts: tuple[MethodVerdict, ...]
    agreement: Agreement
    rules: dict[str, str]
    """Each rule of the verdict in words, with its thresholds."""
    groups: tuple[GroupReliance, ...] = ()
    """Those whose images have masks of their objects."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExplanationCost:
    """Seconds and model passes per explanation while testing; timings belong into `run.json`."""

    method: str
    explanations: int
    seconds: float
    """Mean wall seconds per explanation."""
    forward: float
    gradient: float
