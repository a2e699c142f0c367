import dataclasses
import json

import jsonschema
import numpy as np
import pytest

from fruitaudit.errors import AuditError
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.report.artefacts import load_results, load_run, results_schema, save_results, save_run
from fruitaudit.report.predictions import class_columns, read_predictions, write_predictions


def test_results_and_run_come_back_as_they_were(folder):
    results, run = load_results(folder), load_run(folder)
    accuracy = results.evaluations[1].metrics["accuracy"]
    assert isinstance(accuracy, Estimate)
    assert (accuracy.value, accuracy.successes, accuracy.n) == (0.25, 3, 12)
    assert results.evaluations[1].metrics["auc_macro"] == NotRun("class two has no images", "not_computed")
    assert results.explanations[0].options == {"steps": 25, "kernel": None}
    assert type(results.explanations[0].options["steps"]) is int
    before = (folder / "results.json").read_bytes(), (folder / "run.json").read_bytes()
    save_results(folder, results)
    save_run(folder, run)
    assert before == ((folder / "results.json").read_bytes(), (folder / "run.json").read_bytes())


def test_floats_keep_every_bit(folder):
    results = load_results(folder)
    value = 0.1 + 0.2
    save_results(
        folder,
        dataclasses.replace(results, class_orders=(dataclasses.replace(results.class_orders[0], accuracy=value),)),
    )
    assert load_results(folder).class_orders[0].accuracy == value


def test_schema_accepts_what_is_written_and_refuses_a_misspelt_state(folder):
    schema, content = results_schema(), json.loads((folder / "results.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(content, schema)
    content["gates"][0]["state"] = "passed"
    with pytest.raises(jsonschema.ValidationError, match="passed"):
        jsonschema.validate(content, schema)


def test_numbers_that_are_not_finite_are_refused(folder):
    results = load_results(folder)
    findings = (dataclasses.replace(results.findings[0], effect=float("nan")),)
    before = (folder / "results.json").read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_results(folder, dataclasses.replace(results, findings=findings))
    assert (folder / "results.json").read_bytes() == before
    assert not list(folder.glob(".results*"))


@pytest.mark.parametrize(
    ("text", "slug", "says"),
    [
        (None, "results-missing", "holds no results.json"),
        ("{", "results-damaged", "cannot be read"),
        ("[]", "results-damaged", "no JSON object"),
        ('{"schema_version": "2"}', "results-version", "'2'"),
        ('{"schema_version": "1", "seed": NaN}', "results-damaged", "NaN"),
        ('{"schema_version": "1"}', "results-damaged", "title: Field required"),
    ],
)
def test_bad_results_are_one_sentence(tmp_path, text, slug, says):
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    with pytest.raises(AuditError) as caught:
        load_results(tmp_path)
    assert caught.value.slug == slug
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(AuditError, match="nowhere"):
        load_results(tmp_path / "nowhere")


def test_predictions_round_trip_and_are_deterministic(tmp_path):
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    split = Predictions(
        "a", "test", ("x", "<b>"), ("a/1", "a/2"), np.array([1, 1]), probabilities, np.log(probabilities)
    )
    first = write_predictions(tmp_path / "one.parquet", [split, split])
    second = write_predictions(tmp_path / "two.parquet", [split, split])
    assert first.read_bytes() == second.read_bytes()
    frame = read_predictions(first)
    assert list(frame.columns) == [
        "split", "sample_id", "group_id", "true", "predicted", "correct", "confidence", "p:x", "p:<b>",
    ]  # fmt: skip
    assert class_columns(frame) == ["x", "<b>"]
    assert frame["predicted"].tolist() == ["<b>", "x"] * 2
    assert frame["correct"].tolist() == [True, False] * 2
    assert frame["p:x"].dtype == np.float32
    np.testing.assert_array_equal(frame[["p:x", "p:<b>"]].to_numpy()[:2], probabilities)


def test_damaged_predictions_are_one_sentence(tmp_path):
    (tmp_path / "predictions.parquet").write_bytes(b"no parquet")
    with pytest.raises(AuditError, match="cannot be read"):
        read_predictions(tmp_path / "predictions.parquet")
    with pytest.raises(AuditError, match="is missing"):
        read_predictions(tmp_path / "other.parquet")
