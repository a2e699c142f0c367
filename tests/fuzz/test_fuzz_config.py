"""Configs, gates and claims: whatever is written in them, they load or are refused in one sentence."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from fuzz.mutations import NASTY, Outcomes, changed, damaged, sentence_of
from hypothesis import given
from hypothesis import strategies as st

from fruitaudit.config.claims import parse_claim
from fruitaudit.config.gates import parse_gate
from fruitaudit.config.load import dump_config, load_config
from fruitaudit.config.schema import Config
from fruitaudit.pipeline import check

pytestmark = pytest.mark.slow

CONFIG = """\
title: An audit
model:
  path: m.keras
  classes: [Apple, Pear, "007"]
  preprocessing: {size: [32, 32], resize: center_crop, interpolation: area, scale: {mean: [0.5], std: [0.2]}}
splits:
  - {name: train, path: lab, role: reference, masks: masks}
  - {name: store, path: store, role: field, originals: store}
groups:
  - {name: missed, split: store, kind: false_negative, class: Apple, max_images: 3}
  - {name: seen, split: store, kind: true_positive, like: missed, methods: [saliency]}
methods: [saliency, {smoothgrad: {samples: 20, noise: 0.2}}, {integrated_gradients: {baseline: black}}, lime@lime]
gates: ["accuracy[store] >= 0.9", {gate: "recall[store][*] >= 0.7", on: lower, min_support: 20, severity: warn}]
claims: ["accuracy[store] >= 0.99", "cause: light"]
target: predicted
trust: quick
memory: 4GB
seed: 9
out: audit
max_bad_share: 0.01
"""
TAGS = ["!!int ", "!!float ", "!!bool ", "!!timestamp ", "!!binary ", "!!set ", "!!omap ", "!!python/name:os.system ",
        "!x ", "&a ", "*a ", "? ", "- ", "| ", "> ", "<<: ", "%", "@"]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("lab/Apple", "store/Pear", "masks"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "m.keras").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(folder: Path, content: bytes | str, outcomes: Outcomes) -> None:
    path = folder / "audit.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))

    loaded: list[Config] = []
    outcomes.of(lambda: loaded.append(load_config(path).config))
    for config in loaded:
        assert load_again(folder, dump_config(config, folder)) == config
        sentence_of(lambda config=config: check(config))


def load_again(folder: Path, text: str) -> Config:
    (folder / "dumped.yaml").write_text(text)
    return load_config(folder / "dumped.yaml").config


def test_bytes(folder: Path, examples) -> None:
    outcomes = Outcomes(folder / "audit.yaml")

    @examples(200)
    @given(damaged(CONFIG.encode()))
    def holds(content: bytes) -> None:
        load(folder, content, outcomes)

    holds()
    assert outcomes.seen == {"passed", "refused"}


def test_values(folder: Path, examples) -> None:
    outcomes = Outcomes(folder / "audit.yaml")

    @examples(250)
    @given(changed(yaml.safe_load(CONFIG)))
    def holds(content: object) -> None:
        load(folder, yaml.safe_dump(content, allow_unicode=True), outcomes)

    holds()
    assert outcomes.seen == {"passed", "refused"}


def test_tags(folder: Path, examples) -> None:
    outcomes = Outcomes(folder / "audit.yaml")
    spaces = [i + 1 for i, c in enumerate(CONFIG) if c in " [{,"]

    @examples(150)
    @given(st.sampled_from(spaces), st.sampled_from(TAGS))
    def holds(at: int, tag: str) -> None:
        load(folder, CONFIG[:at] + tag + CONFIG[at:], outcomes)

    holds()
    assert outcomes.seen == {"passed", "refused"}


def test_overrides(folder: Path, examples) -> None:
    (folder / "audit.yaml").write_text(CONFIG)
    outcomes = Outcomes("--set", folder / "audit.yaml")
    keys = [
        "seed",
        "out",
        "model.path",
        "splits.0.path",
        "splits.9",
        "gates.0",
        "methods",
        "a.b.c",
        "title",
        "groups.1",
    ]

    @examples(100)
    @given(st.sampled_from(keys), st.one_of(st.text(max_size=20), st.sampled_from([str(v) for v in NASTY])))
    def holds(key: str, value: str) -> None:
        outcomes.of(lambda: load_config(folder / "audit.yaml", overrides=[f"{key}={value}"]))

    holds()
    assert outcomes.seen == {"passed", "refused"}


WORDS = ["accuracy", "recall", "verdict", "faithfulness", "cause", "[", "]", "[store]", "[*]", ">=", "<=", "==", "=",
         ":", "0.9", "1e999", "-", "nan", "baseline", "±", "read", "'", '"', "\\", " ", "\n", "\0", "é",
         "9" * 5000]  # fmt: skip


GOOD = ["accuracy[store] >= 0.9", "recall[store][*] >= 0.7", 'recall["a b"]["c]"] <= 1e-1', "accuracy[store] == 1"]
"""Read as a gate and as a claim, with a word more or without."""


@pytest.mark.parametrize("parse", [parse_gate, parse_claim])
def test_gates_and_claims(parse, examples) -> None:
    read = []
    nearly = st.builds(
        lambda text, at, word: text[:at] + word + text[at:],
        st.sampled_from(GOOD), st.integers(0, 30), st.sampled_from(["", *WORDS]),
    )  # fmt: skip

    @examples(300)
    @given(st.one_of(nearly, st.text(max_size=40), st.lists(st.sampled_from(WORDS), max_size=8).map("".join)))
    def holds(text: str) -> None:
        with suppress(ValueError):  # which the config turns into a sentence with its line
            parsed = parse(text)
            assert parse(parsed.text) == parsed
            read.append(text)

    holds()
    assert len(set(read)) > 5
