"""A small audit folder with everything that a report can meet: nasty names, gaps, failures, empty and missing files."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fruitaudit.records.data import BadFile, ColourNote, SplitSummary
from fruitaudit.records.evaluation import AverageRow, ClassRow, Curve, Predictions, ReliabilityBin, SplitEvaluation
from fruitaudit.records.explanations import ExplanationNotRun, ExplanationRow, Group, Maps, Segments
from fruitaudit.records.inputs import PreparationSetting, PreparationTrial, PreprocessingSummary
from fruitaudit.records.judgement import Finding, GateResult, Verdict
from fruitaudit.records.model import LayerRow, ModelSummary
from fruitaudit.records.packing import pack
from fruitaudit.records.results import ClassOrder, Picture, Results, RunInfo, SheetRow, Timing
from fruitaudit.records.states import Estimate, NotRun
from fruitaudit.report.artefacts import save_results, save_run
from fruitaudit.report.predictions import write_predictions
from fruitaudit.report.render import render
from fruitaudit.runtime.files import write_arrays

SCRIPT = "<script>window.hacked=1</script>"
QUOTES = "\"><img src=x onerror=window.hacked=1>'`{{7*7}}"
NAMES = (SCRIPT, QUOTES, "Pear|*_\x1b[31m")
SIDE = 12
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def share(hits: int, n: int) -> Estimate:
    return Estimate(hits / n, n, max(0.0, hits / n - 0.1), min(1.0, hits / n + 0.1), hits, "Wilson")


def make_predictions(split: str, role: str, n: int, right: int) -> Predictions:
    """`right` of `n` images of all classes get the right answer, the others the next class."""
    labels = np.arange(n) % 3
    predicted = np.where(np.arange(n) < right, labels, (labels + 1) % 3)
    probabilities = np.full((n, 3), 0.1, np.float32)
    probabilities[np.arange(n), predicted] = 0.8
    ids = tuple(f"{split}/{NAMES[label]}/{i:03d}.png" for i, label in enumerate(labels))
    return Predictions(split, role, NAMES, ids, labels, probabilities, np.log(probabilities))


def make_evaluation(predictions: Predictions) -> SplitEvaluation:
    labels, predicted = predictions.labels, predictions.predicted
    n, hits = len(labels), int((labels == predicted).sum())
    confusion = np.zeros((3, 3), int)
    np.add.at(confusion, (labels, predicted), 1)
    gap = NotRun("no images were called this class", "not_computed")
    classes = tuple(
        ClassRow(
            name,
            int(confusion[k].sum()),
            int(confusion[:, k].sum()),
            int(confusion[k, k]),
            gap if k == 2 else share(int(confusion[k, k]), int(confusion[:, k].sum())),
            share(int(confusion[k, k]), int(confusion[k].sum())),
            Estimate(0.5, n, 0.4, 0.6),
            Estimate(0.25 * (k + 1), n),
            Estimate(0.3, n),
        )
        for k, name in enumerate(NAMES)
    )
    curves = tuple(Curve(name, (0.0, 0.5, 1.0), (0.0, 0.75, 1.0), n, 4) for name in NAMES)
    return SplitEvaluation(
        split=predictions.split,
        role=predictions.role,
        n=n,
        metrics={
            "accuracy": share(hits, n),
            "no_information_rate": share(n // 3, n),
            "top2_accuracy": share(n, n),
            "log_loss": Estimate(1.25, n, 1.0, 1.5, interval="stratified bootstrap"),
            "auc_macro": NotRun("class two has no images", "not_computed"),
        },
        classes=classes,
        averages=(AverageRow("macro", share(hits, n), share(hits, n), share(hits, n)),),
        confusion=tuple(map(tuple, confusion.tolist())),
        roc=(Curve("micro", (0.0, 1.0), (0.0, 1.0), n), *curves),
        precision_recall=curves,
        reliability=(
            ReliabilityBin(0.0, 0.5, 0, None, NotRun("no images", "not_computed")),
            ReliabilityBin(0.5, 1.0, n, 0.8, share(hits, n)),
        ),
        coverage=Curve("coverage", (0.1, 1.0), (1.0, hits / n), n),
        notes=("A note on intervals.",),
    )


def _row(method: str, *, signed: bool, scale: float, ids: tuple[str, ...], **values: object) -> ExplanationRow:
    fields = {
        "group": "missed",
        "method": method,
        "title": method.capitalize(),
        "provider": "native",
        "explains": "logit",
        "channels": "sum",
        "signed": signed,
        "options": {"steps": 25, "kernel": None},
        "file": f"attributions/missed/{method}.npz",
        "kind": "maps",
        "sample_ids": ids,
        "target_classes": (NAMES[1],) * len(ids),
        "scale": scale,
        "empty": (),
        "diagnostics": {},
        "notes": (),
        "model_passes": 50,
        "question": f"What does {method} ask?",
        "paper": "Somebody 2017",
    }
    return ExplanationRow(**fields | values)


def _explanations(out: Path, ids: tuple[str, ...]) -> tuple[ExplanationRow | ExplanationNotRun, ...]:
    rng = np.random.default_rng(0)
    unsigned = rng.random((3, SIDE, SIDE), np.float32)
    unsigned[1] = 0
    signed = rng.normal(size=(3, SIDE, SIDE)).astype(np.float32)
    signed[2, 0, 0] = np.nan
    segments = np.broadcast_to((np.arange(SIDE) // 4)[:, None], (3, SIDE, SIDE)).astype(np.int32)
    coefficients = np.tile(np.array([0.5, -0.25, 0.0, np.nan], np.float32), (3, 1))
    lime = Segments(segments, coefficients)
    end = float(np.nanmax(np.abs(signed[:2])))
    extra = {"sample_ids": np.array(ids)}
    write_arrays(out / "attributions/missed/saliency.npz", {**pack(Maps(unsigned)), **extra})
    write_arrays(out / "attributions/missed/integrated_gradients.npz", {**pack(Maps(signed)), **extra})
    write_arrays(out / "attributions/missed/blank.npz", {**pack(Maps(np.zeros_like(unsigned))), **extra})
    write_arrays(
        out / "attributions/missed/lime.npz",
        {"maps": lime.values, **pack(lime), **extra},
    )
    return (
        _row("saliency", signed=False, scale=float(unsigned.max()), ids=ids, empty=(ids[1],)),
        _row(
            "integrated_gradients",
            signed=True,
            scale=end,
            ids=ids,
            empty=(ids[2],),
            caveat="Its sign is wrong.",
            diagnostics={"completeness_error": (0.01, 0.07, 0.4)},
        ),
        _row("blank", signed=False, scale=0.0, ids=ids, empty=ids),
        _row("lime", signed=True, scale=0.5, ids=ids, kind="segments", diagnostics={"r2": (0.5, None, 0.25)}),
        _row("gone", signed=False, scale=1.0, ids=ids),
        ExplanationNotRun(
            "missed", "grad_cam_pp", "Grad-CAM++", NotRun("no layer has a spatial activation", "not_computed")
        ),
    )


def _pictures(out: Path, predictions: Predictions, ids: tuple[str, ...]) -> tuple[Picture, ...]:
    (out / "pictures").mkdir()
    pictures = []
    for i, sample_id in enumerate(ids):
        pixels = np.full((SIDE, SIDE, 3), 40 * i, np.uint8)
        Image.fromarray(pixels).save(out / f"pictures/{i}.png")
        Image.fromarray(pixels).resize((90, 90)).save(out / f"pictures/{i}.jpg")
        row = predictions.sample_ids.index(sample_id)
        pictures.append(
            Picture(
                sample_id,
                NAMES[predictions.labels[row]],
                NAMES[predictions.predicted[row]],
                {name: float(p) for name, p in zip(NAMES, (0.1, 0.8, 0.00001), strict=True)},
                f"pictures/{i}.png",
                None if i == 1 else f"pictures/{i}.jpg",
                None if i == 1 else (640, 480),
            )
        )
    return tuple(pictures)


def _gates(store: SplitEvaluation) -> tuple[GateResult, ...]:
    accuracy = store.metrics["accuracy"]
    return (
        GateResult("accuracy[store] >= 0.9", "fail", "fail", accuracy, "Accuracy is 25.0 % (3 of 12).", "20 images."),
        GateResult("recall[store][*] >= 0.7", "fail", "warn", accuracy, "Worst is " + SCRIPT, ""),
        GateResult("accuracy[test] >= 0.9", "pass", "fail", accuracy, "Accuracy is 100.0 %.", ""),
        GateResult(
            "auc[store][x] > 1", "not_run", "fail", NotRun("no class x", "not_computed"), "There is no class x.", ""
        ),
    )


def make_results(out: Path) -> Results:
    """Write the folder's arrays, pictures and predictions, and return what belongs into results.json."""
    test, store = make_predictions("test", "test", 9, 9), make_predictions("store", "field", 12, 3)
    write_predictions(out / "predictions.parquet", [test, store])
    ids = store.sample_ids[6:9]
    evaluations = (make_evaluation(test), make_evaluation(store))
    layers = (
        LayerRow("conv", "Conv2D", (11, 11, 8), 104, detail="2x2, 8 filters, relu", brief="2x2, relu"),
        LayerRow("drop", "Dropout", (11, 11, 8), 0),
        LayerRow("flat", "Flatten", (968,), 0),
        LayerRow("dense", "Dense", (3,), 2907, detail="3 units, softmax", brief="softmax"),
    )
    return Results(
        title="Audit of " + SCRIPT,
        seed=9,
        model=ModelSummary(
            "cnn",
            "cnn.keras",
            "a" * 64,
            "Keras 3",
            (SIDE, SIDE, 3),
            NAMES,
            "the class folders",
            "softmax",
            "the last Dense layer",
            3011,
            layers,
            "conv",
            (QUOTES,),
        ),
        preprocessing=PreprocessingSummary(
            SIDE,
            SIDE,
            3,
            "center_crop",
            "area",
            "0-1",
            "rgb",
            (PreparationSetting("scale", "0-1", "undecided", "0-1 fits best."),),
            Estimate(0.9, 10, 0.6, 0.98, successes=9),
            "test",
            (PreparationTrial({"scale": "-1-1"}, Estimate(0.6, 10, 0.3, 0.8, successes=6), -0.3, 0.2, False, True),),
        ),
        splits=(
            SplitSummary("test", "test", "lab/test", 9, 9, (3, 3, 3), (), (), "b" * 64),
            SplitSummary(
                "store",
                "field",
                "store",
                13,
                12,
                (4, 4, 4),
                (BadFile(QUOTES, "not an image"),),
                (ColourNote("grey repeated to RGB", 2),),
                "c" * 64,
            ),
        ),
        evaluations=evaluations,
        class_orders=(ClassOrder("as given", "test", 1.0, 9), ClassOrder("reversed", "test", 1 / 3, 9)),
        groups=(
            Group(
                "missed",
                "Missed " + SCRIPT,
                "store",
                "false_negative",
                SCRIPT,
                "the lowest recall",
                "3 of 9 drawn",
                9,
                ids,
            ),
            Group("none", "Nothing fits", "store", "true_positive", SCRIPT, "right answers", "none", 0, (), "missed"),
        ),
        explanations=_explanations(out, ids),
        pictures=_pictures(out, store, ids),
        contact_sheet=(SheetRow("store", SCRIPT, 4, ("pictures/0.jpg", "pictures/lost.jpg"), ids[:2]),),
        findings=(
            Finding(
                "gap",
                "critical",
                "It fails on " + SCRIPT,
                ("25.0 % of 12",),
                "Collect <b>images</b>.",
                0.75,
                ids,
                "store",
            ),
        ),
        gates=_gates(evaluations[1]),
        verdict=Verdict("fail", 1, "1 of 3 gates failed: accuracy[store] >= 0.9."),
        config_sha256="d" * 64,
        fruitaudit_version="0.1.0",
    )


