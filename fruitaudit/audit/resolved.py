"""The config of an audit with all that was found out written down, so that it runs again without inference."""

from __future__ import annotations

from fruitaudit.audit.opening import Opened
from fruitaudit.config.loaders import DEFAULT, overrides
from fruitaudit.config.schema import Config, PreprocessingSettings


def resolved(config: Config, opened: Opened, lab: str | None) -> Config:
    """The same config with preprocessing, class names and lab. What nothing establishes is listed under `guessed`."""
    prepared, loader = opened.preprocessor, opened.preprocessor.loader.name
    settings = config.model.preprocessing.model_dump() | {
        "loader": config.model.preprocessing.loader or (None if loader == DEFAULT else loader),
        "resize": prepared.resize,
        "interpolation": prepared.interpolation,
        **overrides(prepared.loader),
        "scale": prepared.scale,
        "channel_order": prepared.channel_order,
        "guessed": opened.preprocessing.undecided,
    }
    preprocessing = PreprocessingSettings.model_validate(settings)
    model = config.model.model_copy(update={"preprocessing": preprocessing, "classes": opened.class_names})
    return config.model_copy(update={"model": model, "lab": lab})
