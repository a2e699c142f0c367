"""What was found out stands in the config that an audit leaves behind."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from fruitaudit.audit.opening import Opened
from fruitaudit.audit.resolved import resolved
from fruitaudit.config.load import dump_config, load_config
from fruitaudit.config.schema import PreprocessingSettings
from fruitaudit.data.splits import open_split
from fruitaudit.inputs.settle import settle_preprocessing
from fruitaudit.models.memory import MemoryNeeds
from fruitaudit.runtime.streams import Streams

TEXT = """\
model: {path: m.keras, preprocessing: {resize: stretch}}
splits: [{name: test, path: test, role: test}]
out: out
"""


@pytest.fixture
def case(tmp_path: Path) -> Path:
    (tmp_path / "m.keras").touch()
    for i, name in enumerate(("ash", "birch")):
        (tmp_path / "test" / name).mkdir(parents=True)
        for n in range(3):
            Image.fromarray(np.full((8, 8, 3), 100 * i + n, np.uint8)).save(tmp_path / "test" / name / f"{n}.png")
    (tmp_path / "c.yaml").write_text(TEXT)
    return tmp_path


def opened(settings: PreprocessingSettings, case: Path) -> Opened:
    split = open_split(load_config(case / "c.yaml").config.splits[0], ("ash", "birch"))

    half = SimpleNamespace(
        input_shape=(8, 8, 3),
        n_classes=2,
        memory_needs=MemoryNeeds(1000, 1000),
        entrance=lambda: None,
        probabilities=lambda values: np.full((len(values), 2), 0.5, np.float32),
    )
    preprocessor, summary = settle_preprocessing(settings, [split], cast("Any", half), Streams(9))
    found = SimpleNamespace(preprocessor=preprocessor, preprocessing=summary, class_names=("ash", "birch"))
    return cast("Opened", found)


def test_the_config_left_behind_infers_nothing_and_still_says_what_was_guessed(case: Path) -> None:
    config = load_config(case / "c.yaml").config
    full = resolved(config, opened(config.model.preprocessing, case), "test")
    (case / "out").mkdir()
    (case / "out" / "config.yaml").write_text(dump_config(full, case / "out"))
    again = load_config(case / "out" / "config.yaml").config
    assert again.model.classes == ("ash", "birch")
    assert again.lab == "test"
    settings = again.model.preprocessing
    assert (settings.resize, settings.interpolation, settings.scale) == ("stretch", "area", "0-1")
    assert settings.guessed == ("scale", "channel_order")
    summary = opened(settings, case).preprocessing
    assert summary.undecided == ("scale", "channel_order")
    assert "an earlier run guessed it, and nobody confirmed it" in summary.evidence[0]
    assert resolved(again, opened(settings, case), "test") == again
