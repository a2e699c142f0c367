"""The terminal: exit codes, sentences, and what goes where."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fruitaudit.cli import main
from fruitaudit.config.load import load_config
from fruitaudit.errors import ConfigError
from fruitaudit.providers.registry import all_methods


class Terminal:
    """Runs the command line in this process; keeps the exit code and what was printed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.monkeypatch, self.capsys = monkeypatch, capsys

    def __call__(self, *arguments: object) -> int:
        self.monkeypatch.setattr(sys, "argv", ["fruitaudit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        self.out, self.err = self.capsys.readouterr()
        assert "Traceback" not in self.err
        return int(stop.value.code or 0)


@pytest.fixture
def fruitaudit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    monkeypatch.chdir(tmp_path)
    return Terminal(monkeypatch, capsys)


def only_evaluate(digits: Path, out: Path, *more: str) -> list[object]:
    return ["evaluate", digits / "fruitaudit.yaml", "--out", out, "--set", "methods=[]", *more]


def test_the_summary_goes_to_stdout_and_progress_to_stderr(fruitaudit: Terminal, digits: Path, tmp_path: Path) -> None:
    assert fruitaudit(*only_evaluate(digits, tmp_path)) == 0
    assert re.search(r"field\b.*%.*of 397", fruitaudit.out)
    assert str(tmp_path / "report.html") in fruitaudit.out
    assert "predict field, 397 of 397" in fruitaudit.err
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", fruitaudit.out + fruitaudit.err)


@pytest.mark.parametrize(
    ("gates", "code"),
    [
        ('["accuracy[test] >= 0.9"]', 0),
        ('["accuracy[field] >= 0.9"]', 1),
        ('[{gate: "accuracy[field] >= 0.9", severity: warn}]', 0),
        ('[{gate: "recall[field][digit 3] >= 0", min_support: 1000}]', 3),
        ('["accuracy[field] >= 0.9", {gate: "recall[field][digit 3] >= 0", min_support: 1000}]', 1),
    ],
)
def test_exit_codes(fruitaudit: Terminal, digits: Path, tmp_path: Path, gates: str, code: int) -> None:
    assert fruitaudit(*only_evaluate(digits, tmp_path, "--set", f"gates={gates}", "--quiet")) == code
    assert fruitaudit.out == fruitaudit.err == ""


def test_json_goes_to_stdout_alone(fruitaudit: Terminal, digits: Path, tmp_path: Path) -> None:
    assert fruitaudit(*only_evaluate(digits, tmp_path, "--json")) == 0
    outcome = json.loads(fruitaudit.out)
    assert outcome["accuracy"]["field"]["n"] == 397
    assert [gate["state"] for gate in outcome["gates"]] == ["pass", "fail", "fail"]


@pytest.fixture
def only_saliency(monkeypatch: pytest.MonkeyPatch) -> None:
    """`verify` compares two libraries."""
    saliency = {key: kind for key, kind in all_methods().items() if key[0] == "saliency"}
    monkeypatch.setattr("fruitaudit.commands.verify.all_methods", lambda: saliency)


@pytest.mark.usefixtures("only_saliency")
def test_verify_tells_rows_on_stdout_and_how_far_it_is_on_stderr(fruitaudit: Terminal, digits: Path) -> None:
    compare = ["verify", digits / "fruitaudit.yaml", "--images", 1]
    assert fruitaudit(*compare) == 0
    text = fruitaudit.out
    assert re.findall(r"^saliency@(\S+): Pearson", text, re.M) == ["tf-explain", "tf-keras-vis"]
    done = r"open model and data: .* s\ncompare saliency@tf-explain, 1 of 2: .* s\ncompare .*-vis, 2 of 2: .* s\n"
    assert re.fullmatch(done, fruitaudit.err)
    assert fruitaudit(*compare, "--json") == 0
    assert [row["provider"] for row in json.loads(fruitaudit.out)] == ["tf-explain", "tf-keras-vis"]
    assert re.fullmatch(done, fruitaudit.err)
    assert fruitaudit(*compare, "--quiet") == 0
    assert (fruitaudit.out, fruitaudit.err) == (text, "")


def test_dry_run_prints_the_plan_and_writes_nothing(fruitaudit: Terminal, digits: Path, tmp_path: Path) -> None:
    out = tmp_path / "planned"
    assert fruitaudit("evaluate", digits / "fruitaudit.yaml", "--out", out, "--dry-run") == 0
    assert "predict field" in fruitaudit.out
    assert "lime on true positives" in fruitaudit.out
    assert re.search(r"About \d+\.\d minutes and \d+\.\d GB", fruitaudit.out)
    assert not out.exists()


def test_dry_run_counts_what_depends_on_the_images_at_its_least_and_its_most(
    fruitaudit: Terminal, digits: Path, tmp_path: Path
) -> None:
    methods = "methods=[{integrated_gradients: {steps: auto}}, {cem: {c_steps: 2, max_iterations: 10}}]"
    assert fruitaudit("evaluate", digits / "fruitaudit.yaml", "--dry-run", "--set", methods) == 0
    text = " ".join(fruitaudit.out.split())
    n = 4 * 8
    assert f"integrated_gradients on errors {n} {n + 1} {17 * n:,} to {1025 * n:,}" in text
    assert f"cem on errors, at most {n}" in text
    assert re.search(
        r"About \d+\.\d to \d+\.\d minutes and \d+\.\d GB of memory, with 32 images of \d+ MB at once", text
    )


def test_dry_run_counts_the_tests_of_the_explanations(fruitaudit: Terminal, digits: Path) -> None:
    arguments = ["evaluate", digits / "fruitaudit.yaml", "--dry-run", "--json", "--methods", "saliency,occlusion"]

    def tests(**changed: str) -> list[dict[str, Any]]:
        arguments_given = [word for key, value in changed.items() for word in ("--set", f"{key}={value}")]
        assert fruitaudit(*arguments, *arguments_given) == 0
        return [s for s in json.loads(fruitaudit.out)["stages"] if s["title"] == "test the explanations"]

    assert tests(trust="off") == []
    [quick], [standard], [labels] = (tests(trust="quick"), tests(trust="standard"),
                                     tests(trust="quick", trust_labels="true"))  # fmt: skip
    assert 0 < quick["passes"]["forward"] < standard["passes"]["forward"]
    assert labels["passes"]["gradient"] == quick["passes"]["gradient"] + 150 * 320


def test_dry_run_says_what_will_not_run_as_the_model_offers_less(
    fruitaudit: Terminal, digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fruitaudit.models.keras.classifier import Classifier

    monkeypatch.setattr(Classifier, "offers", frozenset({"scores"}))
    arguments = ["evaluate", digits / "fruitaudit.yaml", "--dry-run", "--methods", "occlusion,saliency,lrp,grad_cam"]
    assert fruitaudit(*arguments) == 0
    text = " ".join(fruitaudit.out.split())
    assert "occlusion on errors" in text
    needs = {
        "saliency": "Saliency needs gradients with respect to the image",
        "lrp": "Layer-wise relevance propagation needs rules for the way back through its operations",
        "grad_cam": "Grad-CAM needs gradients with respect to a layer",
    }
    for name, need in needs.items():
        why = f"{need}, which this model does not offer; use occlusion instead."
        assert f"Will not run: {name} on errors: {why}" in text


def test_a_config_cannot_allow_code_and_the_flag_can(fruitaudit: Terminal, digits: Path) -> None:
    usual, config = digits / "fruitaudit.yaml", digits / "runs_code.yaml"
    config.write_text(re.sub(r"(?m)^model:\n", "model:\n  allow_code: true\n", usual.read_text()))
    arguments = ["--dry-run", "--methods", "occlusion"]
    assert fruitaudit("evaluate", config, *arguments) == 2
    assert re.search(r"runs_code.yaml:\d+: 'model.allow_code' .* pass --allow-code$", fruitaudit.err.strip())
    assert fruitaudit("evaluate", config, *arguments, "--allow-code") == 0
    assert fruitaudit("evaluate", usual, *arguments, "--allow-code") == 0


def test_dry_run_counts_the_experiments(fruitaudit: Terminal, digits: Path) -> None:
    passes = {}
    for level in ("off", "quick", "standard"):
        arguments_given = ["evaluate", digits / "fruitaudit.yaml", "--dry-run", "--json", "--set", f"diagnosis={level}"]
        assert fruitaudit(*arguments_given) == 0
        stages = json.loads(fruitaudit.out)["stages"]
        passes[level] = [s["passes"]["forward"] for s in stages if s["title"] == "look for causes"]
    assert passes["off"] == []
    assert 0 < passes["quick"][0] < passes["standard"][0]


def test_dry_run_says_what_will_not_run(fruitaudit: Terminal, digits: Path, tmp_path: Path) -> None:
    import keras

    flat = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10, "softmax")])
    flat.save(tmp_path / "flat.keras")
    assert fruitaudit("evaluate", digits / "fruitaudit.yaml", "--model", tmp_path / "flat.keras", "--dry-run") == 0
    text = " ".join(fruitaudit.out.split())
    why = "Grad-CAM++ needs a layer with a spatial activation, and none is found in this model; use occlusion instead."
    assert f"Will not run: grad_cam_pp on errors: {why}" in text


