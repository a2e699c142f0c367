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
from fruitaudit.data.infer import infer_preprocessing
from fruitaudit.data.splits import open_split
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

    def half(values: Any) -> Any:
        return np.full((len(values), 2), 0.5, np.float32)

    preprocessor, summary = infer_preprocessing(settings, (8, 8, 3), split, half, Streams(9))
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
    assert settings.guessed == ("interpolation", "scale")
    summary = opened(settings, case).preprocessing
    assert summary.inferred == ("interpolation", "scale")
    assert summary.evidence[1] == "scale: inferred by an earlier run, and confirmed by nobody."
    assert resolved(again, opened(settings, case), "test") == again
