"""The table of layers adds up and says what distinguishes each one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zoo


def test_the_chapters_model_has_526006_parameters(store16: Path) -> None:
    from fruitaudit.models.keras.architecture import summarise
    from fruitaudit.models.keras.classifier import open_classifier

    path = store16 / "models" / "fruit_cnn.keras"
    names = tuple(sorted(p.name for p in (store16 / "store").iterdir()))
    summary = summarise(open_classifier(path), class_names=names, class_names_from="reference split")
    assert summary.parameters == sum(row.parameters for row in summary.layers) == 526_006
    assert (summary.file, summary.format, summary.head) == ("fruit_cnn.keras", "keras", "softmax")
    assert (summary.input_shape, summary.cam_layer) == ((100, 100, 3), "conv2d_4")
    rows = {row.name: row for row in summary.layers}
    assert rows["conv2d_1"].detail == "2x2, 16 filters, relu"
    assert rows["conv2d_1"].brief == "2x2, relu"
    assert rows["conv2d_1"].parameters == 2 * 2 * 3 * 16 + 16
    assert rows["conv2d_1"].output_shape == (99, 99, 16)
    assert rows["maxpool2d_1"].detail == "2x2"
    assert rows["dense_2"].detail == "16 units, softmax"
    assert rows["dropout_1"].detail.startswith("rate 0.")


@pytest.mark.parametrize("kind", sorted(zoo.KINDS))
def test_parameters_add_up(classifier: Callable[[str], Any], kind: str) -> None:
    from fruitaudit.models.keras.architecture import layer_rows

    network = classifier(kind).network
    assert sum(row.parameters for row in layer_rows(classifier(kind))) == network.count_params()


def test_nested_layers_are_indented_and_shared_weights_count_once(classifier: Callable[[str], Any]) -> None:
    from fruitaudit.models.keras.architecture import layer_rows

    rows = {row.name: row for row in layer_rows(classifier("nested_functional"))}
    assert (rows["mobilenet"].depth, rows["mobilenet/Conv_1"].depth) == (0, 1)
    assert rows["mobilenet"].parameters == 0, "its layers hold them"
    assert rows["rescale"].detail == "times 0.007843, plus -1"
    assert rows["mobilenet/out_relu"].detail == "at most 6"
    assert rows["mobilenet/Conv1"].detail == "3x3, stride 2x2, 16 filters"


def test_weights_outside_of_layers_have_a_row(classifier: Callable[[str], Any]) -> None:
    from fruitaudit.models.keras.architecture import layer_rows

    last = layer_rows(classifier("subclassed"))[-1]
    assert (last.parameters, last.detail) == (1, "weights that none of its layers holds")
