"""The verdict: which method may be read on this model. The one place where trust judges; it measures nothing.

Each rule looks at one thing and points to a reading; the worst one is the verdict. What could not be measured points
to "with care", never to "read"; only mosaics may be missing, because many models do not see what is in them.
"""

from __future__ import annotations

from fruitaudit.attribution.base import INCOMPLETE
from fruitaudit.records.numbers import number
from fruitaudit.records.states import Estimate, NotRun, Quantity
from fruitaudit.records.trust import ControlComparison, MethodTrust, MethodVerdict, Readability, Reason
from fruitaudit.trust.controls import CENTRE

MOST_USABLE, HALF_USABLE = 0.9, 0.5
RANDOMIZATION_LIMIT = 0.7
"""Rank correlation with the maps of a network that learned nothing, above which a map does not depend on learning."""
STEADY = 0.5
"""Rank correlation under an invisible change, below which a map flips."""
INVISIBLE_NOISE = 0.02
POINTING_GAIN = 0.05
"""Share of the evidence on the class's quarter of a mosaic beyond that of the controls: less hardly points there."""
FEWEST_IMAGES = 16
"""Images with which a test of faithfulness that is not won counts against the method, and not against the images."""
CONTROL = {"random": "noise", "edges": "edges", "intensity": "contrast", "centre": "a spot in the middle"}
JUDGED = {"deletion": "deletion", "insertion": "insertion", "road": "ROAD", "mu_fidelity": "mu-fidelity"}
WORDS: dict[Readability, str] = {"read": "Read", "with_care": "Read with care", "do_not_read": "Do not read"}
ORDER: tuple[Readability, ...] = ("read", "with_care", "do_not_read")

