"""Configs: what loads, and the one sentence that each mistake gets."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fruitaudit.config.document import read_document
from fruitaudit.config.gates import spell
from fruitaudit.config.load import config_schema, dump_config, load_config
from fruitaudit.config.loaders import LOADERS, WHITE, loader_of
from fruitaudit.config.paths import absolute, respelt
from fruitaudit.config.schema import Config, PreprocessingSettings
from fruitaudit.errors import ConfigError
from fruitaudit.records.conditions import FigureGate
from fruitaudit.resources import resource

BASE = """\
model: {path: m.keras, preprocessing: {resize: center_crop, interpolation: area, scale: 0-1}}
splits:
  - {name: train, path: lab/train, role: reference}
  - {name: store, path: store, role: field, originals: store_hi}
"""
EVERYTHING = (
    BASE
    + """\
lab: train
groups:
  - {name: avocado_fn, split: store, kind: false_negative, class: Avocado}
  - {name: granny_fp, split: store, kind: false_positive, class: 007, max_images: 15}
methods: [saliency, {smoothgrad: {samples: 20, noise: 2e-1}}, {integrated_gradients: {baseline: black}}, lime@lime]
gates: ["accuracy[store] >= 0.9", {gate: "recall[store][*] >= 0.7", on: lower, min_support: 20, severity: warn}]
seed: 9
"""
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a model and splits, and an empty folder beside it to be in."""
    for name in ("lab/train", "store", "store_hi", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "m.keras").touch()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "audit.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_documented_spellings(folder: Path) -> None:
    config = load_config(write(folder, EVERYTHING)).config
    assert config.model.path == folder / "m.keras"
    assert config.splits[1].originals == folder / "store_hi"
    assert config.groups[1].class_ == "007"
    assert [m.spelling for m in config.methods] == [
        "saliency",
        "smoothgrad",
        "integrated_gradients",
        "lime@lime",
    ]
    assert config.methods[1].options == {"samples": 20, "noise": 0.2}
    assert (config.gates[1].on, config.gates[1].severity, config.gates[0].on) == ("lower", "warn", "value")
    assert config.out == Path.cwd() / "audit"  # the default is no path of the file


def test_out_in_the_file_is_relative_to_the_file(folder: Path) -> None:
    path = write(folder, BASE + "out: here\n")
    assert load_config(path).config.out == folder / "here"
    assert load_config(path, out=Path("there")).config.out == Path.cwd() / "there"


