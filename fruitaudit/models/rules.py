"""How the way back through a network is changed, as plain data: each backend puts the rules into practice.

What arrives at the images depends on the rules alone; `WithBackwardRules.propagate` hands it over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from fruitaudit.records.data import FloatArray


@dataclass(frozen=True)
class ReluRules:
    """The gradient, but for ReLUs.

    "guided" passes back what is positive where the ReLU was open; "deconvolution" whatever is positive. Networks have
    linear operations, maxima and ReLUs only.
    """

    at_relus: Literal["guided", "deconvolution"]


@dataclass(frozen=True)
class LrpRule:
    """What a weighted layer does with its relevance, and the number of the rule: epsilon, gamma or alpha."""

    name: Literal["zero", "epsilon", "gamma", "z+", "alpha", "flat", "box"]
    number: float = 0.0


@dataclass(frozen=True, eq=False)
class LrpRules:
    """Layer-wise relevance propagation: a rule for each kind of weighted layer, and for the first of either kind."""

    dense: LrpRule
    convolution: LrpRule
    first: LrpRule
    """Of layers that see the images; "flat" and "box" are for these alone."""
    low: FloatArray
    high: FloatArray
    """(C,) the lowest and highest values of an image, for "box"."""


@dataclass(frozen=True, eq=False)
class DeepLiftRules:
    """DeepLIFT's rescale rule against references (R, H, W, C): what arrives is the mean contribution, (N, H, W)."""

    references: FloatArray
    one_colour: bool = False
    """Whether it is one reference, the same at every place, which says where maxima gain."""


Rules = ReluRules | LrpRules | DeepLiftRules


def _empty() -> FloatArray:
    return np.zeros(0, np.float32)


@dataclass(frozen=True)
class Propagated:
    """What arrived at the images, (N, H, W, C), or (N, H, W) where the rules join the channels.

    `scores` (N,) is what was handed back: the weighted logits, by DeepLIFT less those of the references (a mean).
    `kept_inside` (N,) is how much of it stayed with biases. Rules that conserve nothing say neither.
    """

    input_signals: FloatArray
    scores: FloatArray = field(default_factory=_empty)
    kept_inside: FloatArray = field(default_factory=_empty)