RUN = RunInfo(
    "2026-01-02T03:04:05+00:00",
    12.5,
    345.0,
    "fruitaudit evaluate",
    "CPU",
    {"keras": "3.15.1"},
    {"model": "a" * 64},
    (Timing("predict store", 1.5, 12, 0), Timing("saliency", 2.0, 0, 150, True)),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An output folder before it is rendered."""
    save_results(tmp_path, make_results(tmp_path))
    save_run(tmp_path, RUN)
    return tmp_path


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """An output folder of an audit that only evaluated one split, without gates, groups or findings."""
    full = make_results(tmp_path)
    test = dataclasses.replace(full.evaluations[0], role="test")
    save_results(
        tmp_path,
        dataclasses.replace(
            full,
            splits=full.splits[:1],
            evaluations=(test,),
            class_orders=(),
            groups=(),
            explanations=(),
            pictures=(),
            contact_sheet=(),
            findings=(),
            gates=(),
            verdict=Verdict("no_gates", 0, "No gates are set: nothing was judged."),
        ),
    )
    write_predictions(tmp_path / "predictions.parquet", [make_predictions("test", "test", 9, 9)])
    save_run(tmp_path, dataclasses.replace(RUN, hashes={}, timings=()))
    return tmp_path


@pytest.fixture(scope="module")
def browser():
    """Chromium, where the machine has it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def rendered(browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered folder for tests that only look at it."""
    folder = tmp_path_factory.mktemp("rendered")
    save_results(folder, make_results(folder))
    save_run(folder, RUN)
    render(folder)
    return folder


@pytest.fixture
def open_report(browser, rendered):
    """Open the rendered folder in a window of this width; `complaints` are errors and requests to elsewhere."""
    pages = []

    def open_(width: int):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda request: page.complaints.append(request.url) if outside(request.url) else None)
        page.goto((rendered / "report.html").as_uri())
        pages.append(page)
        return page

    yield open_
    for page in pages:
        page.close()


def outside(url: str) -> bool:
    return not url.startswith(("file:", "data:"))