MISTAKES = {
    BASE + "gatez: []": "audit.yaml:5: unknown key 'gatez' in the top level; did you mean 'gates'?",
    BASE.replace(
        "resize", "risize"
    ): "audit.yaml:1: unknown key 'risize' in 'model.preprocessing'; did you mean 'resize'?",
    BASE + "gates:\n - {gate: x,\n    onn: lower}": "audit.yaml:7: unknown key 'onn' in 'gates.0'; did you mean 'on'?",
    BASE + "gates:\n - accuracy >= 0.9": "audit.yaml:6: 'gates.0': gate 'accuracy >= 0.9' cannot be read: write metric",
    BASE + "gates:\n - severity: warn\n   gate: acuracy[store] >= 1": (
        "audit.yaml:7: 'gates.0.gate': gate 'acuracy[store] >= 1': there is no metric acuracy; did you mean accuracy?"
    ),
    BASE + "gates:\n - accuracy[train] > 0\n - accuracy[stroe] >= 0.9": (
        "audit.yaml:7: 'gates.1': gate 'accuracy[stroe] >= 0.9': there is no split stroe; did you mean store?"
    ),
    BASE + "gates: [{gate: 3}]": "audit.yaml:5: 'gates.0.gate': write a gate as text, such as accuracy[store] >= 0.9",
    BASE + "gates: [{on: lower}]": "audit.yaml:5: the required key 'gate' is missing in 'gates.0'",
    BASE + "claims:\n - it is the camera": "audit.yaml:6: 'claims.0': claim 'it is the camera' cannot be read: write",
    BASE + "claims: ['acuracy[store] >= 1']": "'claims.0': claim 'acuracy[store] >= 1': there is no metric acuracy;",
    BASE + "claims: ['accuracy[stroe] >= 1']": "'claims.0': claim 'accuracy[stroe] >= 1': there is no split stroe;",
    BASE
    + "claims: [cause: light]": "audit.yaml:5: 'claims.0': write a claim as text in quotes, such as \"cause: light\"",
    BASE + "quux: 1": "unknown key 'quux' in the top level; its keys are title, model, splits,",
    BASE + "seed: nine": "audit.yaml:5: 'seed' should be an integer, not 'nine'",
    BASE + "seed: -1": "audit.yaml:5: 'seed' should be greater than or equal to 0, not -1",
    BASE + "seed: 1\nseed: 2": "audit.yaml:6: key 'seed' in the top level was already written on line 5",
    BASE + "groups: automatic": "audit.yaml:5: 'groups' should be a list or 'auto', not 'automatic'",
    BASE + "groups:\n- {name: a, split: shop, kind: true_positive, class: b}": (
        "audit.yaml:6: 'groups.0.split': there is no split 'shop'; splits are train, store"
    ),
    BASE + "groups: [{name: a, split: store, kind: tp, class: b}]": (
        "'groups.0.kind' should be 'false_negative', 'false_positive', 'true_positive' or 'misclassified', not 'tp'"
    ),
    BASE + "lab: trian": "audit.yaml:5: 'lab': there is no split 'trian'; did you mean train?",
    BASE + "lab: store": "audit.yaml:5: 'lab': split store has the role field; name a test or reference split",
    BASE + "methods: [{a: {}, b: {}}]": "audit.yaml:5: 'methods.0': write one method per entry",
    BASE + "methods: [3]": "audit.yaml:5: 'methods.0': write a method as `saliency`",
    BASE + "methods: ['saliency@']": "audit.yaml:5: 'methods.0': name a method or provider by letters",
    BASE + "title: [x": "audit.yaml:5: this is not valid YAML: expected ',' or ']'",
    BASE + "title: !!python/object/apply:os.getcwd []": "audit.yaml:5: this is not valid YAML: could not determine",
    BASE + "title: &a [*a]": "audit.yaml:5: 'title.0' contains itself",
    BASE + "? [a]\n: b": "audit.yaml:5: a key must be a word",
    BASE.replace(
        "0-1", "0-256"
    ): "audit.yaml:1: 'model.preprocessing.scale': '0-256' is no scale; did you mean '0-255'?",
    BASE.replace("0-1", "resnet5O"): "did you mean 'resnet50'?",
    BASE.replace("0-1", "{mean: [1, 2], std: [1]}"): "mean and std need one number per channel each",
    BASE.replace(
        "0-1", "{meen: [1], std: [1]}"
    ): "unknown key 'meen' in 'model.preprocessing.scale'; did you mean 'mean'?",
    BASE.replace("resize: center_crop", "loader: load_image"): (
        "'model.preprocessing.loader' should be 'fruitaudit', 'image_dataset_from_directory', 'tf.image.resize',"
    ),
    BASE.replace("resize: center_crop", "loader: load_img"): (
        "audit.yaml:1: 'model.preprocessing.interpolation': loader load_img has no area; write one of nearest, bi"
    ),
    BASE.replace("interpolation: area", "antialias: true, loader: opencv"): (
        "'model.preprocessing.antialias': OpenCV has none; leave it out, or write interpolation: area"
    ),
    BASE.replace("interpolation: area", "antialias: false, loader: torchvision"): (
        "'model.preprocessing.antialias': Pillow's filters always antialias when they shrink; leave it out"
    ),
    BASE.replace("interpolation: area", "antialias: true, loader: image_dataset_from_directory"): (
        "image_dataset_from_directory never antialiases; leave it out, or write loader: tf.image.resize"
    ),
    BASE.replace("interpolation: area", "interpolation: area, antialias: true, loader: tf.image.resize"): (
        "'model.preprocessing.antialias': it does nothing to area; leave it out"
    ),
    BASE.replace("interpolation: area", "interpolation: gaussian, loader: image_dataset_from_directory"): (
        "'model.preprocessing.interpolation': Keras does not crop to the aspect ratio with gaussian; write another one,"
    ),
    BASE.replace("interpolation: area", "rounding: none, loader: load_img"): (
        "'model.preprocessing.rounding': Pillow resizes 8-bit pixels and rounds them itself; leave it out"
    ),
    BASE.replace("interpolation: area", "rounding: floor, loader: opencv"): (
        "'model.preprocessing.rounding': OpenCV rounds 8-bit pixels itself; write none where it was given floats"
    ),
    BASE.replace("interpolation: area", "shorter_side: 256"): (
        "'model.preprocessing.shorter_side': it is what torchvision's Resize gets before CenterCrop; leave it out, or"
    ),
    BASE.replace("interpolation: area", "padding: [0, 0, 300]"): "'model.preprocessing.padding",
    BASE.replace("interpolation: area", "padding: grey"): "'model.preprocessing.padding",
    BASE.replace("resize: center_crop", "size: [3]"): "audit.yaml:1: 'model.preprocessing.size' should have 2 entries",
    BASE.replace("name: store", "name: train"): "audit.yaml:4: 'splits.1.name': two splits are named train",
    BASE.replace("name: store", "name: ../x"): "audit.yaml:4: 'splits.1.name': a name may hold letters",
    BASE.replace(
        "name: store", "name: " + "x" * 101
    ): "'splits.1.name': a name becomes a file name: give it at most 100",
    BASE.replace(", role: field", ""): "audit.yaml:4: the required key 'role' is missing in 'splits.1'",
    BASE.replace("m.keras", "n.keras"): "n.keras does not exist; correct the path",
    BASE.replace("path: store", "path: shop"): "audit.yaml:4: 'splits.1.path': ",
    BASE.replace("store_hi", "store_high"): "audit.yaml:4: 'splits.1.originals': ",
    "model: {path: m.keras}": "audit.yaml: the required key 'splits' is missing in the top level",
    "model: {path: m.keras}\nsplits: []": "audit.yaml:2: 'splits' should have at least 1 item, not 0",
    "model: m.keras\nsplits: 5": "should be a mapping, not 'm.keras'",
    "- a": "audit.yaml: a config is a mapping of keys",
    "": "audit.yaml: the file is empty; `fruitaudit init`",
    "\x00": "audit.yaml: this is not valid YAML",
}