def test_dry_run_of_a_model_without_gradient_and_of_gates_without_images(
    fruitaudit: Terminal, digits: Path, tmp_path: Path
) -> None:
    import keras

    images = keras.Input((28, 28, 1))
    counted = keras.layers.Rescaling(1 / 255)(keras.ops.cast(images, "int32"))
    scores = keras.layers.Dense(10, "softmax")(keras.layers.Flatten()(counted))
    keras.Model(images, scores).save(tmp_path / "counting.keras")
    gates = '["accuracy[test] >= 0", {gate: "recall[field][digit 3] >= 0", min_support: 1000}]'
    arguments = ["evaluate", digits / "fruitaudit.yaml", "--model", tmp_path / "counting.keras", "--dry-run", "--json"]
    assert fruitaudit(*arguments, "--set", f"gates={gates}", "--methods", "saliency,occlusion,lime") == 0
    plan = json.loads(fruitaudit.out)
    assert [what for what, _ in plan["not_run"]] == [
        "saliency on errors", "saliency on true positives", "recall[field][digit 3] >= 0",
    ]  # fmt: skip
    assert "no gradient reaches the model's input" in plan["not_run"][0][1]
    assert plan["not_run"][2][1] == "39 images where min_support asks for 1000"
    assert plan["seconds"] == pytest.approx(sum(stage["seconds"] for stage in plan["stages"]))


