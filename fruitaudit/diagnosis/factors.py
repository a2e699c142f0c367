"""All suspected causes of one lab-to-field contrast, each measured: a change with the field's own dose, or why not."""

from __future__ import annotations

from dataclasses import dataclass

from fruitaudit.diagnosis.camera import measure_blur, measure_jpeg, measure_noise
from fruitaudit.diagnosis.change import Change
from fruitaudit.diagnosis.colour import ColourShift, colour_shift, measure_hue, measure_light, object_colours
from fruitaudit.diagnosis.contrast import Contrast
from fruitaudit.diagnosis.guessed_layout import GuessedLayout, changes_of, guess_layout
from fruitaudit.diagnosis.layout import layout_of, measure_background, measure_scale, measure_several
from fruitaudit.diagnosis.surface import measure_wetness
from fruitaudit.records.states import NotRun

TITLES = {
    "background": "Background",
    "light": "Light and colour cast",
    "scale": "Size and place of the object",
    "several": "Several objects",
    "hue": "The objects' own colour",
    "wetness": "Wetness (bright specks)",
    "blur": "Sharpness",
    "noise": "Noise",
    "jpeg": "JPEG compression",
    "occlusion": "Partial occlusion",
    "rotation": "Rotation",
    "grey": "No colour",
}


@dataclass(frozen=True)
class Factors:
    """By factor, what can be done to lab images, and why the rest cannot.

    `guessed` is the field's layout where it had to be estimated without masks.
    """

    changes: dict[str, Change]
    not_run: dict[str, NotRun]
    shift: ColourShift
    guessed: GuessedLayout | None = None


def measure_factors(contrast: Contrast) -> Factors:
    """Every factor at the field's dose."""
    lab, field = object_colours(contrast.lab), object_colours(contrast.field)
    shift = colour_shift(contrast, lab, field)
    found: dict[str, Change | NotRun] = {
        "background": measure_background(contrast, shift),
        "light": measure_light(contrast, lab, field, shift),
        "hue": measure_hue(contrast, shift),
        "wetness": measure_wetness(contrast),
        "blur": measure_blur(contrast),
        "noise": measure_noise(contrast),
        "jpeg": measure_jpeg(contrast),
    }
    layout, guessed = _layout(contrast, found)
    found |= layout
    return Factors(
        {name: change for name, change in found.items() if isinstance(change, Change)},
        {name: reason for name, reason in found.items() if isinstance(reason, NotRun)},
        shift,
        guessed,
    )


def _layout(
    contrast: Contrast, found: dict[str, Change | NotRun]
) -> tuple[dict[str, Change | NotRun], GuessedLayout | None]:
    if not contrast.lab.separable:
        reason = NotRun(f"no object can be moved or repeated without its mask: {contrast.lab.masks.text}")
        return {"scale": reason, "several": reason}, None
    if contrast.field.separable:
        lab, field = layout_of(contrast.lab), layout_of(contrast.field)
        return {"scale": measure_scale(contrast, lab, field), "several": measure_several(contrast, lab, field)}, None
    others = tuple(c for name in ("light", "background", "blur") if isinstance(c := found[name], Change))
    guessed = guess_layout(contrast, others)
    changes = changes_of(contrast, guessed)
    none = NotRun("the field does not differ from the lab in this, as far as can be told without masks")
    return {name: changes.get(name, none) for name in ("scale", "several")}, guessed