@pytest.mark.parametrize("text", MISTAKES, ids=lambda text: text.splitlines()[-1][:40] if text else "empty")
def test_one_sentence_for_each_mistake(folder: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, text))
    sentence = str(caught.value)
    assert MISTAKES[text] in sentence
    assert sentence.startswith(str(folder / "audit.yaml"))
    assert "\n" not in sentence


def test_not_a_readable_file(folder: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file; `fruitaudit init` writes one"):
        load_config(folder / "none.yaml")
    (folder / "audit.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match="it is not UTF-8 text"):
        load_config(folder / "audit.yaml")


def test_words_of_yaml_1_1_stay_words(folder: Path) -> None:
    names = "classes: [on, no, 1, 08, 1_000, 2024-01-01, 12:30:45]"
    config = load_config(write(folder, BASE.replace("path: m.keras", f"path: m.keras, {names}"))).config
    assert config.model.classes == ("on", "no", "1", "08", "1_000", "2024-01-01", "12:30:45")


def test_without_a_config_it_says_what_to_do(folder: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"there is no fruitaudit\.yaml in this folder: .*`fruitaudit init`.*--model PATH"
    ):
        load_config(None)
    with pytest.raises(ConfigError, match="there is no fruitaudit"):
        load_config(None, model=folder / "m.keras")


def test_flags_alone_make_a_config_and_roles_are_said(folder: Path) -> None:
    loaded = load_config(
        None, model=Path("../m.keras"), data=["train=../lab/train", "Validation=../store", "shop=../store"]
    )
    assert [(s.name, s.role) for s in loaded.config.splits] == [
        ("train", "reference"), ("Validation", "test"), ("shop", "field"),
    ]  # fmt: skip
    assert loaded.config.model.path.resolve() == folder / "m.keras"
    assert loaded.messages == (
        "role of split 'train' taken from its name: reference",
        "role of split 'Validation' taken from its name: test",
        "role of split 'shop' since its name says nothing else: field",
    )


def test_the_file_in_the_working_folder_is_taken_and_said(folder: Path) -> None:
    Path("fruitaudit.yaml").write_text(BASE.replace("path: ", "path: ../").replace("store_hi", "../store_hi"))
    loaded = load_config(None)
    assert loaded.messages == ("config taken from ./fruitaudit.yaml",)
    assert len(loaded.config.splits) == 2
    alone = load_config(None, model=Path("../m.keras"), data=["a=../store"], search=False)
    assert [s.name for s in alone.config.splits] == ["a"]


def test_data_flag_moves_a_split_and_keeps_its_role(folder: Path) -> None:
    (folder / "elsewhere" / "new").mkdir()
    loaded = load_config(write(folder, BASE), data=["store=new"])
    assert loaded.config.splits[1].path == Path.cwd() / "new"
    assert loaded.config.splits[1].role == "field"
    assert loaded.messages == ()


def test_data_flag_twice_for_one_name(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"--data store=b: split 'store' is given twice; give each its own name"):
        load_config(write(folder, BASE), data=["store=a", "store=b"])


@pytest.mark.parametrize(
    ("out", "split"), [("../store", "store"), ("../lab/train/audit", "train"), ("../store_hi", "store")]
)
def test_the_report_must_not_lie_among_the_images(folder: Path, out: str, split: str) -> None:
    with pytest.raises(ConfigError, match=f"--out: 'out': .* lies within the images of split {split}; name a folder"):
        load_config(write(folder, BASE), out=Path(out))


def test_characters_as_json_escapes_them(folder: Path) -> None:
    config = load_config(write(folder, BASE), overrides=[r'title="\ud83c\udf4e"']).config
    assert config.title == "🍎"
    with pytest.raises(ConfigError, match="holds half a character"):
        load_config(write(folder, BASE), overrides=[r'title="\ud83c"'])


def test_set_overrides(folder: Path) -> None:
    (folder / "elsewhere" / "new").mkdir()
    config = load_config(
        write(folder, EVERYTHING),
        overrides=["model.preprocessing.scale=-1-1", "gates=[]", "splits.0.path=new", "methods.1.smoothgrad.samples=5",
                   "title=a=b", "seed=7"],
    ).config  # fmt: skip
    assert config.model.preprocessing.scale == "-1-1"
    assert (config.gates, config.title, config.seed) == ((), "a=b", 7)
    assert config.splits[0].path == Path.cwd() / "new"
    assert config.methods[1].options["samples"] == 5


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("sed=1", "--set sed: unknown key 'sed' in the top level; did you mean 'seed'?"),
        ("seed.a=1", "--set seed.a: 'seed' should be an integer, not a mapping"),
        (
            "splits.2.path=x",
            "--set splits.2.path: 'splits' is a list of 2 entries, numbered from 0; '2' is none of them",
        ),
        ("splits.0.path.x=1", "--set splits.0.path.x: 'splits.0.path' holds no further keys"),
        ("splits.0.path=x", "--set splits.0.path: 'splits.0.path': "),
        ("seed", "--set seed: write it as --set key=value"),
        ("gates=[1", "--set gates: this is not valid YAML: expected"),
    ],
)
def test_mistakes_in_set(folder: Path, override: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, BASE), overrides=[override])
    assert str(caught.value).startswith(sentence)


