"""The providers of each method on the user's own model: what agrees, what does not, and what could not be compared."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from zoo import KINDS

from fruitaudit.commands.progress import Quiet
from fruitaudit.commands.verify import (
    Figures,
    NotCompared,
    ProviderAgreement,
    correlations,
    figures_of,
    print_verified,
    ranks,
    verify,
)
from fruitaudit.config.schema import Config
from fruitaudit.providers.equal import native_options, options_for
from fruitaudit.providers.registry import all_methods
from fruitaudit.records.evidence import Counterfactual, Counterfactuals
from fruitaudit.records.explanations import Maps

ALIBI = os.environ.get("FRUITAUDIT_ALIBI_PYTHON")


def config_of(folder: Path, kind: str, **more: Any) -> Config:
    network = KINDS[kind]()
    network.save(folder / "model.keras")
    height, width, channels = network.input_shape[1:]
    rng = np.random.default_rng(5)
    n_classes = max(network.output_shape[-1], 2)
    for i in range(6):
        path = folder / "photos" / f"class_{i % n_classes}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = rng.integers(0, 256, (height // 4, width // 4, channels), dtype=np.uint8)
        cv2.imwrite(str(path), blocks.repeat(4, axis=0).repeat(4, axis=1))
    settings = {
        "model": {
            "path": folder / "model.keras",
            "classes": [f"class_{k}" for k in range(n_classes)],
            "preprocessing": {"resize": "stretch", "interpolation": "area", "scale": "0-1"},
        },
        "splits": [{"name": n, "path": folder / "photos", "role": n} for n in ("reference", "field")],
    }
    return Config.model_validate(settings | more)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ProviderAgreement | NotCompared]:
    config = config_of(tmp_path_factory.mktemp("verify"), "sequential",
                       methods=[{"smoothgrad": {"samples": 3, "noise": 0.0}},
                                {"integrated_gradients": {"steps": "auto"}},
                                {"occlusion": {"patch": 4, "explains": "logit"}},
                                {"activation_maximization": {"layers": [], "classes": 2, "steps": 12}}])  # fmt: skip
    return {f"{row.method}@{row.provider}": row for row in verify(config, 3, Quiet())}


@pytest.mark.slow
def test_every_provider_has_a_row(rows: dict[str, ProviderAgreement | NotCompared]) -> None:
    assert set(rows) == {f"{name}@{provider}" for name, provider in all_methods() if provider != "native"}


def test_each_comparison_is_a_stage_that_has_ended_when_its_row_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saliency = {key: kind for key, kind in all_methods().items() if key[0] == "saliency"}
    monkeypatch.setattr("fruitaudit.commands.verify.all_methods", lambda: saliency)
    titles: list[str] = []

    class Recorder:
        @contextmanager
        def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
            yield lambda _n: None
            titles.append(title)

    rows = verify(config_of(tmp_path, "sequential"), 1, Recorder())
    assert titles == ["open model and data"]
    for i, row in enumerate(rows, 1):
        assert titles[i:] == [f"compare saliency@{row.provider}, {i} of 2"]


@pytest.mark.slow
def test_what_is_right_agrees_and_what_is_wrong_comes_with_its_reason(rows: dict[str, Any]) -> None:
    for same in ("saliency@tf-keras-vis", "smoothgrad@tf-keras-vis"):  # the latter without noise, as the config says
        assert len(rows[same].pearson) == 3
        assert min(rows[same].pearson) > 0.999
        assert min(rows[same].spearman) > 0.99
    wrong = rows["integrated_gradients@tf-explain"]
    assert max(wrong.pearson) < 0.95
    assert "never multiplies by (x - baseline)" in wrong.caveat


@pytest.mark.slow
def test_both_get_equal_parameters_and_where_they_are_not_the_configs_the_row_says_so(rows: dict[str, Any]) -> None:
    assert rows["occlusion@tf-explain"].options == {"stride": 4, "explains": "probability"}
    assert rows["integrated_gradients@tf-explain"].options == {"steps": 25}
    assert rows["smoothgrad@tf-keras-vis"].options == {}
    assert rows["activation_maximization@tf-keras-vis"].options == {"parameterization": "pixel"}


@pytest.mark.slow
def test_what_each_explains_is_in_its_row(rows: dict[str, Any]) -> None:
    assert rows["occlusion@tf-explain"].explains == ("probability", "probability")
    assert rows["saliency@tf-explain"].explains == ("logit", "probability")
    assert rows["saliency@tf-keras-vis"].explains == ("logit", "logit")


OTHERS = [kind for (_, provider), kind in all_methods().items() if provider != "native"]
WITHOUT_COUNTERPART = {"activation_maximization": {"step_size", "total_variation", "l2"}}
"""In other units in the library; pictures are compared by what they excite."""


@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: kind.__name__)
def test_every_option_of_the_native_method_is_set_for_a_provider_or_known_to_have_no_counterpart(kind: Any) -> None:
    name = kind.registration.name
    native = all_methods()[name, "native"]
    options = native_options(kind())
    configured = native(**options)
    without_counterpart = {field.name for field in dataclasses.fields(native)} - options.keys()
    assert without_counterpart == WITHOUT_COUNTERPART.get(name, set())
    # And back: what the native method does then is what the provider does.
    assert native_options(kind(**options_for(kind, configured))) == options


@pytest.mark.slow
def test_methods_that_compare_with_reference_images_get_them(rows: dict[str, Any]) -> None:
    for row in rows.values():
        if isinstance(row, NotCompared):
            assert "add a split with the role reference" not in row.reason.reason


@pytest.mark.slow
def test_a_library_in_an_environment_of_its_own_is_asked_where_one_is_named(rows: dict[str, Any]) -> None:
    row = rows["cem@alibi"]
    assert isinstance(row, NotCompared)
    assert "make one with constraints-alibi.txt" in row.reason.reason


@pytest.mark.skipif(not ALIBI, reason="FRUITAUDIT_ALIBI_PYTHON names no interpreter that has alibi")
def test_a_library_in_an_environment_of_its_own_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With few iterations; both follow probabilities then, so that as many are found."""
    cem = {key: kind for key, kind in all_methods().items() if key[0] == "cem"}
    monkeypatch.setattr("fruitaudit.commands.verify.all_methods", lambda: cem)
    options = {"max_iterations": 5, "c_steps": 4, "beta": 0.01, "learning_rate": 0.05, "no_information": "black"}
    config = config_of(tmp_path, "sequential", methods=[{"cem": options}], providers={"alibi": {"python": ALIBI}})
    [row] = verify(config, 2, Quiet())
    assert isinstance(row, Figures)
    assert row.options == {"score": "probability"}
    assert row.figures["PN found that say something, of 2"] == (2, 2)
    ours, theirs = row.figures["PN median L1"]
    assert ours == pytest.approx(theirs, rel=0.2)


