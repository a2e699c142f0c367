"""How a trainer's program read and resized its pictures: named presets of one library's conventions each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from fruitaudit.config.schema import PreprocessingSettings

LoaderName = Literal[
    "fruitaudit", "image_dataset_from_directory", "tf.image.resize", "load_img", "torchvision", "opencv"
]
Resize = Literal["stretch", "center_crop", "pad"]
Interpolation = Literal["nearest", "bilinear", "bicubic", "area", "lanczos", "lanczos3", "lanczos5", "gaussian",
                        "mitchellcubic", "box", "hamming"]  # fmt: skip
Exif = Literal["upright", "ignored"]
Alpha = Literal["white", "black", "dropped"]
Rounding = Literal["none", "nearest", "floor"]
Colour = tuple[int, int, int]
Library = Literal["OpenCV", "Pillow", "TensorFlow"]

BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)
DEFAULT = "fruitaudit"

_OPENCV: tuple[Interpolation, ...] = ("nearest", "bilinear", "bicubic", "area", "lanczos")
_PILLOW: tuple[Interpolation, ...] = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
_TENSORFLOW: tuple[Interpolation, ...] = ("nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5", "gaussian",
                                          "mitchellcubic")  # fmt: skip
WITHOUT_ANTIALIAS: tuple[Interpolation, ...] = ("nearest", "area")
"""Filters of TensorFlow that antialias does nothing to."""
_NOT_CROPPED: tuple[Interpolation, ...] = ("gaussian", "mitchellcubic")
"""Filters that Keras takes without `crop_to_aspect_ratio` only."""


@dataclass(frozen=True)
class Loader:
    """The conventions of one way to read pictures. Each field but the names may be overridden by a key of the config.

    `decoder` is the library that reads JPEGs, `library` the one that resizes. `rounding`: "none" leaves what the
    filter computes as it is; OpenCV and Pillow round 8-bit pixels themselves. `shorter_side`: torchvision's `Resize`
    before its `CenterCrop`, None for 256 / 224 of the model's shorter side.
    """

    name: LoaderName
    decoder: Library
    library: Library
    exif: Exif
    alpha: Alpha
    resize: Resize
    interpolation: Interpolation
    interpolations: tuple[Interpolation, ...]
    rounding: Rounding = "nearest"
    antialias: bool = False
    padding: Colour = BLACK
    shorter_side: int | None = None

    @property
    def text(self) -> str:
        """Its conventions in one phrase, for reports."""
        exif = "EXIF orientation followed" if self.exif == "upright" else "EXIF orientation ignored"
        alpha = "transparency dropped" if self.alpha == "dropped" else f"transparency laid on {self.alpha}"
        rounded = {"none": "pixels not rounded", "nearest": "8-bit pixels", "floor": "pixels cut to integers"}
        antialias = ", antialiased" if self.antialias else ""
        return f"{exif}, {alpha}, resized by {self.library}{antialias}, {rounded[self.rounding]}"


LOADERS: dict[str, Loader] = {
    loader.name: loader
    for loader in (
        Loader("fruitaudit", "Pillow", "OpenCV", "upright", "white", "center_crop", "area", _OPENCV),
        Loader("image_dataset_from_directory", "TensorFlow", "TensorFlow", "ignored", "dropped", "stretch", "bilinear",
               _TENSORFLOW, "none"),
        Loader("tf.image.resize", "TensorFlow", "TensorFlow", "ignored", "dropped", "stretch", "bilinear", _TENSORFLOW,
               "none"),
        Loader("load_img", "Pillow", "Pillow", "ignored", "dropped", "stretch", "nearest", _PILLOW, antialias=True),
        Loader("torchvision", "Pillow", "Pillow", "ignored", "dropped", "center_crop", "bilinear", _PILLOW,
               antialias=True),
        Loader("opencv", "OpenCV", "OpenCV", "upright", "dropped", "stretch", "bilinear", _OPENCV),
    )
}  # fmt: skip
"""By name. `load_img` is also what `flow_from_directory` calls."""

assert tuple(LOADERS) == get_args(LoaderName)

_COLOURS: dict[str, Colour] = {"black": BLACK, "white": WHITE}


def loader_of(settings: PreprocessingSettings) -> Loader:
    """The preset of the settings with the single keys that they override."""
    loader = LOADERS[settings.loader or DEFAULT]
    for key in ("resize", "interpolation", "rounding", "antialias", "shorter_side", "exif", "alpha"):
        value = getattr(settings, key)
        if value is not None:
            loader = replace(loader, **{key: value})
    padding = settings.padding
    if padding is not None:
        loader = replace(loader, padding=_COLOURS[padding] if isinstance(padding, str) else padding)
    return loader


def overrides(loader: Loader) -> dict[str, Any]:
    """The keys that turn the preset of this name into this loader, but for resize and interpolation."""
    preset = LOADERS[loader.name]
    keys = ("antialias", "shorter_side", "rounding", "exif", "alpha", "padding")
    said = {key: getattr(loader, key) for key in keys if getattr(loader, key) != getattr(preset, key)}
    if loader.interpolation in WITHOUT_ANTIALIAS:
        said.pop("antialias", None)
    return said


def misfit(loader: Loader) -> tuple[str, str] | None:
    """The key that makes no sense for this loader and a sentence about it, None where all do."""
    preset, name = LOADERS[loader.name], loader.name
    if loader.interpolation not in loader.interpolations:
        return "interpolation", no_filter(loader)
    if (name, loader.resize) == ("image_dataset_from_directory", "center_crop") and (
        loader.interpolation in _NOT_CROPPED
    ):
        return "interpolation", f"Keras does not crop to the aspect ratio with {loader.interpolation}; write another " \
                                "one, or loader: tf.image.resize"  # fmt: skip
    if loader.antialias != preset.antialias:
        if name != "tf.image.resize":
            return "antialias", _no_antialias(loader)
        if loader.interpolation in WITHOUT_ANTIALIAS:
            return "antialias", f"it does nothing to {loader.interpolation}; leave it out"
    if loader.rounding != preset.rounding and loader.library == "Pillow":
        return "rounding", "Pillow resizes 8-bit pixels and rounds them itself; leave it out"
    if loader.rounding == "floor" and loader.library == "OpenCV":
        return "rounding", "OpenCV rounds 8-bit pixels itself; write none where it was given floats, or leave it out"
    if loader.shorter_side is not None and (name, loader.resize) != ("torchvision", "center_crop"):
        return "shorter_side", "it is what torchvision's Resize gets before CenterCrop; leave it out, or write " \
                               "loader: torchvision and resize: center_crop"  # fmt: skip
    return None


def no_filter(loader: Loader) -> str:
    """What to say where the library has no filter of this name."""
    others = ", ".join(loader.interpolations)
    return f"loader {loader.name} has no {loader.interpolation}; write one of {others}, or another loader"


def _no_antialias(loader: Loader) -> str:
    if loader.library == "OpenCV":
        return "OpenCV has none; leave it out, or write interpolation: area, which averages when it shrinks"
    if loader.library == "Pillow":
        return "Pillow's filters always antialias when they shrink; leave it out"
    return f"{loader.name} never antialiases; leave it out, or write loader: tf.image.resize"
