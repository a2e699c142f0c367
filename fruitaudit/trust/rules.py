"""The verdict: which method may be read on this model. The one place where trust judges; it measures nothing.

Each rule looks at one thing and points to a reading; the worst one is the verdict. What could not be measured points
to "with care", never to "read".
"""

from __future__ import annotations

from fruitaudit.records.states import Estimate, NotRun, Quantity
from fruitaudit.records.trust import Beside, MethodTrust, MethodVerdict, Reading, Reason
from fruitaudit.trust.controls import CENTRE

TELLING, HALF = 0.9, 0.5
KEPT = 0.7
"""Rank correlation with the maps of a network that learned nothing, above which a map does not depend on learning."""
STEADY = 0.5
"""Rank correlation under an invisible change, below which a map flips."""
INVISIBLE_NOISE = 0.02
COMPLETE = 0.05
ENOUGH = 16
"""Images with which a test of faithfulness that is not won counts against the method, and not against the images."""
JUDGED = {"deletion": "deletion", "insertion": "insertion", "road": "ROAD", "mu_fidelity": "mu-fidelity"}
WORDS: dict[Reading, str] = {"read": "Read", "with_care": "Read with care", "do_not_read": "Do not read"}
ORDER: tuple[Reading, ...] = ("read", "with_care", "do_not_read")

RULES = {
    "telling": f"A method whose maps are empty, constant or not finite on more than {1 - TELLING:.0%} of the images is "
    f"read with care, on more than {1 - HALF:.0%} not at all.",
    "weights": f"A method is not to be read if its maps keep a rank correlation surely above {KEPT} although all "
    "weights were drawn anew, or if drawing the layer anew that tells the classes apart changes them surely no more "
    "than invisible noise does.",
    "controls": "Deletion, insertion, ROAD and mu-fidelity each count as won if the map surely does better than noise, "
    "edges and contrast and not surely worse than a spot in the middle, and as lost if it surely does worse than any "
    f"of the four. Half of them lost, or none won on {ENOUGH} images or more: not to be read. Any lost, or fewer than "
    "half won: with care.",
    "stability": f"A method is read with care if the rank correlation of its maps may be below {STEADY} under noise of "
    f"{INVISIBLE_NOISE:.0%} of the range, a shift by one pixel or JPEG of quality 90, the prediction being the same.",
    "seeds": f"A method is read with care if the rank correlation of its maps of two seeds may be below {STEADY}.",
    "completeness": "A method is read with care if its maps, which promise to add up to the score, may miss it by more "
    f"than {COMPLETE:.0%}.",
    "class": "A method is read with care if its maps of two classes surely are as alike as those of an image with and "
    "without invisible noise: they do not speak of the class.",
}
""""Surely": the whole 95 % interval. "May": a part of it."""


def judge(measured: MethodTrust) -> MethodVerdict:
    """Apply every rule to one method."""
    reasons = tuple(rule(measured) for rule in _RULES)
    reading = max((reason.points_to for reason in reasons), key=ORDER.index)
    leading = [r.sentence for r in reasons if r.points_to == reading and (reading != "read" or r.rule in _PROVES)]
    sentence = " ".join([f"{WORDS[reading]}.", *leading])
    return MethodVerdict(measured.method, measured.title, reading, sentence, reasons)


_PROVES = ("weights", "controls", "stability")
"""What is said of a method that may be read."""


def _telling(m: MethodTrust) -> Reason:
    share = m.telling.value
    reading: Reading = "read" if share >= TELLING else "with_care" if share >= HALF else "do_not_read"
    return Reason("telling", reading, f"{share * m.images:.0f} of {m.images} maps tell pixels apart; any others are "
                  "empty, constant or not finite.")  # fmt: skip


def _weights(m: MethodTrust) -> Reason:
    rule = "weights"
    if isinstance(m.randomization, NotRun):
        return Reason(rule, "with_care", f"It was not tried with destroyed weights: {m.randomization.reason}.")
    output, everything = m.randomization.cascading[0].spearman, m.randomization.cascading[-1].spearman
    noise = _under_noise(m)
    numbers = f"rank correlation {_said(everything)} with all weights drawn anew, {_said(output)} with those of the " \
              f"output layer, {_said(noise)} under invisible noise"  # fmt: skip
    if isinstance(everything, Estimate) and _low(everything) > KEPT:
        return Reason(rule, "do_not_read", f"Its maps hardly change when all that was learned is destroyed: {numbers}.")
    if any(isinstance(q, NotRun) for q in (everything, output, noise)):
        return Reason(rule, "with_care", f"Whether its maps depend on what was learned cannot be told: {numbers}.")
    if _low(output) >= _high(noise):
        return Reason(rule, "do_not_read", "What tells the classes apart matters no more to its maps than invisible "
                      f"noise: {numbers}.")  # fmt: skip
    return Reason(rule, "read", f"Its maps change when what was learned is destroyed: {numbers}.")