@pytest.mark.slow
def test_made_up_inputs_are_compared_by_how_strongly_they_excite(rows: dict[str, Any]) -> None:
    row = rows["activation_maximization@tf-keras-vis"]
    assert isinstance(row, Figures)
    [(ours, theirs)] = row.figures.values()
    assert ours > 0
    assert theirs > 0


def test_counterfactuals_are_compared_by_how_many_and_how_small() -> None:
    change = np.zeros((3, 2, 2, 1), np.float32)
    nothing = (np.full(3, np.nan, np.float32), np.full(3, -1), np.full(3, np.nan, np.float32))
    parts = [
        Counterfactual(mode, np.array(found), change, change, nothing[1], nothing[0], vacuous, nothing[2])
        for mode, found, vacuous in (
            ("PN", [True, True, False], ("", "", "")),
            ("PP", [True, False, False], ("all black", "", "")),
        )
    ]
    sizes = {"pn_l1": np.array([2.0, 4.0, np.nan]), "pp_l1": np.array([0.0, np.nan, np.nan])}
    counterfactuals = Counterfactuals(tuple(parts), np.zeros(1), np.ones(1), diagnostics=sizes)
    assert figures_of(counterfactuals) == {
        "PN found that say something, of 3": 2,
        "PN median L1": 3,
        "PP found that say something, of 3": 0,
        "PP median L1": None,
    }
    assert figures_of(Maps(change[..., 0])) == {}


