"""All suspected causes of one lab-to-field contrast, each measured: a change with the field's own dose, or why not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fruitaudit.diagnosis.factors.camera import measure_blur, measure_jpeg, measure_noise
from fruitaudit.diagnosis.factors.colour import (
    ColourShift,
    ObjectColours,
    colour_shift,
    measure_hue,
    measure_light,
    object_colours,
)
from fruitaudit.diagnosis.factors.guessed_layout import GuessedLayout, changes_of, guess_layout
from fruitaudit.diagnosis.factors.layout import layout_of, measure_background, measure_scale, measure_several
from fruitaudit.diagnosis.factors.surface import measure_wetness
from fruitaudit.diagnosis.gap.change import Change, changed
from fruitaudit.diagnosis.gap.contrast import Contrast, Side
from fruitaudit.records.states import NotRun

TITLES = {
    "background": "Background",
    "light": "Light and colour cast",
    "scale": "Size and place of the object",
    "several": "Several objects",
    "hue": "The objects' own colour",
    "wetness": "Wetness (shine)",
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
    inner = contrast.field.separable
    lab, field = (object_colours(side, inner=inner) for side in (contrast.lab, contrast.field))
    shift = colour_shift(contrast, lab, field)
    wetness = measure_wetness(contrast, shift)
    hue = _hue(contrast, field, wetness) if isinstance(wetness, Change) else measure_hue(contrast, lab, field, shift)
    found: dict[str, Change | NotRun] = {
        "background": measure_background(contrast, shift),
        "light": measure_light(contrast, lab, field, shift),
        "hue": hue,
        "wetness": wetness,
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


def _hue(contrast: Contrast, field: ObjectColours, wetness: Change) -> Change | NotRun:
    """What is left of the objects' colour once they are as wet as the field's."""
    side = contrast.lab
    pixels = changed(side, [wetness], np.arange(len(side.material)))
    wet = replace(contrast, lab=Side(replace(side.material, pixels=pixels), side.masks))
    lab = object_colours(wet.lab)
    return measure_hue(wet, lab, field, colour_shift(wet, lab, field))


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
