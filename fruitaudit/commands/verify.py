"""`fruitaudit verify`: every provider of every method on the user's own model and images, and how well they agree.

Both get equal parameters where both have them: the config's, or the provider's where it has no others. Maps are
correlated; made-up inputs and counterfactuals have many right answers and are judged by how good they are.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.padding import Padding

from fruitaudit.attribution.base import Method, background_of
from fruitaudit.attribution.explain import explain
from fruitaudit.audit.opening import Opened, open_inputs
from fruitaudit.audit.steps import Progress
from fruitaudit.config.schema import Config, MethodSettings
from fruitaudit.data.stream import read_images
from fruitaudit.errors import ConfigError, DataError
from fruitaudit.providers.equal import native_options, options_for, options_of
from fruitaudit.providers.registry import all_methods, build, explains_of, providers_of
from fruitaudit.records.data import Background, FloatArray, Images
from fruitaudit.records.evidence import Counterfactuals, Synthetic
from fruitaudit.records.explanations import Explains, Explanation, Maps, Segments, Targets
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams


@dataclass(frozen=True)
class ProviderAgreement:
    """One provider's maps beside the native ones, one number per image; None where one of the two maps is constant."""

    method: str
    provider: str
    pearson: tuple[float | None, ...]
    spearman: tuple[float | None, ...]
    caveat: str
    """What is known of why they differ; empty where nothing is."""
    explains: tuple[Explains, Explains]
    """What the native maps explain, and what the provider's."""
    options: dict[str, typing.Any] = field(default_factory=dict)
    """Of the native method, where they are not those of the config, because the provider has no others."""


@dataclass(frozen=True)
class Figures:
    """How good the counterfactuals or made-up inputs of both are; None where there are none."""

    method: str
    provider: str
    figures: dict[str, tuple[float | None, float | None]]
    caveat: str
    options: dict[str, typing.Any] = field(default_factory=dict)
    """As in `ProviderAgreement`."""


@dataclass(frozen=True)
class NotCompared:
    """A provider that could not be asked, or whose answer cannot be compared."""

    method: str
    provider: str
    reason: NotRun


VerifyRow = ProviderAgreement | Figures | NotCompared
FEW: dict[str, dict[str, typing.Any]] = {"activation_maximization": {"filters": 1, "classes": 2, "steps": 128}}
"""Where the config says nothing: another library takes seconds for each picture that it makes up."""


def verify(config: Config, n_images: int, progress: Progress) -> Iterator[VerifyRow]:
    """Compare all providers of every method on `n_images`, drawn with the seed, for the classes the model predicts.

    Model and images are opened at once; each comparison is made when its row is asked for.
    """
    streams = Streams(config.seed)
    with progress.stage("open model and data", 0):
        opened = open_inputs(config, streams)
        images = _draw_images(opened, n_images, streams)
        targets = Targets(opened.classifier.probabilities(images.values).argmax(axis=1))
    return _Comparison(config, opened, images, targets, streams).rows(progress)


def _draw_images(opened: Opened, n: int, streams: Streams) -> Images:
    """Of the splits of the most telling role: the field, then the test, then the reference."""
    for role in ("field", "test", "reference"):
        samples = [sample for split in opened.splits if split.role == role for sample in split.samples]
        if samples:
            order = streams.rng("verify", role).permutation(len(samples))[:n]
            return read_images([samples[i] for i in order], opened.preprocessor)
    raise DataError("no split holds an image to verify with")


@dataclass(frozen=True)
class _Comparison:
    config: Config
    opened: Opened
    images: Images
    targets: Targets
    streams: Streams

    def rows(self, progress: Progress) -> Iterator[VerifyRow]:
        """Every provider but the native one, method by method. No stage is open while a row is printed."""
        others = {name: providers_of(name)[1:] for name, provider in all_methods() if provider != "native"}
        number, total = count(1), sum(map(len, others.values()))
        for name, providers in others.items():
            native_explanations: dict[str, Explanation | NotRun] = {}
            for provider in providers:
                with progress.stage(f"compare {name}@{provider}, {next(number)} of {total}", 0):
                    row = self._comparison(name, provider, native_explanations)
                yield row

    def _comparison(self, name: str, provider: str, native_explanations: dict[str, Explanation | NotRun]) -> VerifyRow:
        """A provider beside the native method with equal parameters.

        `native_explanations`: what the native method gave, by its options.
        """
        configured = self._method(name, "native", self._options(name))
        if isinstance(configured, NotRun):
            return NotCompared(name, provider, configured)
        theirs = self._method(name, provider, options_for(all_methods()[name, provider], configured))
        if isinstance(theirs, NotRun):
            return NotCompared(name, provider, theirs)
        ours = dataclasses.replace(configured, **native_options(theirs))  # type: ignore[type-var]
        if repr(ours) not in native_explanations:
            native_explanations[repr(ours)] = self._explanation(ours)
        return self._row(configured, ours, native_explanations[repr(ours)], theirs)

    def _row(self, configured: Method, ours: Method, native: Explanation | NotRun, theirs: Method) -> VerifyRow:
        name, provider = theirs.registration.name, theirs.registration.provider
        if isinstance(native, NotRun):
            return NotCompared(name, provider, native)
        library = self._explanation(theirs)
        if isinstance(library, NotRun):
            return NotCompared(name, provider, library)
        caveat, before = theirs.registration.caveat, options_of(configured)
        changed = {option: value for option, value in options_of(ours).items() if value != before[option]}
        if isinstance(native, Maps | Segments) and isinstance(library, Maps | Segments):
            a, b, model = native.values, library.values, self.opened.classifier
            both = correlations(a, b), correlations(ranks(a), ranks(b))
            explains = explains_of(ours, model), explains_of(theirs, model)
            return ProviderAgreement(name, provider, *both, caveat, explains, changed)
        our_figures, their_figures = figures_of(native), figures_of(library)
        if not our_figures:
            return NotCompared(
                name, provider, NotRun(f"{name} shows neither maps nor anything that can be counted", "not_applicable")
            )
        return Figures(
            name, provider, {what: (our_figures[what], their_figures[what]) for what in our_figures}, caveat, changed
        )

    def _method(self, name: str, provider: str, options: dict[str, typing.Any]) -> Method | NotRun:
        try:
            settings = MethodSettings(name=name, provider=provider, options=options)
            return build(settings, self.config.providers.interpreters)
        except ConfigError as reason:
            return NotRun(str(reason), "not_applicable")

    def _explanation(self, method: Method) -> Explanation | NotRun:
        images, targets = self.images, self.targets
        if method.registration.subject == "model":
            images, targets = images.select(slice(0)), targets.select(slice(0))
        images = dataclasses.replace(images, background=self._background(background_of(method)))
        return explain(method, self.opened.classifier, images, targets, self.streams)

    def _background(self, n: int) -> Background | None:
        """`n` images of the reference split; None where none are wanted or there are none."""
        samples = next((split.samples for split in self.opened.splits if split.role == "reference"), ())
        references = [samples[i] for i in self.streams.rng("verify", "background").permutation(len(samples))[:n]]
        if not references:
            return None
        values = read_images(references, self.opened.preprocessor).values
        labels = np.array([sample.label for sample in references], dtype=np.int64)
        return Background(values, labels, tuple(sample.id for sample in references), len(samples))

    def _options(self, name: str) -> dict[str, typing.Any]:
        """What the config sets for the native method."""
        groups = () if self.config.groups == "auto" else self.config.groups
        configured = [*(self.config.methods or ()), *(s for group in groups for s in group.methods or ())]
        return FEW.get(name, {}) | next((s.options for s in configured if (s.name, s.provider) == (name, "native")), {})


