"""The settings of an audit, as a config file spells them. `fruitaudit schema config` prints their JSON Schema."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_serializer, model_validator

from fruitaudit.config.loaders import Alpha, Exif, Interpolation, LoaderName, Resize, Rounding, loader_of, misfit
from fruitaudit.config.parsed import ParsedClaim, ParsedGate
from fruitaudit.config.scales import known_scale
from fruitaudit.config.sizes import known_size
from fruitaudit.config.spelling import nearest
from fruitaudit.records.conditions import FigureGate
from fruitaudit.records.explanations import TargetRule

ChannelOrder = Literal["rgb", "bgr"]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
LONGEST_NAME = 100


def _safe_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError("a name may hold letters, digits, '_', '-' and '.', and becomes a file name")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"a name becomes a file name: give it at most {LONGEST_NAME} characters")
    return name


Name = Annotated[str, AfterValidator(_safe_name)]


def _word(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError("name a method or provider by letters, digits, '_' and '-'")
    return name


Word = Annotated[str, AfterValidator(_word)]


class Misfit(ValueError):
    """Two keys contradict each other; `path` says which key to mend, as seen from the settings that complain."""

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.path = path


class Settings(BaseModel):
    """Base: unknown keys are errors, nothing changes after loading."""

    # Classes may be named 0, 1, 2: numbers are taken where text is asked for.
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, coerce_numbers_to_str=True)


class Normalization(Settings):
    """(pixel / 255 - mean) / std, one number per channel."""

    mean: tuple[float, ...] = Field(description="of each channel, in 0-1")
    std: tuple[Annotated[float, Field(gt=0)], ...] = Field(description="of each channel, in 0-1")

    @model_validator(mode="after")
    def _same_length(self) -> Normalization:
        if len(self.mean) != len(self.std):
            raise ValueError("mean and std need one number per channel each")
        return self


Level = Annotated[int, Field(ge=0, le=255)]
Guessed = Literal["loader", "resize", "shorter_side", "interpolation", "antialias", "padding", "rounding", "exif",
                  "alpha", "scale", "channel_order"]  # fmt: skip


class PreprocessingSettings(Settings):
    """What is done to an image before the model sees it. What is left out is inferred, and said so."""

    size: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] | None = Field(
        None, description="height and width, needed only where the model's input leaves them open"
    )
    loader: LoaderName | None = Field(
        None, description="the program that prepared the training images; gives every key below but scale a value"
    )
    resize: Resize | None = Field(
        None, description="how an image gets the model's input size; left out: the loader's, without one inferred"
    )
    shorter_side: int | None = Field(
        None, gt=0, description="torchvision's Resize(N) before CenterCrop; left out: 256 / 224 of the model's size"
    )
    interpolation: Interpolation | None = Field(
        None, description="how pixels are interpolated; left out: the loader's, without one inferred"
    )
    antialias: bool | None = Field(None, description="of tf.image.resize; left out: false")
    padding: Literal["black", "white"] | tuple[Level, Level, Level] | None = Field(
        None, description="what resize: pad fills with, a name or red, green and blue in 0-255; left out: black"
    )
    rounding: Rounding | None = Field(
        None, description="what becomes of fractions of a grey level after resizing; left out: the loader's"
    )
    exif: Exif | None = Field(None, description="what an EXIF orientation does; left out: the loader's")
    alpha: Alpha | None = Field(None, description="what transparency is laid on; left out: the loader's")
    scale: Annotated[str, AfterValidator(known_scale)] | Normalization | None = Field(
        None, description="0-1, 0-255, -1-1, {mean: [...], std: [...]}, or a keras.applications module such as resnet50"
    )
    channel_order: ChannelOrder | None = Field(
        None,
        description="rgb or bgr: the order of channels before the scale; left out: rgb with a scale, else inferred",
    )
    guessed: tuple[Guessed, ...] = Field(
        (), description="keys above that nothing establishes and nobody confirmed; remove those that are right"
    )

    @model_validator(mode="after")
    def _keys_fit_the_loader(self) -> PreprocessingSettings:
        found = misfit(loader_of(self))
        if found:
            raise Misfit(found[1], found[0])
        return self


class ModelSettings(Settings):
    """The model file and how to feed it."""

    path: Path = Field(description="the model file")
    preprocessing: PreprocessingSettings = Field(
        PreprocessingSettings(), description="what is done to an image before the model sees it"
    )
    classes: tuple[str, ...] | Path | None = Field(
        None, description="class names in the order of the model's outputs, or a text or JSON file with them"
    )
    outputs: Literal["all", "labels"] = Field(
        "all", description="labels: only classes that have labels in the splits are possible answers"
    )
    allow_code: bool = Field(
        False,
        description="the file has to run code (Lambda layers, a SavedModel), which only --allow-code lets it do",
    )


class SplitSettings(Settings):
    """A set of labelled images: class folders, a CSV or Parquet manifest, or an NPZ."""

    name: Name = Field(description="letters, digits, '_', '-' and '.'; gates and groups name it")
    path: Path = Field(description="a folder of class folders, a CSV or Parquet manifest, or an NPZ")
    role: Literal["reference", "test", "field"] = Field(
        description="reference: what the model was trained on; test: held back in the lab; field: where it is used"
    )
    originals: Path | None = Field(
        None, description="high-resolution photographs, paired by relative path without suffix"
    )
    masks: Path | None = Field(
        None, description="pictures that are white on the object and black beside it, paired as originals are"
    )


class GroupSettings(Settings):
    """Images that are explained together."""

    name: Name = Field(description="letters, digits, '_', '-' and '.'; becomes the name of a folder")
    split: str = Field(description="the split that its images are of")
    kind: Literal["false_negative", "false_positive", "true_positive", "misclassified"] = Field(
        description="which images fit the group"
    )
    class_: str | None = Field(
        None, alias="class", description="true_positive and misclassified: left out, images of any class"
    )
    max_images: int = Field(16, gt=0, description="images drawn")
    per_class: int | None = Field(
        None, gt=0, description="choose among so many images of every class, drawn of the split with the seed"
    )
    like: str | None = Field(
        None, description="another group: for each of its images draw one of the same true class, to lay beside it"
    )
    methods: tuple[MethodSettings, ...] | None = Field(None, description="instead of the config's methods")

    @model_validator(mode="after")
    def _class_where_needed(self) -> GroupSettings:
        if self.class_ is None and self.kind.startswith("false"):
            raise Misfit(
                f"a group of kind {self.kind} needs a class: the one that is missed or wrongly called", "class"
            )
        return self


class MethodSettings(Settings):
    """`saliency`, `saliency@tf-keras-vis`, or `{smoothgrad: {samples: 20}}`."""

    name: Word
    provider: Word = "native"
    options: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, dict) and set(value) <= {"name", "provider", "options"}:
            return value
        options: Any = {}
        if isinstance(value, dict):
            if len(value) != 1:
                raise ValueError("write one method per entry: `- {smoothgrad: {samples: 20}}`")
            value, options = next(iter(value.items()))
        if not isinstance(value, str) or not isinstance(options or {}, dict):
            raise ValueError("write a method as `saliency`, `saliency@tf-keras-vis` or `{smoothgrad: {samples: 20}}`")
        name, _, provider = value.partition("@")
        return {"name": name, "provider": provider if "@" in value else "native", "options": options or {}}

    @model_serializer
    def _serialize(self) -> Any:
        return {self.spelling: self.options} if self.options else self.spelling

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> Any:
        """A word, one word with its options, or the long form."""
        options = {"type": ["object", "null"]}
        one = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": options}
        return {"anyOf": [{"type": "string"}, one, handler(core_schema)]}

    @property
    def spelling(self) -> str:
        """As a config writes it, options left out."""
        return self.name if self.provider == "native" else f"{self.name}@{self.provider}"


class GateSettings(Settings):
    """`accuracy[store] >= 0.9`, alone or with what it is judged on."""

    gate: ParsedGate = Field(
        description="metric[split] >= number; metric[split][class], [*] for every class with images; "
        "verdict[method] == read; faithfulness[method] >= number"
    )
    on: Literal["value", "lower", "upper"] = Field("value", description="the figure itself, or an end of its interval")
    min_support: int = Field(
        0, ge=0, description="classes with fewer images cannot be judged; with [*] those without images are left out"
    )
    severity: Literal["fail", "warn"] = Field("fail", description="warn: told, but not part of the exit code")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"gate": value} if isinstance(value, str) else value

    @model_serializer(mode="wrap")
    def _serialize(self, handler: Any) -> Any:
        return self.gate.text if self == GateSettings(gate=self.gate) else handler(self)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> Any:
        """The expression alone, or a mapping."""
        return {"anyOf": [{"type": "string"}, handler(core_schema)]}


class InterpreterSettings(Settings):
    """The Python of an environment whose pins conflict with this one's."""

    python: Path = Field(description="the interpreter, which only --allow-code lets run")


