"""What the search of the contrastive explanation method goes by: a row is one image in one mode."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fruitaudit.records.data import FloatArray


class Rows(NamedTuple):
    """What is asked, (R, ...) each."""

    origin: Any
    """(R, H, W, C) in model input: what is changed, the image (PN) or the one without information (PP)."""
    room: Any
    """(R, H, W, C) in 0..1 colour: the image minus the one without information, i.e. what there is in the image."""
    positive: Any
    """(R,) bool: a PP is asked, else a PN."""
    target: Any
    """(R,) int64."""
    c: Any
    """(R,) the first c."""
    settled: Any
    """(R,) bool: nothing need be changed, so that there is nothing to search."""


class Ground(NamedTuple):
    """What stays as it is for a row, (R, ...) each; pictures (R, H, W, C)."""

    origin: Any
    """In model input."""
    low: Any
    high: Any
    """Ends of the change in 0..1 colour."""
    twice: Any
    """A change d is allowed where d (twice + d) > 0. PN: 2 room, so that |room + d| > |room|. PP: 0, so that it is."""
    attack: Any
    """Slope of the hinge at the origin, where every round begins."""
    positive: Any
    target: Any


class State(NamedTuple):
    """Where each row is. `best` and `distance` are the nearest find so far, `reached` the c it was found with."""

    delta: Any
    point: Any
    """y of the paper: `delta`, carried on by its momentum where there is one."""
    attack: Any
    """Slope of the hinge max(0, kappa + lead) at `point`, in 0..1 colour."""
    k: Any
    c: Any
    lower: Any
    upper: Any
    hit: Any
    """(R,) bool: found with the present c."""
    still: Any
    """(R,) bool: `point` is the origin."""
    best: Any
    distance: Any
    reached: Any
    rounds: Any
    iterations: Any


class Nearest(NamedTuple):
    """(R, ...) NumPy: the change in 0..1 colour, whether there is one, the c it was found with, and iterations."""

    change: FloatArray
    found: npt.NDArray[np.bool_]
    c: FloatArray
    iterations: FloatArray
