"""Which methods explain what: the group's own, the config's, or the default for its kind."""

from __future__ import annotations

from fruitaudit.config.schema import Config, MethodSettings
from fruitaudit.providers.registry import registration
from fruitaudit.records.explanations import GroupKind

ERRORS_BY = ("saliency", "smoothgrad", "grad_cam_pp", "integrated_gradients")
CONTROLS_BY = ("grad_cam_pp", "integrated_gradients", "occlusion", "lime")
"""Without `methods` in the config: gradient and CAM methods for errors, perturbation methods (and two to compare
them with) for true positives."""


def methods_of(config: Config, group: str, kind: GroupKind) -> tuple[MethodSettings, ...]:
    """The methods that explain the images of a group."""
    methods_by_group = (
        {} if config.groups == "auto" else {settings.name: settings.methods for settings in config.groups}
    )
    methods = methods_by_group.get(group)
    if methods is None:
        methods = config.methods
    if methods is None:
        return tuple(MethodSettings(name=name) for name in (CONTROLS_BY if kind == "true_positive" else ERRORS_BY))
    return tuple(settings for settings in methods if not _of_the_model(settings))


def model_methods(config: Config) -> tuple[MethodSettings, ...]:
    """The methods that are about the model itself: each runs once, however many groups ask for it."""
    group_methods = () if config.groups == "auto" else tuple(group.methods or () for group in config.groups)
    requested = [
        settings
        for methods in (config.methods or (), *group_methods)
        for settings in methods
        if _of_the_model(settings)
    ]
    return tuple(settings for i, settings in enumerate(requested) if settings not in requested[:i])


def methods_asked(config: Config) -> tuple[str, ...]:
    """The spellings of all methods that may explain a group."""
    if config.groups == "auto":
        methods_of_groups = [methods_of(config, "", kind) for kind in ("misclassified", "true_positive")]
    else:
        methods_of_groups = [methods_of(config, group.name, group.kind) for group in config.groups]
    return tuple(dict.fromkeys(settings.spelling for methods in methods_of_groups for settings in methods))


def _of_the_model(settings: MethodSettings) -> bool:
    return registration(settings).subject == "model"