def figures_of(explanation: Explanation) -> dict[str, float | None]:
    """How good made-up inputs or counterfactuals are, in numbers; empty for what is neither."""
    if isinstance(explanation, Synthetic):
        reached = explanation.reached / np.where(explanation.strongest == 0, np.nan, abs(explanation.strongest))
        return {"response in that of the strongest real image, median": _median(reached)}
    if isinstance(explanation, Counterfactuals):
        figures: dict[str, float | None] = {}
        for part in explanation.parts:
            telling = part.found & (np.array(part.vacuous) == "")
            sizes = explanation.diagnostics[f"{part.mode.lower()}_l1"]
            figures[f"{part.mode} found that say something, of {len(telling)}"] = float(telling.sum())
            figures[f"{part.mode} median L1"] = _median(sizes[telling])
        return figures
    return {}


def _median(values: npt.NDArray[typing.Any]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else None


def ranks(maps: FloatArray) -> npt.NDArray[np.float64]:
    """(N, H, W): the rank of each pixel in its own map, ties sharing theirs."""
    from scipy.stats import rankdata

    return rankdata(maps.reshape(len(maps), -1), axis=1).reshape(maps.shape)


def correlations(ours: npt.NDArray[typing.Any], theirs: npt.NDArray[typing.Any]) -> tuple[float | None, ...]:
    """Pearson's r of each pair of maps."""
    coefficients: list[float | None] = []
    for a, b in zip(ours.astype(np.float64), theirs.astype(np.float64), strict=True):
        varied = np.isfinite(a).all() and np.isfinite(b).all() and np.ptp(a) > 0 and np.ptp(b) > 0
        coefficients.append(float(np.corrcoef(a.ravel(), b.ravel())[0, 1]) if varied else None)
    return tuple(coefficients)


def print_verified(rows: Iterable[VerifyRow], *, as_json: bool) -> None:
    """Print the agreement of every provider to stdout: text row by row as they come, JSON at the end."""
    if as_json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=1))
        return
    console = Console(highlight=False, markup=False)
    console.print("Other providers beside the native ones: median (lowest to highest) over the images")
    for row in rows:
        if isinstance(row, NotCompared):
            result, notes = "not compared", [row.reason.reason]
        elif isinstance(row, Figures):
            result = "; ".join(f"{what}: {_figure(ours)} natively, {_figure(theirs)} theirs"
                             for what, (ours, theirs) in row.figures.items())  # fmt: skip
            notes = [row.caveat, _equal(row.options)]
        else:
            result = f"Pearson {_summary(row.pearson)}; Spearman {_summary(row.spearman)}"
            ours, theirs = row.explains
            apart = "" if ours == theirs else f"explains the {theirs}, the native one the {ours}"
            notes = [row.caveat, apart, _equal(row.options)]
        console.print(f"\n{row.method}@{row.provider}: {result}")
        for note in filter(None, notes):
            console.print(Padding(note, (0, 0, 0, 2)))


def _equal(options: dict[str, typing.Any]) -> str:
    listing = ", ".join(f"{name} {value}" for name, value in options.items())
    return f"the native one with its options: {listing}" if listing else ""


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _summary(correlations: Sequence[float | None]) -> str:
    defined = [r for r in correlations if r is not None]
    if not defined:
        return "none (constant maps)"
    constant = len(correlations) - len(defined)
    text = f"{np.median(defined):.2f} ({min(defined):.2f} to {max(defined):.2f})"
    return f"{text}, {constant} constant" if constant else text