MISTAKES = {
    "no config": (["evaluate"], "fruitaudit init"),
    "no such config": (["evaluate", "nowhere.yaml"], "nowhere.yaml"),
    "unknown method": (["evaluate", "{config}", "--methods", "salience"], "did you mean 'saliency'"),
    "unknown option": (["evaluate", "{config}", "--set", "methods=[{smoothgrad: {sample: 3}}]"], "mean 'samples'"),
    "unknown split in a gate": (["evaluate", "{config}", "--set", 'gates=["accuracy[feild] >= 0.9"]'], "field"),
    "unknown split in a claim": (["evaluate", "{config}", "--set", 'claims=["accuracy[feild] >= 0.9"]'], "field"),
    "unknown cause": (["evaluate", "{config}", "--set", 'claims=["cause: backgruond"]'], "did you mean background?"),
    "a slice": (["evaluate", "{config}", "--set", 'gates=["accuracy[field][a=b] >= 0.9"]'], "not computed yet"),
    "a baseline": (["evaluate", "{config}", "--set", 'gates=["ece[field] <= baseline ± 0.1"]'], "a baseline yet"),
    "no such model": (["evaluate", "{config}", "--model", "nothing.keras"], "nothing.keras"),
    "no such folder": (["evaluate", "{config}", "--data", "field=nowhere"], "nowhere"),
    "unknown key": (["evaluate", "{config}", "--set", "sead=3"], "did you mean 'seed'"),
    "an output folder that cannot be": (
        ["evaluate", "{config}", "--dry-run", "--set", "out=" + 9 * "y" + "/" + 300 * "x"], "more than 255 bytes"
    ),
    "an output folder of nobody": (["evaluate", "{config}", "--set", "out=~nouser/x"], "no user of that name"),
    "an output folder that is the root": (["evaluate", "{config}", "--dry-run", "--set", "out=/"], "root of the file"),
    "nothing to render": (["render", "nowhere"], "nowhere"),
    "class that is not there": (
        ["evaluate", "{config}", "--set", "groups=[{name: a, split: field, kind: true_positive, class: Fig}]"], "Fig"
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    fruitaudit: Terminal, digits: Path, tmp_path: Path, mistake: str
) -> None:
    arguments, expected = MISTAKES[mistake]
    named = any(a.startswith("out=") for a in arguments)
    out = [] if arguments[0] == "render" or len(arguments) < 3 or named else ["--out", tmp_path / "out"]
    assert fruitaudit(*(a.replace("{config}", str(digits / "fruitaudit.yaml")) for a in arguments), *out) == 2
    sentence = fruitaudit.err.strip().splitlines()[-1]
    assert sentence.startswith("error: ")
    assert expected in sentence
    assert fruitaudit.out == ""
    assert not list(tmp_path.glob("out/*.*")), "nothing half-written"


def test_ci_refuses_inferred_preprocessing(
    fruitaudit: Terminal, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    flags = ["--model", digits / "digits_cnn.keras", "--data", f"test={digits / 'lab' / 'test'}"]
    assert fruitaudit("evaluate", *flags) == 2
    assert "preprocessing" in fruitaudit.err
    monkeypatch.setenv("CI", "false")
    assert fruitaudit("evaluate", *flags, "--set", "methods=[]", "--out", tmp_path / "out") == 0


def test_init_writes_a_commented_config_that_runs(fruitaudit: Terminal, digits: Path, tmp_path: Path) -> None:
    file = tmp_path / "fruitaudit.yaml"
    assert fruitaudit("init", digits / "digits_cnn.keras", digits / "lab", f"field={digits / 'field'}") == 0
    assert "role of split 'test' taken from its name: test" in fruitaudit.err
    text = file.read_text()
    assert "# role: reference" in text
    with pytest.raises(ConfigError, match="says that nobody confirmed scale, which is refused in CI"):
        load_config(file, ci=True)
    config = load_config(file, ci=False).config
    assert config.model.preprocessing.guessed == ("scale",), "0-255 gets 98.1 % of these digits right, 0-1 99.0 %"
    assert [(s.name, s.role) for s in config.splits] == [("test", "test"), ("train", "reference"), ("field", "field")]
    assert config.model.preprocessing.scale == "0-1"
    assert fruitaudit("evaluate", "--set", "methods=[]") == 1, "the field fails the gate of 0.9"
    assert fruitaudit("init", digits / "digits_cnn.keras", digits / "field") == 2
    assert "exists" in fruitaudit.err


def test_init_for_a_model_of_any_size_judges_the_test_split(fruitaudit: Terminal, digits: Path, tmp_path: Path) -> None:
    import keras

    images = keras.Input((None, None, 1))
    scores = keras.layers.Dense(10, "softmax")(keras.layers.GlobalAveragePooling2D()(images))
    keras.Model(images, scores).save(tmp_path / "any.keras")
    assert fruitaudit("init", tmp_path / "any.keras", digits / "lab") == 2
    assert "--size HEIGHT WIDTH" in fruitaudit.err
    assert not (tmp_path / "fruitaudit.yaml").exists()
    assert fruitaudit("init", tmp_path / "any.keras", digits / "lab", "--size", 20, 24) == 0
    config = load_config(tmp_path / "fruitaudit.yaml", ci=False).config
    assert config.model.preprocessing.size == (20, 24)
    assert config.gates[0].gate.text == "accuracy[test] >= 0.9"


def test_init_writes_paths_that_move_with_the_config_and_gates_for_every_field(
    fruitaudit: Terminal, digits: Path
) -> None:
    file, folders = digits / "both.yaml", [f"{name}={digits / 'field'}" for name in ("shop", "stall")]
    try:
        assert fruitaudit("init", digits / "digits_cnn.keras", *folders, "--out", file) == 0
        text = file.read_text()
    finally:
        file.unlink(missing_ok=True)
    assert 'path: "digits_cnn.keras"' in text
    assert str(digits) not in text
    assert re.findall(r"accuracy\[(\w+)\]", text) == ["shop", "stall"]
    assert fruitaudit.err.count("since its name says nothing else: field") == 2


def test_methods_lists_each_with_paper_cost_and_needs(fruitaudit: Terminal) -> None:
    assert fruitaudit("methods") == 0
    for words in (
        "grad_cam_pp",
        "arXiv:1703.01365",
        "needs a layer with a spatial activation",
        "saliency@tf-keras-vis",
        "explains the logit, also why this class rather than that one",
    ):
        assert words in fruitaudit.out
    assert fruitaudit("methods", "--json") == 0
    assert {"name", "family", "paper", "cost", "needs", "provider"} <= set(json.loads(fruitaudit.out)[0])
    assert '"early"' not in fruitaudit.out, "a layer of the tests' own networks"


@pytest.mark.parametrize("what", ["config", "results"])
def test_schema_is_printed(fruitaudit: Terminal, what: str) -> None:
    assert fruitaudit("schema", what) == 0
    assert json.loads(fruitaudit.out)["$schema"].startswith("https://json-schema.org/")


def test_a_fault_of_ours_is_neither_a_pass_nor_a_failed_gate(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("fruitaudit.pipeline.audit", broken)
    monkeypatch.setattr(sys, "argv", ["fruitaudit", *map(str, only_evaluate(digits, tmp_path))])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 4
    assert "please report it" in capsys.readouterr().err


def stopping(name: str = "SIGTERM") -> Callable[..., None]:
    """What to put in place of a function that is to be stopped."""

    def stop(*_: object, **__: object) -> None:
        os.kill(os.getpid(), getattr(signal, name))
        time.sleep(60)

    return stop


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_a_run_that_is_stopped_says_so_in_one_line(
    fruitaudit: Terminal, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_DFL)  # ignored where the tests themselves run under nohup
    request.addfinalizer(lambda: signal.signal(number, before))
    monkeypatch.setattr("fruitaudit.pipeline.render", stopping(name))
    assert fruitaudit(*only_evaluate(digits, tmp_path / "out", "--quiet")) == 128 + getattr(signal, name)
    assert fruitaudit.err == f"stopped by {name}; the same command goes on from the last finished stage\n"
    assert [p.name for p in (tmp_path / "out").iterdir()] == [".cache"]
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.usefixtures("only_saliency")
@pytest.mark.parametrize(
    ("arguments", "where", "advice"),
    [
        (["verify", "{config}"], "commands.verify.explain", "the same command starts from the beginning"),
        (["evaluate", "{config}", "--dry-run"], "commands.plan.plan", "the same command starts from the beginning"),
        (
            ["demo", "--case", "digits"],
            "pipeline.audit",
            "fruitaudit evaluate {config} goes on from the last finished stage",
        ),
    ],
    ids=["verify", "dry run", "demo"],
)
def test_a_command_that_is_stopped_says_what_goes_on_and_what_starts_anew(
    fruitaudit: Terminal, digits: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], where: str, advice: str
) -> None:
    config = digits / "fruitaudit.yaml"
    monkeypatch.setattr("fruitaudit.demo.digits.make_case", lambda _out: config)
    monkeypatch.setattr(f"fruitaudit.{where}", stopping())
    assert fruitaudit(*(word.format(config=config) for word in arguments), "--quiet") == 128 + signal.SIGTERM
    assert fruitaudit.err == f"stopped by SIGTERM; {advice.format(config=config)}\n"


def test_names_from_outside_cannot_write_to_the_terminal(fruitaudit: Terminal) -> None:
    assert fruitaudit("evaluate", "new\nline\x1b[2J.yaml") == 2
    assert fruitaudit.err.startswith(r"error: new\nline\x1b[2J.yaml: there is no such file")


def test_a_full_disk_is_not_our_fault(
    fruitaudit: Terminal, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "audit/results.json")

    monkeypatch.setattr("fruitaudit.pipeline.save_results", full)
    assert fruitaudit(*only_evaluate(digits, tmp_path, "--quiet")) == 2
    assert fruitaudit.err == "error: audit/results.json: No space left on device; make room on the disk\n"


def test_help_is_not_cut_off(fruitaudit: Terminal) -> None:
    assert fruitaudit("--help") == 0
    assert not [line for line in fruitaudit.out.splitlines()[2:] if line.endswith("...")]
    assert fruitaudit("demo", "--help") == 0
    assert "[default: fruitaudit-demo]" in " ".join(fruitaudit.out.split())


def test_a_file_of_classes_for_a_model_with_more_outputs_than_labels(
    fruitaudit: Terminal, digits: Path, tmp_path: Path
) -> None:
    import keras

    images = keras.Input((20, 24, 1))
    scores = keras.layers.Dense(12, "softmax")(keras.layers.GlobalAveragePooling2D()(images))
    keras.Model(images, scores).save(tmp_path / "more.keras")
    names = [*(f"Digit_{i}" for i in range(10)), "none", "dirt"]
    (tmp_path / "labels.txt").write_text("\n".join(names), encoding="utf-8-sig")
    assert fruitaudit("init", tmp_path / "more.keras", digits / "lab") == 2
    assert "has 12 classes, but 10 are named by" in fruitaudit.err
    assert "into a file for --classes" in fruitaudit.err
    assert fruitaudit("init", tmp_path / "more.keras", digits / "lab", "--classes", tmp_path / "labels.txt") == 0
    assert 'classes: "labels.txt"' in (tmp_path / "fruitaudit.yaml").read_text()
    assert load_config(tmp_path / "fruitaudit.yaml", ci=False).config.model.classes == tmp_path / "labels.txt"
    assert fruitaudit("evaluate", "--set", "methods=[]", "--set", "trust=off", "--set", "diagnosis=off") in (0, 1)
    results = json.loads((tmp_path / "audit" / "results.json").read_text())
    assert {row["n_labels"] for row in results["outside_answers"]} == {10}
    only = ["--set", "model.outputs=labels", "--set", "methods=[]", "--set", "trust=off", "--set", "diagnosis=off"]
    assert fruitaudit("evaluate", *only, "--out", "only") in (0, 1)
    restricted = json.loads((tmp_path / "only" / "results.json").read_text())
    assert restricted["model"]["class_names"] == names[:10]
    assert restricted["outside_answers"] == []
    accuracies = {e["split"]: e["metrics"]["accuracy"]["value"] for e in restricted["evaluations"]}
    assert accuracies == {row["split"]: row["restricted"]["value"] for row in results["outside_answers"]}
    flags = ["--model", tmp_path / "more.keras", "--data", f"test={digits / 'lab' / 'test'}", "--dry-run"]
    (tmp_path / "fruitaudit.yaml").unlink()
    assert fruitaudit("evaluate", *flags, "--classes", tmp_path / "labels.txt") == 0
    assert fruitaudit("evaluate", *flags, "--classes", tmp_path / "nothing.txt") == 2
    assert "--classes: 'model.classes': " in fruitaudit.err
