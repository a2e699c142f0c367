import dataclasses
import io
import json
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from fruitaudit.report.artefacts import load_results, load_run, save_results
from fruitaudit.report.markdown import escape
from fruitaudit.report.render import render
from fruitaudit.report.terminal import print_summary


def cases(folder):
    root = ET.parse(folder / "junit.xml").getroot()
    return root, {case.get("name"): case for case in root.iter("testcase")}


def test_junit_has_a_case_a_gate_and_hides_nothing(folder):
    render(folder)
    root, by_name = cases(folder)
    assert {k: root.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "1", "errors": "1", "skipped": "0"}  # fmt: skip
    failed = by_name["accuracy[store] >= 0.9"].find("failure")
    assert failed.get("message") == "Accuracy is 25.0 % (3 of 12)."
    assert "20 images." in failed.text
    assert by_name["auc[store][x] > 1"].find("error").get("message") == "There is no class x."
    warned = by_name["recall[store][*] >= 0.7"]
    assert [child.tag for child in warned] == ["system-out"]
    assert "Warning" in warned.find("system-out").text
    assert list(by_name["accuracy[test] >= 0.9"]) == []


def test_junit_survives_characters_that_xml_cannot_hold(folder):
    results = load_results(folder)
    gate = dataclasses.replace(results.gates[0], sentence="bad \x00\x1b\ud800 <name>")
    save_results_with = dataclasses.replace(results, gates=(gate,))
    from fruitaudit.report.folder import Folder
    from fruitaudit.report.junit import render_junit

    text = render_junit(Folder(folder, save_results_with, load_run(folder)))
    assert "<name>" in ET.fromstring(text).find(".//failure").get("message")


def test_markdown_tells_the_verdict_the_figures_and_the_gates(folder):
    render(folder)
    text = (folder / "summary.md").read_text().replace("\u00a0", " ")
    assert text.splitlines()[0].endswith("Do not deploy as it is")
    assert "Fail: 1 of 3 gates failed" in text
    assert "25.0 % (3 of 12; 95 % interval 15.0–35.0 %)" in text
    assert "| accuracy\\[test\\] &gt;= 0.9 | ✅ Pass |" in text
    assert "| recall\\[store\\]\\[\\*\\] &gt;= 0.7 | ⚠️ Warning |" in text
    assert "❔ Not computed" in text
    assert "<script" not in text
    assert "<b>" not in text
    assert "<img" not in text


def test_markdown_escapes_its_own_signs():
    assert escape("a|b <x> @joe #1 [q](w)\n_e_") == "a\\|b &lt;x&gt; &#64;\u200bjoe &#35;\u200b1 \\[q\\](w) \\_e\\_"


def test_names_that_steer_a_terminal_or_turn_words_round_reach_no_report(folder):
    results = json.loads((folder / "results.json").read_text())
    results["title"] = results["findings"][0]["sentence"] = results["gates"][0]["gate"] = "k\x1b[31m\x07\u202eiwi"
    (folder / "results.json").write_text(json.dumps(results))
    for path in render(folder):
        written = path.read_text()
        assert "iwi" in written
        assert not any(sign in written for sign in "\x1b\x07\u202e"), path.name


def test_rendered_twice_the_bytes_are_equal(folder):
    first = {path.name: path.read_bytes() for path in render(folder)}
    assert first == {path.name: path.read_bytes() for path in render(folder)}


@pytest.fixture
def printed(folder):
    stream = io.StringIO()
    console = Console(file=stream, width=80)
    print_summary(console, load_results(folder), load_run(folder), folder / "report.html")
    return stream.getvalue()


def test_terminal_summary_is_complete_and_fits(printed, folder):
    text = printed.replace("\u00a0", " ")
    for words in (
        "store (field)",
        "25.0 %",
        "3 of 12",
        "15.0–35.0 %",
        "Lowest recall on store",
        "Findings",
        "critical",
        "Gates",
        "Not computed",
        "Warning",
        "DO NOT DEPLOY AS IT IS",
        "Fail: 1 of 3 gates failed",
        "1 of 13 files of store",
    ):
        assert words in text
    assert text.rstrip().endswith(f"Report: {folder / 'report.html'}")
    assert max(len(line) for line in text.splitlines() if "report.html" not in line) <= 80


def test_no_control_characters_without_a_terminal(printed):
    assert {c for c in printed if ord(c) < 32} == {"\n"}


def test_a_class_name_cannot_steer_a_terminal(folder):
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=True, color_system=None)
    print_summary(console, load_results(folder), load_run(folder), folder / "report.html")
    assert "\x1b[31m" not in stream.getvalue()


def test_rich_markup_in_names_is_text(folder):
    results = load_results(folder)
    results = dataclasses.replace(results, title="[bold red]name[/]")
    stream = io.StringIO()
    print_summary(Console(file=stream, width=80), results, load_run(folder), folder / "report.html")
    assert "[bold red]name[/]" in stream.getvalue()


def test_rendering_twice_gives_the_same_bytes_and_leaves_no_temporary_files(folder):
    first = {path.name: path.read_bytes() for path in render(folder)}
    assert set(first) == {"report.html", "junit.xml", "summary.md"}
    assert first == {path.name: path.read_bytes() for path in render(folder)}
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_the_report_needs_nothing_but_the_folder(folder, tmp_path_factory):
    import shutil

    elsewhere = tmp_path_factory.mktemp("other") / "copy"
    render(folder)
    shutil.copytree(folder, elsewhere)
    assert [path.read_bytes() for path in render(elsewhere)] == [path.read_bytes() for path in render(folder)]


def test_a_bare_audit_renders(bare):
    save_results(bare, load_results(bare))
    render(bare)
    root, by_name = cases(bare)
    assert (root.get("tests"), by_name) == ("0", {})
    text = (bare / "report.html").read_text()
    assert "No gate was set" in text
    assert "No group of images was explained." in text


def test_images_left_out_by_the_class_map_are_told_everywhere(folder):
    results = load_results(folder)
    first = dataclasses.replace(results.splits[0], left_out={"Dragon<fruit>": 60, "none": 1})
    results = dataclasses.replace(results, splits=(first, *results.splits[1:]))
    save_results(folder, results)
    render(folder)
    assert load_results(folder) == results
    page = (folder / "report.html").read_text()
    assert "61 images of " in page.replace("\u00a0", " ")
    assert "Dragon&lt;fruit&gt; (60), none (1)" in page
    assert f"61 images of {first.name} left out by class\\_map: Dragon" in (folder / "summary.md").read_text()
    console = Console(file=io.StringIO(), width=200)
    print_summary(console, results, load_run(folder), folder / "report.html")
    assert f"61 images of {first.name} left out by class_map: Dragon<fruit> (60), none (1)" in (
        console.file.getvalue().replace("\u00a0", " ")
    )