def test_methods_flag_replaces_those_of_groups_too(folder: Path) -> None:
    text = BASE + "groups: [{name: a, split: store, kind: true_positive, class: b, methods: [lime]}]"
    loaded = load_config(write(folder, text), methods="saliency, lime@native")
    assert [m.name for m in loaded.config.methods] == ["saliency", "lime"]
    assert loaded.config.groups[0].methods is None
    assert loaded.messages == ("--methods replaces the methods of 1 groups that named their own",)
    assert load_config(write(folder, BASE), methods="").config.methods == ()


def test_ci_refuses_inferred_preprocessing(folder: Path) -> None:
    load_config(write(folder, BASE), ci=True)
    with pytest.raises(
        ConfigError, match=r"audit\.yaml:1: resize and scale of 'model\.preprocessing' would be inferred"
    ):
        load_config(write(folder, BASE.replace("resize: center_crop, ", "").replace(", scale: 0-1", "")), ci=True)


def test_a_loader_gives_what_is_left_out(folder: Path) -> None:
    text = BASE.replace("resize: center_crop, interpolation: area", "loader: torchvision, shorter_side: 232")
    settings = load_config(write(folder, text), ci=True).config.model.preprocessing
    loader = loader_of(settings)
    assert (loader.resize, loader.interpolation, loader.shorter_side) == ("center_crop", "bilinear", 232)
    assert loader_of(settings.model_copy(update={"padding": "white"})).padding == WHITE
    assert loader_of(settings.model_copy(update={"padding": (1, 2, 3)})).padding == (1, 2, 3)
    changed = {"exif": "upright", "alpha": "black", "interpolation": "box", "resize": "pad", "shorter_side": None}
    expected = replace(LOADERS["torchvision"], **changed)
    assert loader_of(settings.model_copy(update=changed)) == expected
    assert loader_of(PreprocessingSettings()) == LOADERS["fruitaudit"]