def test_a_library_that_cannot_says_why(tmp_path: Path) -> None:
    rows = verify(config_of(tmp_path, "sigmoid"), 2, Quiet())
    reasons = [row.reason.reason for row in rows if isinstance(row, NotCompared)]
    assert any("one output per class only" in reason for reason in reasons)


def test_correlations_by_hand_and_none_for_a_constant_map() -> None:
    a = np.array([[[1.0, 2, 3, 4]], [[1, 2, 3, 4]], [[0, 0, 0, 0]], [[1, np.nan, 2, 3]]], np.float32)
    b = np.array([[[2.0, 4, 6, 8]], [[1, 4, 9, -16]], [[1, 2, 3, 4]], [[1, 2, 3, 4]]], np.float32)
    pearson, spearman = correlations(a, b), correlations(ranks(a), ranks(b))
    assert pearson[0] == pytest.approx(1)
    assert pearson[1] == pytest.approx(np.corrcoef([1, 2, 3, 4], [1, 4, 9, -16])[0, 1])
    assert spearman[1] == pytest.approx(1 - 6 * (1 + 1 + 1 + 9) / (4 * 15))
    assert pearson[2:] == (None, None)


@pytest.mark.slow
def test_rows_are_printed_as_they_come(rows: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    def comparing() -> Iterator[Any]:
        for name in ("saliency@tf-explain", "saliency@tf-keras-vis"):
            yield rows[name]
            assert f"\n{name}: " in capsys.readouterr().out

    print_verified(comparing(), as_json=False)


def test_the_readme_tells_every_field_of_the_json() -> None:
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    table = text[text.index("`fruitaudit verify --json`") :].split("\n\n")[1]
    fields = {name.strip("`") for line in table.splitlines()[2:] for name in line.split("|")[1].strip().split(", ")}
    assert fields == {
        field.name for row in (ProviderAgreement, Figures, NotCompared) for field in dataclasses.fields(row)
    }


@pytest.mark.slow
def test_printed_as_text_and_as_json(rows: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    maps = ProviderAgreement(
        "a", "b", (0.5, None, 0.7), (None,) * 3, "wrong by a lot", ("logit", "probability"), {"stride": 4}
    )
    figures = Figures("c", "d", {"PN median L1": (8.25, None), "PN found": (6.0, 0.0)}, "")
    printed = [rows["saliency@tf-keras-vis"], maps, figures]
    print_verified(printed, as_json=False)
    text = capsys.readouterr().out
    assert "saliency@tf-keras-vis: Pearson 1.00 (1.00 to 1.00); Spearman 1.00 (1.00 to 1.00)\n" in text
    maps_line = "a@b: Pearson 0.60 (0.50 to 0.70), 1 constant; Spearman none (constant maps)\n  wrong by a lot"
    note = "explains the probability, the native one the logit\n  the native one with its options: stride 4"
    assert f"{maps_line}\n  {note}" in "\n".join(line.rstrip() for line in text.splitlines())
    figures_line = "c@d: PN median L1: 8.25 natively, none theirs; PN found: 6 natively, 0 theirs"
    assert figures_line in " ".join(text.split())
    print_verified([*rows.values()], as_json=True)
    printed_rows = json.loads(capsys.readouterr().out)
    assert len(printed_rows) == len(rows)
    assert all(row.get("pearson") or row.get("figures") or row["reason"]["reason"] for row in printed_rows)
