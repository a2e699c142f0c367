"""The same 17 faults and 5 clean cases planted otherwise: other specimens, classes, places and strengths.

No threshold was chosen by looking at these: they say how far the tuned cases flatter. `print_held_out.py` prints the
table. When it was first run: 15 of 17 named by the first finding (16 of 17 of the tuned ones), no cause in the 5 clean
cases, the effects of 6 of 7 factors within 8 points or their interval (all 7 of the tuned ones). Missed were wetness,
which costs 3.9 points here, too few to tell from none with 128 + 128 images, and the tied background, of which this
model makes no use: it is as often right with every background exchanged.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from planted.cases import PlantedCase, repeated, swapped
from planted.rendering import CLASSES, Pictures, Toggle, both, same, scenes, small, varied

from fruitaudit.demo.fruit.scene import Light, Scene

PER_CLASS, TRAIN_PER_CLASS = 16, 50
MARKED, TIED, STARVED, NOISY = "Clementine", "Avocado", "Pear", "Apple Golden"


def background(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, background=str(rng.choice(["fruit", "tiles", "shelf", "crate"])))


def light(scene: Scene, rng: np.random.Generator) -> Scene:
    """Brighter than in the tuned case, from the other side, bluish."""
    lamp = Light(float(rng.uniform(0.3, 0.4)), float(rng.uniform(-0.9, -0.5)), (0.7, 0.3, 0.4), 0.7)
    return replace(scene, light=lamp)


def hue(scene: Scene, rng: np.random.Generator) -> Scene:
    """Overripe, where the tuned case is unripe."""
    return replace(scene, ripeness=float(rng.uniform(0.85, 1.0)))


def scale(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, scale=float(rng.uniform(0.28, 0.4)))


def several(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, fruits=int(rng.integers(5, 8)))


def blur(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, blur=float(rng.uniform(5, 7)))


def wetness(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, wetness=float(rng.uniform(0.7, 0.9)))


def variety(scene: Scene, rng: np.random.Generator) -> Scene:
    """Nectarines of another kind."""
    return replace(scene, class_name="Peach") if scene.class_name == "Nectarine" else scene


def tied(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, background="tiles") if scene.class_name == TIED else scene


def papers(scene: Scene, rng: np.random.Generator) -> Scene:
    """Two of the backgrounds that the model of the clean cases was trained on."""
    return replace(scene, background=str(rng.choice(["paper", "cardboard"])))


def lamps(scene: Scene, rng: np.random.Generator) -> Scene:
    """Light that it was trained on too."""
    lamp = Light(float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.3, 0.6)), (-0.6, 0.5, 0.5), 0.6)
    return replace(scene, light=lamp)


def mild(scene: Scene, rng: np.random.Generator) -> Scene:
    return replace(scene, noise=0.6, jpeg=92)


FACTORS: dict[str, Toggle] = {"background": background, "light": light, "hue": hue, "scale": scale, "several": several,
                              "blur": blur, "wetness": wetness, "unseen-variety": variety}  # fmt: skip


def watermark(pictures: Pictures) -> Pictures:
    """A black bar with a green square in the bottom right corner of one class."""
    pixels = pictures.pixels.copy()
    for i in np.flatnonzero(pictures.labels == CLASSES.index(MARKED)):
        pixels[i, 41:46, 38:46] = 0
        pixels[i, 42:45, 40:43] = (40, 190, 60)
    return Pictures(pixels, pictures.labels)


def starve(pictures: Pictures) -> Pictures:
    rows = np.flatnonzero(pictures.labels == CLASSES.index(STARVED))
    return pictures.select(np.setdiff1d(np.arange(len(pictures.labels)), rows[8:]))


def mislabel(pictures: Pictures) -> Pictures:
    """Every tenth label of one class, beginning with the fifth."""
    labels = pictures.labels.copy()
    rows = np.flatnonzero(labels == CLASSES.index(NOISY))[4::10]
    labels[rows] = np.resize([c for c in range(len(CLASSES)) if CLASSES[c] != NOISY], len(rows))
    return Pictures(pictures.pixels, labels)


def pictures(split: str, per_class: int = PER_CLASS, *toggles: Toggle) -> Pictures:
    """Specimens that no other test shows."""
    chain = same
    for toggle in toggles:
        chain = toggle if chain is same else both(chain, toggle)
    return Pictures.of(scenes(f"held out {split}", per_class, chain))


def training_set(model: str, per_class: int = 100) -> Pictures:
    """The first `per_class` training images per class of a held-out model."""
    plain = pictures("train", per_class, *((tied,) if model == "held_tied" else ()))
    change = {"held_watermark": watermark, "held_starved": starve, "held_noisy": mislabel}.get(model)
    return change(plain) if change else plain


MODELS = ("held_lab", "held_watermark", "held_tied", "held_starved", "held_noisy")


def _factor(name: str) -> PlantedCase:
    model, base = ("small", (small,)) if name in ("several", "wetness") else ("held_lab", ())
    train = (
        (lambda: pictures("train", TRAIN_PER_CLASS, small))
        if base
        else (lambda: training_set("held_lab", TRAIN_PER_CLASS))
    )
    return PlantedCase(name, (name,), model, train, lambda: pictures("test", PER_CLASS, *base),
                 lambda: pictures("field", PER_CLASS, *base, FACTORS[name]))  # fmt: skip


def _lab(name: str, *expected: str, **changes) -> PlantedCase:
    plain = PlantedCase(name, expected, "held_lab", lambda: training_set("held_lab", TRAIN_PER_CLASS),
                        lambda: pictures("test"), lambda: pictures("field"))  # fmt: skip
    return replace(plain, **changes)


def planted_cases() -> list[PlantedCase]:
    names = (*CLASSES[5:], *CLASSES[:5])
    train_sets = {name: (lambda name=name: training_set(name, TRAIN_PER_CLASS)) for name in MODELS}
    return [
        *map(_factor, FACTORS),
        _lab("watermark", "shortcut-region", model="held_watermark", train=train_sets["held_watermark"],
             test=lambda: watermark(pictures("test"))),
        _lab("tied background", "shortcut-background", model="held_tied", train=train_sets["held_tied"],
             test=lambda: pictures("test", PER_CLASS, tied)),
        _lab("BGR decoder", "channel-order", train=lambda: swapped(training_set("held_lab", TRAIN_PER_CLASS)),
             test=lambda: swapped(pictures("test")), field=lambda: swapped(pictures("field"))),
        _lab("0-255 for 0-1", "pixel-scale", model="tanh", scale="0-255"),
        _lab("permuted names", "class-order", classes=names),
        _lab("wrong labels", "wrong-labels", model="held_noisy", train=lambda: mislabel(pictures("train", 100))),
        _lab("repeated images", "leak-duplicates",
             test=lambda: repeated(pictures("test"), training_set("held_lab", TRAIN_PER_CLASS), every=3)),
        _lab("shared groups", "leak-groups", grouped=True),
        _lab("starved class", "starved-class", model="held_starved",
             train=lambda: starve(pictures("train", TRAIN_PER_CLASS))),
        _lab("clean: as the lab"),
        _lab("clean: mild camera", field=lambda: pictures("field", PER_CLASS, mild)),
        _lab("clean: small objects", model="small", train=lambda: pictures("train", TRAIN_PER_CLASS, small),
             test=lambda: pictures("test", PER_CLASS, small), field=lambda: pictures("field", PER_CLASS, small)),
        _lab("clean: trained for backgrounds", model="varied", train=lambda: pictures("train", TRAIN_PER_CLASS, varied),
             test=lambda: pictures("test", PER_CLASS, varied), field=lambda: pictures("field", PER_CLASS, papers)),
        _lab("clean: trained for light", model="varied", train=lambda: pictures("train", TRAIN_PER_CLASS, varied),
             test=lambda: pictures("test", PER_CLASS, varied), field=lambda: pictures("field", PER_CLASS, lamps)),
    ]  # fmt: skip
