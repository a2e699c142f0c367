"""What layers are called and what is in them, in descriptions of Keras 2, read without trust."""

from __future__ import annotations

from typing import Any

from fruitaudit.models.keras.keras2.errors import Untranslatable


class Names:
    """New names of the layers of one model: Keras 3 allows no slash."""

    def __init__(self) -> None:
        self._new: dict[str, str] = {}
        self._taken: set[str] = set()
        self._alike: dict[str, int] = {}

    def new(self, name: str) -> str:
        """The same one each time, and no other layer's."""
        if name not in self._new:
            plain = proposed = name.replace("/", "_")
            while proposed in self._taken:
                self._alike[plain] = self._alike.get(plain, 0) + 1
                proposed = f"{plain}_{self._alike[plain]}"
            self._new[name] = proposed
            self._taken.add(proposed)
        return self._new[name]


def kind_of(described: Any) -> str:
    """The class of a layer."""
    if not isinstance(described, dict) or not isinstance(described.get("class_name"), str):
        raise Untranslatable("one of its layers has no class")
    return str(described["class_name"]).removeprefix("Keras>")


def name_of(described: dict[str, Any]) -> str:
    """The name of a layer; Keras 2.0 gave none to a Sequential model."""
    config = described.get("config")
    name = described.get("name") or (config.get("name") if isinstance(config, dict) else None)
    if name is None and kind_of(described) == "Sequential":
        return "sequential"
    if not isinstance(name, str) or not name:
        raise Untranslatable(f"a layer of the class {kind_of(described)[:40]!r} has no name")
    return name


def layers_of(described: dict[str, Any]) -> list[dict[str, Any]]:
    """The layers of a model; in Keras 2.0 they were the whole configuration of a Sequential model."""
    config = described.get("config")
    found = config.get("layers") if isinstance(config, dict) else config
    if not isinstance(found, list):
        raise Untranslatable("a model in it has no list of layers")
    for layer in found:
        kind_of(layer)
        if not isinstance(layer.get("config"), dict | list):
            raise Untranslatable("one of its layers has no configuration")
    return found
