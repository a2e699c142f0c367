"""Maps of the right pixels: what may be read from the cache, and what must not be overwritten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fruitaudit.audit.explaining import targets_of
from fruitaudit.commands.progress import Quiet
from fruitaudit.config.schema import Config
from fruitaudit.errors import ConfigError
from fruitaudit.pipeline import audit
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.explanations import ExplanationRow
from fruitaudit.records.results import Results
from fruitaudit.report.artefacts import load_run


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 32 x 32 and noise of 48 x 40, so that every way to resize gives other pixels."""
    from zoo import KINDS

    folder = tmp_path_factory.mktemp("case")
    KINDS["sequential"]().save(folder / "model.keras")
    rng = np.random.default_rng(5)
    for i in range(10):
        path = folder / "photos" / f"class_{i % 5}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), rng.integers(0, 256, (40, 48, 3), dtype=np.uint8))
    return folder


def run(
    case: Path, out: Path, methods: list[object], target: str = "predicted", memory: str | None = None,
    batch_size: int = 64, **preprocessing: str,
) -> Results:  # fmt: skip
    written = {"resize": "stretch", "interpolation": "area", "scale": "0-1"} | preprocessing
    config = Config.model_validate(
        {
            "model": {"path": case / "model.keras", "preprocessing": written},
            "splits": [{"name": "photos", "path": case / "photos", "role": "field"}],
            "methods": methods,
            "target": target,
            "memory": memory,
            "batch_size": batch_size,
            "trust": "off",
            "diagnosis": "off",
            "out": out,
        }
    )
    return audit(config, Quiet(), "")[0]


def done(results: Results) -> list[ExplanationRow]:
    return [row for row in results.explanations if isinstance(row, ExplanationRow)]


def maps(results: Results, out: Path) -> dict[str, np.ndarray]:
    """The map of every image, by group and sample."""
    maps_by_sample = {}
    for row in done(results):
        with np.load(out / row.file) as stored:
            maps_by_sample |= {f"{row.file}:{i}": m for i, m in zip(stored["sample_ids"], stored["maps"], strict=True)}
    return maps_by_sample


def test_another_preprocessing_in_the_same_folder_gets_maps_of_its_own(case: Path, tmp_path: Path) -> None:
    run(case, tmp_path / "used", ["saliency"])
    used = maps(run(case, tmp_path / "used", ["saliency"], interpolation="nearest"), tmp_path / "used")
    fresh = maps(run(case, tmp_path / "fresh", ["saliency"], interpolation="nearest"), tmp_path / "fresh")
    assert used.keys() == fresh.keys()
    for name, expected in fresh.items():
        np.testing.assert_array_equal(used[name], expected)


def test_one_method_with_two_sets_of_options_has_two_files(case: Path, tmp_path: Path) -> None:
    results = run(case, tmp_path, [{"smoothgrad": {"samples": 2}}, {"smoothgrad": {"samples": 5}}])
    rows = done(results)
    assert {row.options["samples"] for row in rows} == {2, 5}
    for row in rows:
        with np.load(tmp_path / row.file) as stored:
            assert abs(stored["maps"]).max() == pytest.approx(row.scale)
    assert len({row.file for row in rows}) == len(rows)


def test_gradients_that_methods_share_are_counted_once_and_said_to_be_shared(case: Path, tmp_path: Path) -> None:
    results = run(case, tmp_path / "both", ["smoothgrad", "vargrad"])
    mean, variance = (row for row in done(results) if row.group == results.groups[0].name)
    assert (mean.model_passes, variance.model_passes) == (20 * len(mean.sample_ids), 0)
    assert variance.notes == ("gradients at 20 copies with 20% noise: those that another method had made",)
    assert mean.notes == ()
    [alone] = (row for row in done(run(case, tmp_path / "one", ["vargrad"])) if row.group == results.groups[0].name)
    assert (alone.model_passes, alone.notes) == (mean.model_passes, ())
    together = maps(results, tmp_path / "both")
    for name, expected in maps(results=run(case, tmp_path / "one", ["vargrad"]), out=tmp_path / "one").items():
        np.testing.assert_array_equal(together[name], expected)


