"""Records of trust made by hand: a method that passes every rule, to be made worse by tests."""

from __future__ import annotations

from fruitaudit.records.passes import Passes
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.records.trust import ControlComparison, Depth, EdgeLikeness, MethodTrust, Randomization, StabilityRow
from fruitaudit.trust.controls import CONTROLS

GONE = NotRun("the method failed", "not_computed")


def at(value, half=0.05, n=32):
    return Estimate(value, n, value - half, value + half)


def comparison(gain, centre=None):
    gains = {name: at(gain) for name in CONTROLS}
    gains["centre"] = at(gain if centre is None else centre)
    return ControlComparison(at(0.5), {name: at(0.5 - gain) for name in CONTROLS}, gains)


def depth(value):
    q = value if isinstance(value, NotRun) else at(value)
    return Depth(("layer",), q, q, q, q)


def changes(noise=0.95, shift=0.9, jpeg=0.9):
    kinds = (("noise", 0.02, noise), ("noise", 0.05, 0.1), ("shift", 1.0, shift), ("jpeg", 90.0, jpeg))
    return tuple(StabilityRow(k, s, 30, 32, q if isinstance(q, NotRun) else at(q), GONE) for k, s, q in kinds)


GOOD = MethodTrust(
    method="good", title="Good", family="gradient", options={}, reduced=(), images=32,
    telling=Estimate(1.0, 32, 0.9, 1.0, successes=32),
    faithfulness={name: comparison(0.2) for name in ("deletion", "insertion", "road", "mu_fidelity")},
    randomization=Randomization((depth(0.6), depth(0.3)), (), 5),
    label_randomization=GONE, changes=changes(), seeds=at(1.0), settings=(), promises_sum=False, completeness=GONE,
    other_class=at(0.3), grid_pointing=GONE, edges=EdgeLikeness(GONE, GONE, GONE), localization=GONE, passes=Passes(),
    explanations=1,
)  # fmt: skip
