"""Output folders and ratings that anybody may have changed: rendered, read, or refused in one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from fuzz.mutations import Outcomes, changed, damaged
from hypothesis import given
from hypothesis import strategies as st
from rating.conftest import Audit, audit, knowing  # noqa: F401
from report.conftest import folder  # noqa: F401

from fruitaudit.rating.answers import read_answers
from fruitaudit.rating.reading import measure
from fruitaudit.report.artefacts import load_results, load_run
from fruitaudit.report.folder import made_of, open_folder
from fruitaudit.report.panels import group_panels
from fruitaudit.report.render import render_again

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", ["results.json", "run.json"])
def test_json(folder: Path, name: str, examples) -> None:  # noqa: F811
    file, load = folder / name, load_results if name == "results.json" else load_run
    content, outcomes = file.read_bytes(), Outcomes(folder)

    @examples(60)
    @given(st.one_of(damaged(content), changed(json.loads(content)).map(lambda c: json.dumps(c).encode())))
    def holds(new: bytes) -> None:
        file.write_bytes(new)
        outcomes.of(lambda: load(folder))

    holds()
    assert outcomes.seen == {"passed", "refused"}


def test_rendering_of_other_results(folder: Path, examples) -> None:  # noqa: F811
    content, outcomes = json.loads((folder / "results.json").read_bytes()), Outcomes(folder)

    @examples(15)
    @given(changed(content, most=1))
    def holds(new: object) -> None:
        (folder / "results.json").write_text(json.dumps(new))
        outcomes.of(lambda: render_again(folder))

    holds()
    assert outcomes.seen == {"passed", "refused"}


def test_panels_of_damaged_files(folder: Path, examples) -> None:  # noqa: F811
    """Maps and pictures cost only themselves: nothing is refused."""
    files = sorted(p for p in folder.rglob("*") if p.suffix in (".npz", ".png", ".jpg"))
    contents, whole = {file: file.read_bytes() for file in files}, len(group_panels(open_folder(folder)))

    @examples(40)
    @given(st.data(), st.sampled_from(files))
    def holds(data: st.DataObject, file: Path) -> None:
        file.write_bytes(data.draw(damaged(contents[file])))
        assert len(group_panels(open_folder(folder))) == whole
        file.write_bytes(contents[file])

    holds()


def test_predictions(folder: Path, examples) -> None:  # noqa: F811
    file, outcomes = folder / "predictions.parquet", Outcomes(folder)
    content = file.read_bytes()

    @examples(40)
    @given(damaged(content))
    def holds(new: bytes) -> None:
        file.write_bytes(new)
        opened = open_folder(folder)
        outcomes.of(lambda: opened.predictions)

    holds()
    assert outcomes.seen == {"passed", "refused"}


def test_a_folder_that_lacks_anything(folder: Path, tmp_path_factory) -> None:  # noqa: F811
    for path in sorted(folder.rglob("*")):
        copy = tmp_path_factory.mktemp("lacking") / "audit"
        shutil.copytree(folder, copy)
        lost = copy / path.relative_to(folder)
        _ = shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
        if lost.suffix in (".json", ".parquet"):
            outcomes = Outcomes(copy)
            outcomes.of(lambda copy=copy: open_folder(copy).predictions)
            assert outcomes.seen == {"refused"}, lost
        else:
            assert group_panels(open_folder(copy)), lost


def test_ratings(audit: Audit, examples) -> None:  # noqa: F811
    file = audit.answer("Ada", knowing)
    content, opened, outcomes = file.read_bytes(), audit.folder, Outcomes(file)

    @examples(60)
    @given(st.one_of(damaged(content), changed(json.loads(content)).map(lambda c: json.dumps(c).encode())))
    def holds(new: bytes) -> None:
        file.write_bytes(new)

        def run() -> None:
            with made_of(audit.path):
                sheet, answers = read_answers(opened, [file])
                measure(sheet, answers, opened.results.trust)

        outcomes.of(run)

    holds()
    assert outcomes.seen == {"passed", "refused"}
