"""`fruitaudit rate`: what it prints, and each mistake in one sentence with exit code 2."""

from __future__ import annotations

import json
import re
import sys

import pytest
from rating.conftest import knowing

from fruitaudit.cli import main


@pytest.fixture
def run(monkeypatch, capsys):
    """The command line in this process: exit code, stdout, stderr."""

    def run_(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fruitaudit", "rate", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "80")
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0), *capsys.readouterr()

    return run_


def test_the_sheet_goes_where_it_is_told_with_the_audits_own_seed(run, audit, tmp_path) -> None:
    code, out, _ = run("sheet", audit.path, "--out", tmp_path / "a.html")
    assert code == 0
    assert re.search(r"a\.html: \d+ maps on 10 pictures, about \d+ minutes", out)
    assert (tmp_path / "a.html").read_text() == audit.page(audit.folder.results.seed)
    run("sheet", audit.path, "--out", tmp_path / "b.html", "--seed", 10, "--images", 4)
    assert (tmp_path / "b.html").read_text() == audit.page(10, 4)


def test_what_was_rated_is_read_back(run, audit) -> None:
    before = (audit.path / "results.json").read_bytes()
    paths = audit.answer("Ada", knowing), audit.answer("\x1b[2JBob", knowing, "bob.json")
    code, out, _ = run("read", audit.path, *paths)
    assert code == 0
    assert re.search(r"The saliency title +5\.0 +10 +1\.00 +Read\b", out)
    assert "each other" in out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80
    assert (audit.path / "results.json").read_bytes() == before
    assert {p.name for p in audit.path.iterdir()} == {
        "attributions", "pictures", "predictions.parquet", "results.json", "run.json",
    }  # fmt: skip


def test_json_holds_every_figure(run, audit) -> None:
    code, out, _ = run("read", audit.path, audit.answer("Ada", knowing), "--json")
    content = json.loads(out)
    assert code == 0
    assert {row["method"]: row["rating"]["value"] for row in content["sources"]}["saliency"] == 5
    assert content["beside_tests"][0]["correlation"]["value"] == pytest.approx(1)
    assert content["each_other"] == {"state": "not_run", "code": "not_applicable", "reason": "there is only one rater"}


def broken(audit, text: str):
    path = audit.path.parent / "broken.json"
    path.write_text(text)
    return path


MISTAKES = {
    "no audit": (lambda a: ("sheet", a.path.parent), "results.json"),
    "no folder": (lambda a: ("read", "nowhere", a.answer("Ada", knowing)), "nowhere"),
    "a name too long": (lambda a: ("read", a.path, "x" * 300), "cannot be read"),
    "a folder": (lambda a: ("read", a.path, a.path), "is no regular file"),
    "nested": (lambda a: ("read", a.path, broken(a, "[" * 100_000)), "broken.json is not what a sheet saves"),
    "half a character": (
        lambda a: ("read", a.path, a.answer("\ud800", knowing, "odd.json")),
        "is not what a sheet saves",
    ),
    "a sheet that cannot be": (lambda a: ("sheet", a.path, "--out", a.path / "x" / ("x" * 300)), "more than 255 bytes"),
    "a sheet of nobody": (lambda a: ("sheet", a.path, "--out", "~nouser/a.html"), "no user of that name"),
    "a sheet that is a folder": (lambda a: ("sheet", a.path, "--out", a.path), "it is a folder, not a file"),
    "no such file": (lambda a: ("read", a.path, "gone.json"), "gone.json"),
    "no JSON": (lambda a: ("read", a.path, broken(a, "{")), "broken.json is not what a sheet saves"),
    "no object": (lambda a: ("read", a.path, broken(a, "[1]")), "broken.json is not what a sheet saves"),
    "not text": (lambda a: ("read", a.path, a.path / "pictures/rated-0.jpg"), "cannot be read"),
    "no name": (lambda a: ("read", a.path, a.answer("", knowing)), "rater"),
    "another format": (lambda a: ("read", a.path, a.answer("Ada", knowing, format="2")), "format"),
    "no sheet": (lambda a: ("read", a.path, a.answer("Ada", knowing, sheet="9-10")), "sheet"),
    "rating of 6": (lambda a: ("read", a.path, a.answer("Ada", lambda _: 6)), "less than or equal to 5"),
    "rating of 0": (lambda a: ("read", a.path, a.answer("Ada", lambda _: 0)), "greater than or equal to 1"),
    "rating of 2.5": (lambda a: ("read", a.path, a.answer("Ada", lambda _: 2.5)), "integer"),
    "a yes for a rating": (lambda a: ("read", a.path, a.answer("Ada", lambda _: True)), "integer"),
    "unknown map": (lambda a: ("read", a.path, a.answer("Ada", knowing, ratings={"x" * 16: 3})), "no map of its sheet"),
    "one rater twice": (
        lambda a: ("read", a.path, a.answer("Ada", knowing), a.answer("Ada", knowing, "copy.json")),
        "Two files are by Ada",
    ),
    "two sheets": (
        lambda a: ("read", a.path, a.answer("Ada", knowing), a.answer("Bob", knowing, sheet=a.sheet(4).code)),
        "are of different sheets",
    ),
    "another audit": (
        lambda a: ("read", a.path, a.answer("Ada", knowing, sheet="9-10-0123456789abcdef")),
        "of a sheet of another audit",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_exit_code_2(run, audit, mistake: str) -> None:
    arguments, expected = MISTAKES[mistake]
    code, out, err = run(*arguments(audit))
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert expected in err


def test_a_map_that_changed_since_is_told(run, audit) -> None:
    answers = audit.answer("Ada", knowing)
    file = audit.path / "attributions/seen/saliency.npz"
    other_file = audit.path / "attributions/missed/occlusion.npz"
    file.write_bytes(other_file.read_bytes())
    code, _, err = run("read", audit.path, answers)
    assert code == 2
    assert "or that was run again since" in err
