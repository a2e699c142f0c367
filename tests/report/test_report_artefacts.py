import dataclasses
import errno
import json

import jsonschema
import numpy as np
import pytest

from fruitaudit.errors import AuditError
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.report.artefacts import load_results, load_run, results_schema, save_results, save_run
from fruitaudit.report.folder import made_of
from fruitaudit.report.predictions import class_columns, read_predictions, write_predictions
from fruitaudit.report.render import REPORTERS, render, render_again


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
        ("[" * 100_000, "results-damaged", "it is nested too deeply"),
        ('{"a":' * 100_000, "results-damaged", "it is nested too deeply"),
        ('{"seed": ' + "9" * 5000 + "}", "results-damaged", "cannot be read"),
        ('{"schema_version": "1", "seed": 1e999}', "results-damaged", "1e999 is too large"),
        ('{"schema_version": "1", "title": "\\ud800"}', "results-damaged", "is not what fruitaudit writes"),
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


def change(folder, path, value):
    """Another value in results.json, at this path of keys."""
    content = json.loads((folder / "results.json").read_text())
    *above, last = path
    place = content
    for step in above:
        place = place[step]
    place[last] = value
    (folder / "results.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("evaluations", 0, "split"), "shop", "evaluations.0.split: there is no split shop"),
        (("evaluations", 1, "confusion"), [[1]], "evaluations.1.confusion: should have 3 rows and columns"),
        (("model", "class_names"), ["a"], "evaluations.0.classes: should have 1 entries"),
        (("groups", 0, "split"), "shop", "groups.0.split: there is no split shop"),
        (("explanations", 0, "group"), "else", "explanations.0.group: there is no group else"),
        (("explanations", 0, "target_classes"), ["a"], "explanations.0.target_classes: should have 3 entries"),
        (
            ("explanations", 0, "against_classes"),
            ["a"],
            "explanations.0.against_classes: should have 3",
        ),
        (("explanations", 0, "diagnostics"), {"a": [1, 2]}, "explanations.0.diagnostics.a: should have 3 entries"),
        (("contact_sheet", 0, "thumbnails"), [], "contact_sheet.0.thumbnails: should have"),
    ],
)
def test_parts_that_contradict_each_other_are_one_sentence(folder, path, value, says):
    change(folder, path, value)
    with pytest.raises(AuditError, match=f"is not what fruitaudit writes .{says}") as caught:
        load_results(folder)
    assert caught.value.slug == "results-damaged"


def test_what_no_rule_foresees_is_one_sentence_in_the_command_alone(folder, monkeypatch):
    def lost(opened):
        raise KeyError("a class\nof another model")

    monkeypatch.setitem(REPORTERS, "summary.md", lost)
    with pytest.raises(KeyError):
        render(folder)
    with pytest.raises(
        AuditError, match=r"does not hold what an audit writes \(KeyError: .*\): run the audit again"
    ) as e:
        render_again(folder)
    assert "\n" not in str(e.value)


def test_a_full_disk_is_no_fault_of_the_folder(tmp_path):
    with pytest.raises(OSError, match="No space"), made_of(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


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
    (tmp_path / "folder").mkdir()
    with pytest.raises(AuditError, match="has no column split"):
        read_predictions(tmp_path / "folder")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_predictions_cut_off_are_one_sentence(folder, share):
    file = folder / "predictions.parquet"
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    with pytest.raises(AuditError, match=r"predictions\.parquet cannot be read") as caught:
        render_again(folder)
    assert "\n" not in str(caught.value)


def test_predictions_of_other_columns_are_one_sentence(folder):
    file = folder / "predictions.parquet"
    frame = read_predictions(file)
    frame.drop(columns="true").to_parquet(file)
    with pytest.raises(AuditError, match="has no column true"):
        read_predictions(file)
    frame.assign(confidence="high").to_parquet(file)
    with pytest.raises(AuditError, match="holds no numbers in its column confidence"):
        read_predictions(file)