class ProviderSettings(Settings):
    """Libraries that run in an environment of their own."""

    alibi: InterpreterSettings | None = Field(None, description="an environment made with constraints-alibi.txt")

    @property
    def interpreters(self) -> dict[str, Path]:
        """Interpreter by provider, those that are named."""
        return {} if self.alibi is None else {"alibi": self.alibi.python}


class Config(Settings):
    """One audit."""

    title: str = Field("Audit of an image classifier", description="title of the report")
    model: ModelSettings = Field(description="the model file and how to feed it")
    splits: Annotated[tuple[SplitSettings, ...], Field(min_length=1, description="sets of labelled images")]
    class_map: dict[str, str | None] = Field(
        {}, description="the model's class of labels that are named otherwise; null leaves their images out"
    )
    lab: str | None = Field(
        None,
        description="the split that the field is compared with; left out: the test split named test, else the largest "
        "test split, else the largest reference split",
    )
    groups: tuple[GroupSettings, ...] | Literal["auto"] = Field(
        "auto", description="which images are explained: auto, or a list of groups"
    )
    methods: tuple[MethodSettings, ...] | None = Field(
        None,
        description="methods for every group; left out: gradient and CAM methods for errors, perturbation for controls",
    )
    target: TargetRule = Field(
        "predicted",
        description="the class explained; contrast: the one predicted against the true one, or against the runner-up",
    )
    providers: ProviderSettings = Field(
        ProviderSettings(), description="libraries that run in an environment of their own"
    )
    trust: Literal["off", "quick", "standard", "full"] = Field(
        "quick", description="how thoroughly the explanations themselves are tested"
    )
    diagnosis: Literal["off", "quick", "standard"] = Field(
        "standard", description="how many images the experiments that look for causes take: 100 or 320 per split"
    )
    trust_labels: bool = Field(
        False, description="also test methods on a copy of the network trained on shuffled labels, which takes a while"
    )
    claims: tuple[ParsedClaim, ...] = Field(
        (), description="what somebody says, put to the test: accuracy[store] >= 0.99, or cause: light"
    )
    gates: tuple[GateSettings, ...] = Field((), description="what the model must reach")
    seed: int = Field(9, ge=0, description="every random choice derives from it")
    out: Path = Field(Path("audit"), description="output folder")
    max_images: int = Field(16, gt=0, description="explained images per group, with groups: auto")
    batch_size: int = Field(
        64,
        gt=0,
        description="images of a split held at once, in whole passes of 32; changes no result",
    )
    memory: Annotated[str, AfterValidator(known_size)] | None = Field(
        None, description="the most memory an audit should take, such as 4GB; left out: 5GB, or half of the machine's"
    )
    on_bad_image: Literal["skip", "fail"] = Field(
        "skip", description="what a file that cannot be used does: it is counted and left out, or ends the audit"
    )
    max_bad_share: float = Field(0.01, ge=0, le=1, description="more bad files than this make the split's gates NotRun")
    table_rows: int = Field(
        1000, ge=0, description="rows of the table of predictions in the HTML; all are in the Parquet file"
    )
    sheet_images: int = Field(4, ge=0, description="images per class and split on the contact sheet")

    @model_validator(mode="after")
    def _names_fit(self) -> Config:
        names = [split.name for split in self.splits]
        groups = self.groups if isinstance(self.groups, tuple) else ()
        for i, name in enumerate(names):
            if name in names[:i]:
                raise Misfit(f"two splits are named {name}; give each its own name", "splits", i, "name")
        if self.lab is not None and self.lab not in names:
            raise Misfit(f"there is no split {self.lab!r}; {nearest(self.lab, names)}", "lab")
        if any(split.name == self.lab and split.role == "field" for split in self.splits):
            raise Misfit(f"split {self.lab} has the role field; name a test or reference split", "lab")
        for i, group in enumerate(groups):
            if group.split not in names:
                message = f"there is no split {group.split!r}; splits are {', '.join(names)}"
                raise Misfit(message, "groups", i, "split")
            if group.like is not None and group.like not in [g.name for g in groups[:i]]:
                message = f"there is no group {group.like!r} above {group.name}, which is to be like it"
                raise Misfit(message, "groups", i, "like")
            if group.name in [g.name for g in groups[:i]]:
                raise Misfit(f"two groups are named {group.name}; give each its own name", "groups", i, "name")
        return self

    @model_validator(mode="after")
    def _splits_of_gates_and_claims(self) -> Config:
        names = [split.name for split in self.splits]
        gates = [("gates", "gate", i, settings.gate) for i, settings in enumerate(self.gates)]
        claims = [("claims", "claim", i, claim) for i, claim in enumerate(self.claims)]
        for key, noun, i, parsed in (*gates, *claims):
            if isinstance(parsed, FigureGate) and parsed.split not in names:
                hint = nearest(parsed.split, names)
                raise Misfit(f"{noun} {parsed.text!r}: there is no split {parsed.split}; {hint}", key, i)
        return self


GroupSettings.model_rebuild()
