"""A small audit folder to rate: eight errors and eight right answers, three methods on each, nasty names."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report.conftest import NAMES, RUN, SCRIPT, SIDE, browser, make_results, outside  # noqa: F401
from trust.trust_records import GOOD, comparison

from fruitaudit.rating.choosing import RatedPanel, RatingSheet, make_sheet
from fruitaudit.rating.sheet import render_sheet
from fruitaudit.records.explanations import ExplanationRow, Group, Maps, Segments
from fruitaudit.records.packing import pack
from fruitaudit.records.results import Picture
from fruitaudit.records.trust import Agreement, MethodVerdict, TrustReport
from fruitaudit.report.artefacts import save_results, save_run
from fruitaudit.report.folder import Folder, open_folder
from fruitaudit.runtime.files import write_arrays

ERRORS, RIGHT = (tuple(f"store/secret {kind}/{i}.png" for i in range(8)) for kind in ("fig", "kiwi"))
VERDICTS = {"saliency": "read", "lime": "with_care", "occlusion": "do_not_read"}
GAINS = {"saliency": 0.3, "lime": 0.1, "occlusion": -0.2}
EMPTY = ERRORS[0]
"""The picture on which LIME found nothing."""


@dataclass(frozen=True)
class Audit:
    """The folder, and what a rater does with its sheet."""

    path: Path

    def change(self, **values: object) -> None:
        """Another value in results.json."""
        save_results(self.path, replace(self.folder.results, **values))

    @property
    def folder(self) -> Folder:
        return open_folder(self.path)

    def sheet(self, seed: int = 9, pictures: int = 10) -> RatingSheet:
        return make_sheet(self.folder, seed, pictures)

    def page(self, seed: int = 9, pictures: int = 10) -> str:
        return render_sheet(self.folder, self.sheet(seed, pictures))

    def answer(self, rater: str, rating, name: str = "", **values: object) -> Path:
        """A file as the page saves it; `rating` is a function of the panel."""
        sheet = self.sheet()
        ratings = {panel.id: value for panel in sheet.panels if (value := rating(panel)) != "missing"}
        content = {"format": "fruitaudit-ratings-1", "sheet": sheet.code, "rater": rater, "ratings": ratings}
        path = self.path.parent / (name or f"ratings-{rater}.json")
        path.write_text(json.dumps(content | values))
        return path


def knowing(panel: RatedPanel) -> int:
    """A rater who knows the verdicts and sees through the controls."""
    return {"saliency": 5, "lime": 4, "occlusion": 3}.get(panel.source.method, 1)


def row_of(method: str, group: str, ids: tuple[str, ...]) -> ExplanationRow:
    return ExplanationRow(
        group=group, method=method, title=f"The {method} title", provider="native", explains="logit", channels="sum",
        signed=method == "occlusion", options={"odd option": 25}, file=f"attributions/{group}/{method}.npz",
        kind="segments" if method == "lime" else "maps", sample_ids=ids, target_classes=(NAMES[1],) * len(ids),
        scale=1.0, empty=(), diagnostics={}, notes=(), model_passes=None,
    )  # fmt: skip


def write_maps(out: Path, row: ExplanationRow) -> None:
    rng = np.random.default_rng(len(row.group) + len(row.method))
    n = len(row.sample_ids)
    explanation: Maps | Segments = Maps(rng.normal(size=(n, SIDE, SIDE)).astype(np.float32))
    if row.kind == "segments":
        segments = np.broadcast_to((np.arange(SIDE) // 4)[:, None], (n, SIDE, SIDE)).astype(np.int32)
        coefficients = rng.random((n, 3), np.float32)
        coefficients[[i for i, sample_id in enumerate(row.sample_ids) if sample_id == EMPTY]] = 0
        explanation = Segments(segments, coefficients)
    elif not row.signed:
        explanation = Maps(abs(explanation.values))
    write_arrays(out / row.file, {**pack(explanation), "sample_ids": np.array(row.sample_ids)})


def pictures(out: Path) -> tuple[Picture, ...]:
    records = []
    for i, sample_id in enumerate((*ERRORS, *RIGHT)):
        pixels = np.random.default_rng(i).integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(out / f"pictures/rated-{i}.png")
        Image.fromarray(pixels).resize((90, 90)).save(out / f"pictures/rated-{i}.jpg")
        original = None if i == 1 else f"pictures/rated-{i}.jpg"
        records.append(Picture(sample_id, NAMES[0], NAMES[1], {NAMES[1]: 0.9}, f"pictures/rated-{i}.png", original))
    return tuple(records)


def trust_report() -> TrustReport:
    methods = tuple(replace(GOOD, method=m, faithfulness={"deletion": comparison(gain)}) for m, gain in GAINS.items())
    verdicts = tuple(MethodVerdict(m, f"The {m} title", reading, "Why.", ()) for m, reading in VERDICTS.items())
    return TrustReport("quick", 16, (), methods, verdicts, Agreement((), ()), {})


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    out = tmp_path / "audit"
    results = make_results(out)
    groups = tuple(
        Group(name, f"Group {SCRIPT}", "store", kind, "", "a rule", "drawn", 8, ids)
        for name, kind, ids in (("missed", "false_negative", ERRORS), ("seen", "true_positive", RIGHT))
    )
    rows = tuple(row_of(method, group.name, group.sample_ids) for group in groups for method in VERDICTS)
    for row in rows:
        write_maps(out, row)
    changed_results = replace(results, groups=groups, explanations=rows, pictures=pictures(out), trust=trust_report())
    save_results(out, changed_results)
    save_run(out, RUN)
    return Audit(out)