def test_ci_refuses_what_was_guessed(folder: Path) -> None:
    guessed = write(folder, BASE.replace("scale: 0-1", "scale: 0-1, guessed: [scale]"))
    load_config(guessed)
    with pytest.raises(ConfigError, match=r"audit\.yaml:1: 'model\.preprocessing\.guessed' .* nobody confirmed scale"):
        load_config(guessed, ci=True)


def test_dump_loads_back(folder: Path) -> None:
    config = load_config(write(folder, EVERYTHING)).config
    (folder / "dumped.yaml").write_text(dump_config(config, folder), encoding="utf-8")
    assert load_config(folder / "dumped.yaml").config == config
    assert "- saliency\n" in dump_config(config, folder)  # the short forms stay short


text_values = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text_values
options = st.dictionaries(text_values, scalars | st.lists(scalars, max_size=2), max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    title=text_values,
    classes=st.lists(text_values, max_size=4),
    options=options,
    name=text_values.filter(bool),
    share=st.floats(0, 1),
)
def test_dump_loads_back_whatever_it_holds(
    title: str, classes: list[str], options: dict, name: str, share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gate = spell(FigureGate("", "recall", "a", name, None, ">=", share))
    config = Config.model_validate(
        {
            "title": title,
            "model": {"path": "/m", "classes": classes, "preprocessing": {"scale": {"mean": [share], "std": [1e-5]}}},
            "splits": [{"name": "a", "path": "/on", "role": "test"}],
            "methods": [{"name": "x", "options": options}],
            "gates": [gate, {"gate": gate, "on": "upper"}],
            "claims": [gate, f"cause: {name}"],
            "max_bad_share": share,
            "out": "/out",
        }
    )
    path = tmp_path_factory.getbasetemp() / "dumped.yaml"
    path.write_text(dump_config(config, Path("/")), encoding="utf-8", newline="")
    data = respelt(read_document(path).data, lambda path: str(absolute(Path("/"), str(path))))
    assert Config.model_validate(data) == config


def test_json_schema_accepts_the_spellings_and_refuses_others(folder: Path) -> None:
    schema = config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    load = lambda text: json.loads(json.dumps(read_document(write(folder, text)).data))  # noqa: E731
    validator.validate(load(EVERYTHING))
    validator.validate(load(BASE + "groups: auto\nmethods: []"))
    validator.validate(yaml.safe_load(dump_config(load_config(write(folder, EVERYTHING)).config, folder)))
    for text in (BASE + "gatez: []", BASE + "methods: [{a: 3}]", BASE + "seed: x", "model: {path: a}"):
        assert not validator.is_valid(load(text))


def test_shipped_configs_fit_the_schema() -> None:
    folder = Path(__file__).parents[2] / "configs"
    configs = sorted(folder.glob("*.yaml"))
    assert configs
    for path in configs:
        jsonschema.validate(read_document(path).data, config_schema())


def test_the_config_of_the_real_photographs_asks_for_label_randomization() -> None:
    """Its photographs are not here, so that only its keys and values can be checked."""
    config = Config.model_validate(read_document(resource("configs", "store16.yaml")).data)
    assert config.trust == "standard"
    assert config.trust_labels


def test_only_the_flag_lets_a_model_run_code(folder: Path) -> None:
    """The config says that the file needs it; whoever starts the audit answers for it."""
    path = write(folder, BASE.replace("path: m.keras", "path: m.keras, allow_code: true"))
    with pytest.raises(ConfigError, match=r"audit.yaml:\d+: 'model.allow_code' .* pass --allow-code$"):
        load_config(path)
    with pytest.raises(ConfigError, match=r"--set .*: 'model.allow_code' .* pass --allow-code$"):
        load_config(write(folder, BASE), overrides=["model.allow_code=true"])
    assert load_config(path, allow_code=True).config.model.allow_code
    assert load_config(write(folder, BASE), allow_code=True).config.model.allow_code
    assert not load_config(write(folder, BASE)).config.model.allow_code


TAGS = {
    "!!timestamp 5": "could not determine what the tag !!timestamp stands for here; leave it out",
    "!!binary aGVsbG8=": "what the tag !!binary stands for here",
    "!!set {a, b}": "what the tag !!set stands for here",
    "!!omap [a: 1]": "what the tag !!omap stands for here",
    "!!python/name:os.getcwd x": "what the tag !!python/name:os.getcwd stands for here",
    "!mine x": "what the tag !mine stands for here",
    "!!map x": "what the tag !!map stands for here",
    "<<": "what the tag !!merge stands for here",
    "!!float abc": "'abc' is no float; leave the tag !!float out, or write a value that fits it",
    "!!int x": "'x' is no int",
    "!!int ''": "'' is no int",
    "!!bool maybe": "'maybe' is no bool",
    "!!null x": "'x' is no null",
    "9" * 5000: "a number of 5000 digits; write one of at most 300",
}


@pytest.mark.parametrize("value", TAGS, ids=lambda value: value[:20])
def test_a_tag_is_refused_with_its_line(folder: Path, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, BASE + f"seed: {value}"))
    assert "audit.yaml:5: " in str(caught.value)
    assert TAGS[value] in str(caught.value)


