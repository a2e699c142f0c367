"""Whole audits, from a config to the report."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pytest

from fruitaudit.commands.progress import Quiet
from fruitaudit.config.load import load_config
from fruitaudit.config.schema import Config
from fruitaudit.errors import AuditError
from fruitaudit.pipeline import audit
from fruitaudit.records.diagnosis import Diagnosis
from fruitaudit.records.results import Results, RunInfo
from fruitaudit.records.states import Estimate
from fruitaudit.records.trust import MethodTrust, TrustReport
from fruitaudit.report.artefacts import load_results, results_schema
from fruitaudit.report.render import render

SMALL = ["methods=[saliency, grad_cam_pp, {lime: {samples: 50}}]", "max_images=3"]
WHOLE = [
    "trust=quick",
    "diagnosis=quick",
    'claims=["accuracy[field] >= 0.99", "accuracy[test] >= 0.5", "cause: light"]',
]
"""With the tests of the explanations and the experiments, which the digits case leaves out."""


def settings(digits: Path, out: Path, *overrides: str) -> Config:
    return load_config(digits / "fruitaudit.yaml", overrides=[*SMALL, *overrides], out=out).config


def run(config: Config) -> tuple[Results, RunInfo]:
    return audit(config, Quiet(), "fruitaudit evaluate")


@pytest.fixture(scope="module")
def audited(digits: Path, made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    return made_once("whole audit", lambda out: run(settings(digits, out, *WHOLE)))


def test_everything_that_the_readme_names_is_there(audited: Path) -> None:
    names = {p.name for p in audited.iterdir()}
    # Examples of changes are drawn only where the lab's objects can be cut out.
    names -= {"diagnosis"}
    assert names == {"report.html", "summary.md", "junit.xml", "results.json", "run.json", "predictions.parquet",
                     "attributions", "pictures", "config.yaml", ".cache"}  # fmt: skip


def test_results_follow_the_published_schema_and_hold_no_timings(audited: Path) -> None:
    results = json.loads((audited / "results.json").read_text())
    jsonschema.validate(results, results_schema())
    assert "seconds" not in (audited / "results.json").read_text()


def test_the_model_works_in_the_lab_and_fails_in_the_field(audited: Path) -> None:
    results = load_results(audited)
    accuracy = {e.split: e.metrics["accuracy"].value for e in results.evaluations}
    assert accuracy["test"] > 0.93
    assert accuracy["field"] < 0.7
    assert results.findings[0].slug == "field-gap"


def test_explanations_are_tested_and_claims_answered(audited: Path) -> None:
    results = load_results(audited)
    assert isinstance(results.trust, TrustReport)
    assert {verdict.method for verdict in results.trust.verdicts} == {"saliency", "grad_cam_pp", "lime"}
    assert isinstance(results.diagnosis, Diagnosis)
    assert [claim.state for claim in results.diagnosis.claims] == ["refuted", "supported", "refuted"]
    assert 'id="trust"' in (audited / "report.html").read_text()


def test_predictions_are_all_there_and_agree_with_the_figures(audited: Path) -> None:
    table = pd.read_parquet(audited / "predictions.parquet")
    assert len(table) == 1000 + 400 + 397
    results = load_results(audited)
    for evaluation in results.evaluations:
        assert table[table.split == evaluation.split].correct.mean() == pytest.approx(
            evaluation.metrics["accuracy"].value
        )


def test_maps_are_raw_and_name_their_images_and_classes(audited: Path) -> None:
    results = load_results(audited)
    done = [row for row in results.explanations if row.state == "done"]
    assert {row.method for row in done} == {"saliency", "grad_cam_pp", "lime"}
    for row in done:
        stored = np.load(audited / row.file)
        assert stored["maps"].shape == (len(row.sample_ids), 28, 28)
        assert stored["maps"].dtype == np.float32
        assert tuple(stored["sample_ids"]) == row.sample_ids
        assert tuple(stored["targets"]) == row.target_classes
        assert row.scale == pytest.approx(np.abs(stored["maps"]).max())


def test_saliency_maps_are_the_gradient_of_the_logit(audited: Path, digits: Path) -> None:
    """Computed once more from the files alone, with Keras and a tape."""
    import cv2
    import keras
    import tensorflow as tf

    model = keras.models.load_model(digits / "digits_cnn.keras")
    results = load_results(audited)
    row = next(r for r in results.explanations if r.state == "done" and r.method == "saliency")
    stored = np.load(audited / row.file)
    for sample_id, target, expected in zip(row.sample_ids, row.target_classes, stored["maps"], strict=True):
        split, name = sample_id.split("/", 1)
        folder = {"field": digits / "field", "test": digits / "lab" / "test"}[split]
        image = cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE)[None, ..., None] / np.float32(255)
        with tf.GradientTape() as tape:
            x = tf.constant(image)
            tape.watch(x)
            features = x
            for layer in model.layers[:-1]:
                features = layer(features)
            logit = features @ model.layers[-1].kernel + model.layers[-1].bias
            score = logit[0, int(target.removeprefix("digit "))]
        np.testing.assert_allclose(expected, np.abs(tape.gradient(score, x).numpy()[0, ..., 0]), atol=1e-5)


def test_equal_runs_give_equal_bytes(audited: Path, digits: Path, tmp_path: Path) -> None:
    run(settings(digits, tmp_path, *WHOLE))
    compared = [
        p.relative_to(audited) for p in audited.rglob("*") if p.suffix in {".json", ".npz", ".png", ".jpg", ".parquet"}
    ]
    compared = [p for p in compared if p.name != "run.json" and p.parts[0] != ".cache"]
    assert len(compared) > 10
    for name in compared:
        assert (audited / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_another_seed_gives_other_draws(audited: Path, digits: Path, tmp_path: Path) -> None:
    results, _ = run(settings(digits, tmp_path, "seed=1", "methods=[]"))
    assert results.groups != load_results(audited).groups
    assert results.evaluations[0].confusion == load_results(audited).evaluations[0].confusion


def test_a_finished_audit_is_not_computed_again(audited: Path, digits: Path, tmp_path: Path) -> None:
    shutil.copytree(audited / ".cache", tmp_path / ".cache")
    results, info = run(settings(digits, tmp_path, *WHOLE))
    # What is left is the check of the preprocessing and nothing per image.
    assert sum(t.forward_passes + t.gradient_passes for t in info.timings if t.step != "open model and data") == 0
    assert results == load_results(audited)


def test_a_killed_run_leaves_no_report_and_resumes(digits: Path, tmp_path: Path) -> None:
    class Killed(Quiet):
        @contextmanager
        def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
            if title == "draw pictures":
                raise KeyboardInterrupt
            yield lambda _n: None

    with pytest.raises(KeyboardInterrupt):
        audit(settings(digits, tmp_path), Killed(), "fruitaudit evaluate")
    assert [p.name for p in tmp_path.iterdir()] == [".cache"]
    _, info = run(settings(digits, tmp_path, "methods=[]"))
    assert {t.forward_passes for t in info.timings if t.step.startswith("predict")} == {0}


def test_the_report_can_be_rendered_on_another_computer(audited: Path, tmp_path: Path) -> None:
    copied = tmp_path / "mailed"
    shutil.copytree(audited, copied, ignore=shutil.ignore_patterns(".cache", "report.html"))
    render(copied)
    assert (copied / "summary.md").read_text() == (audited / "summary.md").read_text()
    assert len((copied / "report.html").read_text()) == pytest.approx(
        len((audited / "report.html").read_text()), rel=0.01
    )


def test_a_method_that_does_not_apply_costs_only_itself(digits: Path, tmp_path: Path) -> None:
    results, _ = run(settings(digits, tmp_path, "methods=[saliency, {occlusion: {patch: 29}}]", "max_images=1"))
    states = {(row.method, row.state) for row in results.explanations}
    assert states == {("saliency", "done"), ("occlusion", "not_run")}
    reason = next(row.reason.reason for row in results.explanations if row.state == "not_run")
    assert "a patch of 29 pixels does not fit an image of 28 x 28" in reason


def test_bad_files_are_counted_named_and_close_the_gates(digits: Path, tmp_path: Path) -> None:
    field = tmp_path / "field"
    shutil.copytree(digits / "field", field)
    first, second = sorted(field.glob("digit 3/*.png"))[:2]
    first.write_bytes(b"")
    second.write_bytes(second.read_bytes()[:60])
    splits = f"splits=[{{name: field, path: {field}, role: field}}]"
    gates = 'gates=["accuracy[field] >= 0.1"]'
    results, _ = run(settings(digits, tmp_path / "few", splits, gates, "methods=[]"))
    assert results.splits[0].n_used == results.evaluations[0].n == 395
    assert {bad.name.rsplit("/", 1)[-1] for bad in results.splits[0].bad} == {first.name, second.name}
    assert results.verdict.exit_code == 0
    strict, _ = run(settings(digits, tmp_path / "strict", splits, gates, "methods=[]", "max_bad_share=0.005"))
    assert strict.gates[0].state == "not_run"
    assert strict.verdict.exit_code == 3
    with pytest.raises(AuditError, match=f"{first.name}.*on_bad_image: skip"):
        run(settings(digits, tmp_path / "fail", splits, gates, "methods=[]", "on_bad_image=fail"))


def test_store16_figures_are_the_independent_ones(store16: Path, tmp_path: Path) -> None:
    expected = json.loads((store16 / "expected_store.json").read_text())
    model, photos = store16 / "models" / "fruit_cnn.keras", store16 / "store"
    preprocessing = "model.preprocessing={resize: center_crop, interpolation: area, scale: 0-1}"
    config = load_config(
        None, model=model, data=[f"store={photos}"], out=tmp_path, overrides=[preprocessing, "methods=[]"]
    ).config
    results, _ = run(config)
    metrics = {name: value.value for name, value in results.evaluations[0].metrics.items() if value.state == "estimate"}
    names = {"accuracy": "accuracy", "no_information_rate": "no_information_rate", "top3_accuracy": "top3_accuracy",
             "auc_macro": "auc_macro_ovr", "auc_micro": "auc_micro_ovr", "cohen_kappa": "cohen_kappa",
             "mcc": "matthews_corrcoef"}  # fmt: skip
    for ours, theirs in names.items():
        assert metrics[ours] == pytest.approx(expected[theirs], abs=1e-6), ours
    assert [list(row) for row in results.evaluations[0].confusion] == expected["confusion_matrix_rows_true"]


def test_trust_varies_layers_that_the_users_model_has(digits: Path, tmp_path: Path) -> None:
    """No name of a layer of the tests' own networks reaches a report."""
    results, _ = run(settings(digits, tmp_path, "methods=[grad_cam, guided_grad_cam]", "max_images=8", "trust=quick"))
    assert isinstance(results.trust, TrustReport)
    layers = [layer.name for layer in results.model.layers]
    for tested in results.trust.methods:
        assert isinstance(tested, MethodTrust)
        [setting] = [setting for setting in tested.settings if setting.option == "layer"]
        assert setting.value in layers
        # Where Grad-CAM's ReLU leaves nothing of an early layer, there is no correlation; that there is no such layer
        # would be another reason.
        assert isinstance(setting.spearman, Estimate) or setting.spearman.code != "not_applicable"
    for name in ("results.json", "report.html"):
        text = (tmp_path / name).read_text()
        assert not re.search('"early"|= early|layer early', text)
