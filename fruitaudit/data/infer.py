"""Settles how images are prepared: what is written down is kept, the rest is tried on the reference split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fruitaudit.config.loaders import loader_of
from fruitaudit.config.scales import APPLICATIONS
from fruitaudit.config.schema import PreprocessingSettings
from fruitaudit.data.decode import MAX_PIXELS, BadImage, read_bytes
from fruitaudit.data.preprocess import Preprocessor
from fruitaudit.data.resampling import Pixels
from fruitaudit.data.splits import Split
from fruitaudit.errors import ConfigError, DataError
from fruitaudit.records.data import FloatArray, IntArray, PreprocessingSummary
from fruitaudit.runtime.streams import Streams

SAMPLE = 64
"""How many images of the reference split are looked at."""
_TRIALS = (
    ("0-1", ""),
    ("-1-1", ""),
    ("densenet", " (ImageNet mean and deviation)"),
    ("0-255", ""),
    ("resnet50", " (BGR minus the ImageNet mean)"),
)
"""From small numbers to large ones, because large ones make a network sure of itself, right or wrong."""
_LOG_FLOOR = 1e-12
_T_99 = 2.66
"""99 % point of Student's t with 60 degrees of freedom, two-sided; a little less than that for fewer images."""

ScoreFunction = Callable[[FloatArray], FloatArray]


def infer_preprocessing(
    settings: PreprocessingSettings,
    input_shape: Sequence[int | None],
    split: Split,
    score: ScoreFunction,
    streams: Streams,
    max_pixels: int = MAX_PIXELS,
) -> tuple[Preprocessor, PreprocessingSummary]:
    """What is done to every image, and how that was decided.

    The scale that nobody wrote down is the first of 0-1, -1-1, the ImageNet normalization, 0-255 and BGR minus the
    ImageNet mean that no other one beats in the mean log-likelihood of the true labels of the same images (paired
    t > 2.66). `score` gives probabilities (N, K). Raises ConfigError where the size is open, DataError where no image
    can be read.
    """
    height, width, channels = _size(settings, input_shape)
    loader = loader_of(settings)
    prepared = Preprocessor(height, width, channels, loader.resize, loader.interpolation, settings.scale or "0-1",
                            max_pixels, loader)  # fmt: skip
    inferred = tuple(key for key in (() if settings.loader else ("resize", "interpolation"))
                     if getattr(settings, key) is None)  # fmt: skip
    inferred += () if settings.scale else ("scale",)
    guessed = tuple(key for key in settings.guessed if key not in inferred)
    evidence = [f"{key}: inferred by an earlier run, and confirmed by nobody." for key in guessed]
    if inferred:
        images = _draw_images(split, prepared, streams)
        evidence += [_fit_evidence(key, prepared, images, split) for key in inferred if key != "scale"]
    if "scale" in inferred:
        trials = _try_scales(prepared, images, score)
        chosen = _choose(trials)
        prepared = replace(prepared, scale=chosen.scale)
        evidence.append(_scale_evidence(trials, chosen, split, images))
    return prepared, PreprocessingSummary(
        height,
        width,
        channels,
        prepared.resize,
        prepared.interpolation,
        prepared.scale_text,
        (*inferred, *guessed),
        tuple(evidence),
    )


@dataclass(frozen=True)
class _TrialImages:
    fitted: Pixels
    labels: IntArray
    shapes: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class _Trial:
    """`likelihoods` (N,): log p of the true label of each image; `accuracy` 0..1."""

    scale: str
    label: str
    likelihoods: npt.NDArray[np.float64]
    accuracy: float

    @property
    def mean(self) -> float:
        return float(self.likelihoods.mean())

    def beats(self, other: _Trial) -> bool:
        """Paired t-test on the same images, for a gain worth the name.

        A scale that is too large makes a network surer without making it better: where no more images are right, the
        gain must be 0.5 nats.
        """
        gain = self.likelihoods - other.likelihoods
        spread = gain.std(ddof=1) if len(gain) > 1 else np.inf
        worth = 0.05 if self.accuracy > other.accuracy else 0.5
        return bool(gain.mean() > max(worth, _T_99 * spread / np.sqrt(len(gain))))