def test_a_tag_that_fits_its_value_changes_nothing(folder: Path) -> None:
    config = load_config(write(folder, BASE + "seed: !!int 3\ntitle: !!str 5\nmax_bad_share: !!float 1e-2")).config
    assert (config.seed, config.title, config.max_bad_share) == (3, "5", 0.01)


def test_aliases_of_aliases_cost_no_memory(folder: Path) -> None:
    lines = [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    with pytest.raises(ConfigError, match="a config holds at most 100000 values"):
        load_config(write(folder, "\n".join([BASE + "a: &a [x, x, x]", *lines])))


PATHS = {
    "~nouser/x": "~nouser/x begins with ~nouser, and there is no user of that name; correct the path",
    "a" * 256: "aaa has a name of more than 255 bytes",
    "x/" * 2100: "/x is longer than 4095 bytes",
    '"a\\0b"': "holds a NUL character",
}


@pytest.mark.parametrize("key", ["model.path", "splits.0.path", "splits.1.originals", "out"])
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:10])
def test_paths_that_nothing_can_have(folder: Path, key: str, path: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, BASE), overrides=[f"{key}={path}"])
    assert str(caught.value).startswith(f"--set {key}: '{key}': ")
    assert PATHS[path] in str(caught.value)
    assert len(str(caught.value)) < 400


def test_paths_that_are_no_utf_8(folder: Path) -> None:
    odd = Path(os.fsdecode(b"caf\xe9"))
    for flags in ({"out": odd}, {"model": odd}):
        with pytest.raises(ConfigError, match=r"caf\\udce9 is not UTF-8 text"):
            load_config(write(folder, BASE), **flags)
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load_config(odd)


def test_a_split_that_is_a_circle_of_links(folder: Path) -> None:
    (folder / "circle").symlink_to(folder / "circle")
    with pytest.raises(ConfigError, match=r"circle cannot be looked at: Too many levels of symbolic links"):
        load_config(write(folder, BASE.replace("path: store", "path: circle")))


@pytest.mark.parametrize("text", ["gates: [LONG]", "LONG: 3", "seed: LONG", "a: {LONG: 1, LONG: 2}", "title: !LONG x"])
def test_a_sentence_stays_one_however_long_what_it_quotes(folder: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, BASE + text.replace("LONG", "a" * 900)))
    assert len(str(caught.value)) < 1100
    assert "audit.yaml:5: " in str(caught.value)


def test_an_interpreter_that_a_config_names_runs_only_with_the_flag(folder: Path) -> None:
    (folder / "python").write_text("#!/bin/sh\ntouch started\n")
    path = write(folder, BASE + "providers:\n  alibi:\n    python: python\n")
    with pytest.raises(ConfigError, match=r"audit.yaml:\d+: 'providers.alibi.python' .* pass --allow-code$"):
        load_config(path)
    assert load_config(path, allow_code=True).config.providers.interpreters == {"alibi": folder / "python"}
    with pytest.raises(ConfigError, match=r"--set .*: 'providers.alibi.python' .* pass --allow-code$"):
        load_config(write(folder, BASE), overrides=[f"providers.alibi.python={folder / 'python'}"])
    assert not (folder / "started").exists()


def test_a_class_map_may_lead_to_nothing_and_comes_back(folder: Path) -> None:
    config = load_config(write(folder, BASE + "class_map: {anger: angry, Dragonfruit: null, 1: one, no: }\n")).config
    assert config.class_map == {"anger": "angry", "Dragonfruit": None, "1": "one", "no": None}
    again = folder / "again.yaml"
    again.write_text(dump_config(config, folder), encoding="utf-8")
    assert load_config(again).config.class_map == config.class_map