RULES = {
    "telling": "A method whose maps are empty, constant or not finite on more than "
    f"{1 - MOST_USABLE:.0%} of the images is read with care, on more than {1 - HALF_USABLE:.0%} not at all.",
    "weights": "A method is not to be read if its maps keep a rank correlation surely above "
    f"{RANDOMIZATION_LIMIT}, with or without their signs, although all weights were drawn anew, or if drawing the "
    "layer anew that tells the classes apart changes them surely no more than invisible noise does.",
    "controls": "Four tests count: deletion, insertion, ROAD and mu-fidelity. A test is won if the map surely does "
    "better than noise, edges and contrast, and not surely worse than a spot in the middle. It is lost if the map "
    "surely does worse than any of the four. A method is not to be read if it loses half of the tests, or wins none on "
    f"{FEWEST_IMAGES} images or more. It is read with care if it loses a test to another control than the spot, or "
    "wins fewer than half.",
    "stability": f"A method is read with care if the rank correlation of its maps may be below {STEADY} under noise of "
    f"{INVISIBLE_NOISE:.0%} of the range, a shift by one pixel or JPEG of quality 90, the prediction being the same.",
    "seeds": f"A method is read with care if the rank correlation of its maps of two seeds may be below {STEADY}.",
    "completeness": "A method is read with care if its maps, which promise to add up to the score, may miss it by more "
    f"than {INCOMPLETE:.0%}.",
    "class": "A method is read with care if its maps of two classes surely are as alike as those of an image with and "
    "without invisible noise. In mosaics of four images it must surely put more evidence on the image of the class "
    f"than each control does, by at least {POINTING_GAIN:.0%} of all evidence. If it does not, it is read with care. "
    "Where no mosaic could be made, the maps of two classes decide.",
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
    numbers = f"{share * m.images:.0f} of {m.images} maps tell pixels apart"
    if share >= MOST_USABLE:
        return Reason("telling", "read", "Its maps tell pixels apart.", numbers)
    if share >= HALF_USABLE:
        return Reason("telling", "with_care", "Some of its maps are empty, constant or not finite.", numbers)
    return Reason("telling", "do_not_read", "Most of its maps are empty, constant or not finite.", numbers)


def _weights(m: MethodTrust) -> Reason:
    if isinstance(m.randomization, NotRun):
        return Reason("weights", "with_care", "It could not be tried with destroyed weights.", m.randomization.reason)
    output, last = m.randomization.cascading[0].spearman, m.randomization.cascading[-1]
    everything, unsigned, noise = last.spearman, last.spearman_absolute, _under_noise(m)
    numbers = f"rank correlation with all weights drawn anew {_text(everything)}, without signs {_text(unsigned)}, " \
              f"with those of the output layer {_text(output)}, under invisible noise {_text(noise)}"  # fmt: skip
    reading, sentence = _depends(everything, unsigned, output, noise)
    return Reason("weights", reading, sentence, numbers)


def _depends(everything: Quantity, unsigned: Quantity, output: Quantity, noise: Quantity) -> tuple[Readability, str]:
    # A map that is only turned into its inverse has kept what it shows.
    if max(_low(everything), _low(unsigned)) > RANDOMIZATION_LIMIT:
        return "do_not_read", "Its maps hardly change when all that the model learned is destroyed."
    if any(isinstance(q, NotRun) for q in (everything, unsigned, output, noise)):
        return "with_care", "Whether its maps depend on what the model learned cannot be told."
    if _low(output) >= _high(noise):
        return "do_not_read", "What tells the classes apart matters no more to its maps than invisible noise."
    return "read", "Its maps change when what the model learned is destroyed."


def _controls(m: MethodTrust) -> Reason:
    tests = {name: m.faithfulness.get(key, NotRun("it was not run", "not_asked")) for key, name in JUDGED.items()}
    ran = {name: test for name, test in tests.items() if isinstance(test, ControlComparison)}
    if not ran:
        why = next(test.reason for test in tests.values() if isinstance(test, NotRun))
        return Reason("controls", "with_care", "Whether its maps are faithful to the model could not be measured.", why)
    won = [name for name, test in ran.items() if _wins(test)]
    lost = {name: to for name, test in ran.items() if (to := _loses_to(test))}
    losses = [f"{name} to {' and '.join(CONTROL[c] for c in to)}" for name, to in lost.items()]
    numbers = f"on {m.images} images wins {_name_list(won)} and loses {_name_list(losses)}, of {len(ran)} tests"
    reading, sentence = _faithful(len(ran), len(won), lost, m.images)
    return Reason("controls", reading, sentence, numbers)


def _faithful(ran: int, won: int, lost: dict[str, list[str]], images: int) -> tuple[Readability, str]:
    """`lost` names the controls that do better, by test."""
    better = " and ".join(CONTROL[name] for name in CONTROL if any(name in to for to in lost.values()))
    # A spot in the middle knows where objects are put: to lose to it alone, and once, is no fault.
    blind = sum(to != [CENTRE] for to in lost.values())
    if 2 * len(lost) >= ran:
        return "do_not_read", f"Maps that know nothing of the model find better what it needs: {better}."
    if not won and images >= FEWEST_IMAGES:
        return "do_not_read", "It finds what the model needs no better than maps that know nothing of the model."
    if blind:
        return "with_care", f"In {blind} of {ran} tests a map that knows nothing of the model does better: {better}."
    if 2 * won < ran:
        few = f"{images} images are too few to tell" if images < FEWEST_IMAGES else "It is not clear"
        return "with_care", f"{few} whether it does better than maps that know nothing of the model."
    return "read", f"In {won} of {ran} tests it finds what the model needs better than maps that know nothing of it."


def _wins(test: ControlComparison) -> bool:
    return not _loses_to(test) and all(_low(gain) > 0 for name, gain in test.gains.items() if name != CENTRE)


def _loses_to(test: ControlComparison) -> list[str]:
    return [name for name, gain in test.gains.items() if isinstance(gain, Estimate) and _high(gain) < 0]


def _stability(m: MethodTrust) -> Reason:
    small = {_change_name(c.kind, c.strength): c.spearman for c in m.changes
             if c.kind != "noise" or c.strength <= INVISIBLE_NOISE}  # fmt: skip
    numbers = "rank correlation under " + ", ".join(f"{name} {_text(q)}" for name, q in small.items())
    unsteady = [name for name, q in small.items() if isinstance(q, Estimate) and _low(q) < STEADY]
    if unsteady:
        sentence = f"Its maps may flip under changes that nobody sees ({', '.join(unsteady)})."
        return Reason("stability", "with_care", sentence, numbers)
    if not small or any(isinstance(q, NotRun) for q in small.values()):
        return Reason("stability", "with_care", "Whether its maps hold still could not be measured.", numbers)
    return Reason("stability", "read", "Its maps hold still under changes that nobody sees.", numbers)


def _seeds(m: MethodTrust) -> Reason:
    numbers = f"rank correlation of the maps of two seeds {_text(m.seeds)}"
    if _low(m.seeds) >= STEADY:
        return Reason("seeds", "read", "Chance matters little to its maps.", numbers)
    return Reason("seeds", "with_care", "Another seed may give other maps.", numbers)


def _completeness(m: MethodTrust) -> Reason:
    if not m.promises_sum:
        return Reason("completeness", "read", "Its maps do not promise to add up to a score.", "")
    numbers = f"relative error {_text(m.completeness)}"
    if _high(m.completeness) <= INCOMPLETE:
        return Reason("completeness", "read", "Its maps add up to the score, as they promise.", numbers)
    return Reason("completeness", "with_care", "Its maps may not add up to the score, as they promise.", numbers)


def _class(m: MethodTrust) -> Reason:
    noise, mosaics = _under_noise(m), m.grid_pointing
    share = mosaics.own if isinstance(mosaics, ControlComparison) else mosaics
    numbers = f"rank correlation with the maps of another class {_text(m.other_class)}, under noise {_text(noise)}; " \
              f"share of the evidence on the class's quarter of a mosaic {_text(share)}"  # fmt: skip
    if isinstance(m.other_class, NotRun) or isinstance(noise, NotRun):
        return Reason("class", "with_care", "Whether its maps speak of the class could not be told.", numbers)
    if _low(m.other_class) >= _high(noise):
        return Reason("class", "with_care", "Its maps are the same whatever class is asked for.", numbers)
    if isinstance(mosaics, ControlComparison) and not all(_gain_counts(gain) for gain in mosaics.gains.values()):
        sentence = "Among four images in one, it hardly finds the one of the class that is asked for."
        return Reason("class", "with_care", sentence, numbers)
    return Reason("class", "read", "Its maps speak of the class that is asked for.", numbers)


def _gain_counts(gain: Quantity) -> bool:
    return isinstance(gain, Estimate) and _low(gain) > 0 and gain.value >= POINTING_GAIN


_RULES = (_telling, _weights, _controls, _stability, _seeds, _completeness, _class)


def _under_noise(m: MethodTrust) -> Quantity:
    """Rank correlation under the strongest noise that is still invisible."""
    small = [c for c in m.changes if c.kind == "noise" and c.strength <= INVISIBLE_NOISE]
    if not small:
        return NotRun("no noise was tried", "not_asked")
    return max(small, key=lambda c: c.strength).spearman


def _change_name(kind: str, strength: float) -> str:
    return {"noise": f"noise of {strength:.0%}", "shift": "a shift by one pixel", "jpeg": "JPEG"}[kind]


def _low(q: Quantity) -> float:
    """The lower end of what it may be. A number without interval, the same on every image, is as sure as it gets."""
    if isinstance(q, NotRun):
        return float("-inf")
    return (float("-inf") if q.no_interval else q.value) if q.low is None else q.low


def _high(q: Quantity) -> float:
    if isinstance(q, NotRun):
        return float("inf")
    return (float("inf") if q.no_interval else q.value) if q.high is None else q.high


def _text(q: Quantity) -> str:
    if isinstance(q, NotRun):
        return f"not known ({q.reason})"
    spread = q.interval_text(digits=2)
    return number(q.value, digits=2) + (f" ({spread})" if spread else "")


def _name_list(names: list[str]) -> str:
    return ", ".join(names) or "none"