def _size(settings: PreprocessingSettings, input_shape: Sequence[int | None]) -> tuple[int, int, int]:
    height, width, channels = input_shape
    size = settings.size
    if size is not None and any(side not in (None, size[i]) for i, side in enumerate((height, width))):
        raise ConfigError(f"model.preprocessing.size: {size[0]} x {size[1]} is not what the model takes, "
                          f"{height} x {width}; leave size out")  # fmt: skip
    if size is None and (height is None or width is None):
        raise ConfigError("model.preprocessing.size: the model takes images of any size; write down the height and "
                          "width it was trained on, for example size: [224, 224]")  # fmt: skip
    height, width = size or (height, width)
    return int(height or 0), int(width or 0), int(channels or 3)


def _draw_images(split: Split, preprocessor: Preprocessor, streams: Streams) -> _TrialImages:
    """Up to 64 readable images, drawn with the seed."""
    fitted, labels, shapes = [], [], []
    reason = "the split is empty"
    for row in streams.rng("preprocessing", split.name).permutation(len(split.samples)):
        sample = split.samples[row]
        try:
            pixels = preprocessor.decoded(read_bytes(sample)).pixels
        except (BadImage, OSError) as error:
            reason = f"{sample.id}: {error}"
            continue
        fitted.append(preprocessor.fitted(pixels))
        labels.append(sample.label)
        shapes.append((pixels.shape[0], pixels.shape[1]))
        if len(fitted) == SAMPLE:
            break
    if not fitted:
        raise DataError(f"split {split.name}: no image can be read to infer the preprocessing from; {reason}")
    return _TrialImages(np.stack(fitted), np.array(labels, np.int64), tuple(shapes))


def _try_scales(prepared: Preprocessor, images: _TrialImages, score: ScoreFunction) -> list[_Trial]:
    trials = []
    for scale, detail in _TRIALS:
        if prepared.channels != 3 and scale in APPLICATIONS:
            continue
        probabilities = np.nan_to_num(score(replace(prepared, scale=scale).scaled(images.fitted)).astype(np.float64))
        of_truth = probabilities[np.arange(len(images.labels)), images.labels]
        likelihoods = np.log(np.clip(of_truth, _LOG_FLOOR, 1.0))
        accuracy = float((probabilities.argmax(axis=1) == images.labels).mean())
        trials.append(_Trial(scale, scale + detail, likelihoods, accuracy))
    return trials


def _choose(trials: list[_Trial]) -> _Trial:
    """The first one that no other beats. The largest mean is never beaten, so there is one."""
    return next(trial for trial in trials if not any(other.beats(trial) for other in trials))


def _scale_evidence(trials: list[_Trial], chosen: _Trial, split: Split, images: _TrialImages) -> str:
    figures = "; ".join(
        f"{t.label}: log-likelihood {t.mean:.3f}, accuracy {100 * t.accuracy:.1f} %"
        for t in sorted(trials, key=lambda t: -t.mean)
    )
    rivals = [t.scale for t in trials if t is not chosen and not chosen.beats(t)]
    named = " and ".join(filter(None, (", ".join(rivals[:-1]), *rivals[-1:])))
    doubt = f"; {named} cannot be told apart from it on these images" if rivals else ""
    return (f"scale {chosen.scale}: chosen by the mean log-likelihood of the true labels of "
            f"{len(images.labels)} images of {split.name}{doubt} ({figures}).")  # fmt: skip


def _fit_evidence(key: str, prepared: Preprocessor, images: _TrialImages, split: Split) -> str:
    value = prepared.resize if key == "resize" else prepared.interpolation
    size, n = (prepared.height, prepared.width), len(images.shapes)
    same_size = sum(shape == size for shape in images.shapes)
    same_aspect = sum(h * size[1] == w * size[0] for h, w in images.shapes)
    text = f"{key} {value}: the default"
    if same_size == n:
        return (f"{text}; it changes nothing in {split.name}, whose {n} images looked at already measure "
                f"{size[0]} x {size[1]}.")  # fmt: skip
    if key == "resize" and same_aspect == n:
        return (
            f"{text}; it changes nothing in {split.name}, whose {n} images looked at all have the model's proportions."
        )
    differ = n - (same_aspect if key == "resize" else same_size)
    what = "proportions" if key == "resize" else "size"
    return f"{text}, not tried out: {differ} of {n} images looked at in {split.name} differ from the model in {what}."