def test_passes_of_another_library_are_not_counted_instead_of_none(case: Path, tmp_path: Path) -> None:
    results = run(case, tmp_path, ["saliency", "saliency@tf-explain"])
    native, theirs = (row for row in done(results) if row.group == results.groups[0].name)
    assert native.model_passes == len(native.sample_ids)
    assert theirs.model_passes is None
    assert "not counted" in (tmp_path / "report.html").read_text()


def test_a_contrast_is_with_the_true_class_on_errors_and_with_the_runner_up_on_right_answers() -> None:
    probabilities = np.array([[0.5, 0.2, 0.3], [0.5, 0.2, 0.3], [0.1, 0.8, 0.1]], np.float32)
    predictions = Predictions(
        "s", "field", ("a", "b", "c"), ("0", "1", "2"), np.array([0, 1, 2]), probabilities, probabilities
    )
    rows = np.array([2, 0, 1])
    targets = {rule: targets_of(rule, predictions, rows) for rule in ("predicted", "true", "contrast")}
    assert [t.classes.tolist() for t in targets.values()] == [[1, 0, 0], [2, 0, 1], [1, 0, 0]]
    assert [t.against is None for t in targets.values()] == [True, True, False]
    assert targets["contrast"].against.tolist() == [2, 2, 1]


def test_a_contrast_is_told_row_by_row_and_methods_without_one_say_so(case: Path, tmp_path: Path) -> None:
    usual = run(case, tmp_path, ["saliency", "eigen_cam"])
    results = run(case, tmp_path, ["saliency", "eigen_cam", {"cem": {"no_information": "black"}}], target="contrast")
    before, after = ({(r.group, r.method): r for r in done(results_)} for results_ in (usual, results))
    assert before.keys() == after.keys()
    for key, plain in before.items():
        row = after[key]
        if row.method == "eigen_cam":  # the same whatever the class
            assert (row.target, row.against_classes, row.explains) == ("predicted", (), "activation")
            continue
        assert (plain.target, plain.against_classes) == ("predicted", ())
        assert (row.target, row.explains) == ("contrast", "logit")
        assert row.target_classes == plain.target_classes
        assert all(a != b for a, b in zip(row.target_classes, row.against_classes, strict=True))
        assert row.scale != plain.scale  # also: not from the cache of the other question
    reasons = {row.reason.reason for row in results.explanations if not isinstance(row, ExplanationRow)}
    assert any("cannot tell why one class was preferred to another" in reason for reason in reasons)


def test_batch_size_and_memory_that_suffices_change_no_byte(case: Path, tmp_path: Path) -> None:
    methods: list[object] = ["saliency", {"smoothgrad": {"samples": 33}}, "deep_lift", {"rise": {"samples": 70}}]
    settings: dict[str, dict[str, Any]] = {"a": {}, "b": {"batch_size": 5}, "c": {"batch_size": 333, "memory": "3GB"}}
    for name, more in settings.items():
        run(case, tmp_path / name, methods, **more)
    files = {
        p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if ".cache" not in p.parts and p.is_file()
    }
    assert any(file.suffix == ".npz" for file in files)
    for file in files - {Path("run.json"), Path("report.html"), Path("config.yaml")}:
        contents = {(tmp_path / name / file).read_bytes() for name in settings}
        assert len(contents) == 1, file


def test_less_memory_means_smaller_batches_and_the_same_maps(case: Path, tmp_path: Path) -> None:
    from fruitaudit.models.keras.classifier import open_classifier

    needs = open_classifier(case / "model.keras").memory_needs
    methods: list[object] = ["saliency", {"smoothgrad": {"samples": 3}}, "lrp", "layer_cam", {"rise": {"samples": 20}}]
    whole = run(case, tmp_path / "whole", methods)
    little = run(case, tmp_path / "little", methods, memory=f"{(needs.program + 3 * needs.image) / 1e6:f}MB")
    plans = [load_run(tmp_path / name).memory for name in ("whole", "little")]
    assert [plan.batch_size for plan in plans] == [32, 2]
    assert plans[0].image_mb == plans[1].image_mb == needs.image / 1e6
    theirs = maps(whole, tmp_path / "whole")
    for name, ours in maps(little, tmp_path / "little").items():
        np.testing.assert_allclose(ours, theirs[name], rtol=1e-5, atol=1e-5 * abs(theirs[name]).max(), err_msg=name)
    with pytest.raises(ConfigError, match="set at least"):
        run(case, tmp_path / "none", methods, memory="900MB")