def _controls(m: MethodTrust) -> Reason:
    rule = "controls"
    tests = {name: m.faithfulness.get(key, NotRun("it was not run")) for key, name in JUDGED.items()}
    ran = {name: test for name, test in tests.items() if isinstance(test, Beside)}
    if not ran:
        why = next(test.reason for test in tests.values() if isinstance(test, NotRun))
        return Reason(rule, "with_care", f"Its faithfulness could not be measured: {why}.")
    won = [name for name, test in ran.items() if _wins(test)]
    lost = [f"{name} to {' and '.join(to)}" for name, test in ran.items() if (to := _loses_to(test))]
    numbers = f"on {m.images} images, of {len(ran)} tests against maps that know nothing of the model it wins " \
              f"{_listed(won)} and loses {_listed(lost)}"  # fmt: skip
    if 2 * len(lost) >= len(ran):
        return Reason(rule, "do_not_read", f"Maps that know nothing of the model say more: {numbers}.")
    if not won and m.images >= ENOUGH:
        return Reason(rule, "do_not_read", f"It says no more than maps that know nothing of the model: {numbers}.")
    if lost or 2 * len(won) < len(ran):
        few = "Too few images to tell whether" if not lost and m.images < ENOUGH else "It is not clear that"
        return Reason(rule, "with_care", f"{few} it says more than maps that know nothing of the model: {numbers}.")
    return Reason(rule, "read", f"It says what maps that know nothing of the model do not: {numbers}.")


def _wins(test: Beside) -> bool:
    return not _loses_to(test) and all(_low(gain) > 0 for name, gain in test.gains.items() if name != CENTRE)


def _loses_to(test: Beside) -> list[str]:
    return [name for name, gain in test.gains.items() if isinstance(gain, Estimate) and _high(gain) < 0]


def _stability(m: MethodTrust) -> Reason:
    rule = "stability"
    if isinstance(m.changes, NotRun):
        return Reason(rule, "with_care", f"Its stability could not be measured: {m.changes.reason}.")
    small = {_named(c.kind, c.strength): c.spearman for c in m.changes
             if c.kind != "noise" or c.strength <= INVISIBLE_NOISE}  # fmt: skip
    numbers = ", ".join(f"{name} {_said(q)}" for name, q in small.items())
    missing = [name for name, q in small.items() if isinstance(q, NotRun)]
    unsteady = [name for name, q in small.items() if isinstance(q, Estimate) and _low(q) < STEADY]
    if unsteady:
        return Reason(rule, "with_care", f"Its maps flip under changes that nobody sees ({', '.join(unsteady)}): rank "
                      f"correlation {numbers}.")  # fmt: skip
    if missing or not small:
        return Reason(rule, "with_care", f"Its stability could not be measured: {numbers or 'no change was tried'}.")
    return Reason(rule, "read", f"Its maps stay under changes that nobody sees: rank correlation {numbers}.")


def _seeds(m: MethodTrust) -> Reason:
    steady = isinstance(m.seeds, Estimate) and _low(m.seeds) >= STEADY
    told = f"rank correlation of its maps of two seeds {_said(m.seeds)}"
    if steady:
        return Reason("seeds", "read", f"Chance matters little: {told}.")
    return Reason("seeds", "with_care", f"Chance matters: {told}.")


def _completeness(m: MethodTrust) -> Reason:
    if not m.promises_sum:
        return Reason("completeness", "read", "Its maps do not promise to add up to a score.")
    reading: Reading = "read" if _high(m.completeness) <= COMPLETE else "with_care"
    return Reason("completeness", reading, "The share by which its maps miss the score that they promise to add up to: "
                  f"{_said(m.completeness)}.")  # fmt: skip


def _class(m: MethodTrust) -> Reason:
    noise = _under_noise(m)
    numbers = f"rank correlation with the maps of another class {_said(m.other_class)}, under noise {_said(noise)}"
    if isinstance(m.other_class, NotRun) or isinstance(noise, NotRun):
        return Reason("class", "with_care", f"Whether its maps speak of the class could not be told: {numbers}.")
    if _low(m.other_class) >= _high(noise):
        return Reason("class", "with_care", f"Its maps do not speak of the class: {numbers}.")
    return Reason("class", "read", f"Its maps speak of the class: {numbers}.")


_RULES = (_telling, _weights, _controls, _stability, _seeds, _completeness, _class)


def _under_noise(m: MethodTrust) -> Quantity:
    """Rank correlation under the strongest noise that is still invisible."""
    changes = () if isinstance(m.changes, NotRun) else m.changes
    small = [c for c in changes if c.kind == "noise" and c.strength <= INVISIBLE_NOISE]
    if not small:
        return m.changes if isinstance(m.changes, NotRun) else NotRun("no noise was tried")
    return max(small, key=lambda c: c.strength).spearman


def _named(kind: str, strength: float) -> str:
    return {"noise": f"noise of {strength:.0%}", "shift": "a shift by one pixel", "jpeg": "JPEG"}[kind]


def _low(q: Quantity) -> float:
    """The lower end of what it may be. A number without interval, the same on every image, is as sure as it gets."""
    if isinstance(q, NotRun):
        return float("-inf")
    return q.value if q.low is None else q.low


def _high(q: Quantity) -> float:
    if isinstance(q, NotRun):
        return float("inf")
    return q.value if q.high is None else q.high


def _said(q: Quantity) -> str:
    if isinstance(q, NotRun):
        return f"not known ({q.reason})"
    return f"{q.value:.2f}" if q.low is None else f"{q.value:.2f} [{q.low:.2f}, {q.high:.2f}]"


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"
