"""How numbers are written, in reports, findings, gates and the terminal alike. Spaces are plain."""

from __future__ import annotations

MINUS = "\u2212"


def decimals(value: float, digits: int) -> str:
    """`value` with `digits` decimals, and more where rounding would make a 1 of 0.9996 or a 0 of 0.0002."""
    for extra in range(4):
        text = f"{value:.{digits + extra}f}"
        if float(text) not in (0.0, 1.0, 100.0) or float(text) == value:
            break
    else:
        text = "<" * (value > 0) + f"{10.0**-digits:.{digits}f}" if abs(value) < 0.5 else f"{value:.{digits}f}"
    return text.replace("-", MINUS)


def percent(value: float, digits: int = 1) -> str:
    """0.153125 -> `15.3 %`; 0.9996 -> `99.96 %`, never `100.0 %`."""
    return decimals(round(100 * value, 10), digits) + " %"


def number(value: float, *, share: bool = False, digits: int | None = None) -> str:
    """The value alone: in percent, or with three decimals (four significant digits from 10 up, 2e-05 below 0.0005)."""
    if share:
        return percent(value) if digits is None else percent(value, digits)
    if digits is not None:
        return decimals(value, digits)
    if 0 < abs(value) < 0.0005:
        return f"{value:.1g}".replace("-", MINUS)
    return decimals(value, 3) if abs(value) < 10 else f"{value:.4g}"


def tenths(value: float, *, signed: bool = False) -> str:
    """A difference of accuracy in points: 0.384 -> `38.4`, signed `+38.4`; what rounds to zero has no sign."""
    text = f"{100 * value:{'+' if signed else ''}.1f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", MINUS)


def count(n: int, noun: str, plural: str = "") -> str:
    """`1 image`, `2,640 images`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
