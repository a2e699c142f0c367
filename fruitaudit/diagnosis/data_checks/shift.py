"""How two splits differ: property by property, in the model's features, and each error from what training showed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np

from fruitaudit.diagnosis.gap.split_pair import MaskedSplit, SplitPair
from fruitaudit.diagnosis.images.sharpness import blur_metric
from fruitaudit.diagnosis.images.split_sample import SplitSample
from fruitaudit.records.data import DoubleArray, FloatArray, IntArray
from fruitaudit.records.data_checks import Distance, FeatureShift, Shift
from fruitaudit.records.states import Estimate, NotRun, Quantity
from fruitaudit.runtime.streams import Streams
from fruitaudit.statistics.groups import few_groups, few_groups_note, numbered
from fruitaudit.statistics.means import spanned, weights

_EXAMPLES = 8
"""Images of each split that are named as the ones by which it is told."""
_FOLDS = 5
UNITS = {
    "brightness": "mean luminance, 0..255",
    "contrast": "deviation of luminance, 0..255",
    "saturation": "mean of HSV saturation, 0..255",
    "warmth": "mean of CIELAB b*",
    "blur": "blur metric, 0 sharp .. 1",
    "width": "pixels of the file",
    "height": "pixels of the file",
    "aspect": "width over height",
    "background spread": "deviation of the border's colour, 0..255",
    "object share": "share of the image, sure masks only",
}


def measure_shift(pair: SplitPair) -> Iterator[Shift]:
    """Every property of the field beside the lab's."""
    lab, field = properties(pair.lab), properties(pair.field)
    names = pair.lab.material.split, pair.field.material.split
    for name, unit in UNITS.items():
        lab_values, field_values = (v[name][np.isfinite(v[name])] for v in (lab, field))
        lab_median, field_median = (float(np.median(v)) if len(v) else None for v in (lab_values, field_values))
        has_groups = pair.lab.material.sources_known or pair.field.material.sources_known
        groups = [m.sources[np.isfinite(v[name])] for m, v in ((pair.lab.material, lab), (pair.field.material, field))]
        yield Shift(
            name,
            unit,
            *names,
            lab_median,
            field_median,
            hedges_g(lab_values, field_values, groups if has_groups else None),
        )


def properties(side: MaskedSplit) -> dict[str, DoubleArray]:
    """By name of `UNITS`, (N,); NaN where an image has none."""
    rows = [_of_image(image) for image in side.material.pixels]
    by_name = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    height, width = side.material.sizes.T.astype(np.float64)
    shares = np.full(len(side.material), np.nan)
    shares[side.sure] = side.masks.values[side.sure].mean(axis=(1, 2))
    return by_name | {"width": width, "height": height, "aspect": width / height, "object share": shares}


def _of_image(image: np.ndarray) -> dict[str, float]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    border = np.concatenate([image[:2].reshape(-1, 3), image[-2:].reshape(-1, 3), image[:, :2].reshape(-1, 3),
                             image[:, -2:].reshape(-1, 3)]).astype(np.float64)  # fmt: skip
    return {
        "brightness": float(grey.mean()),
        "contrast": float(grey.std()),
        "saturation": float(cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 1].mean()),
        "warmth": float(cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[..., 2].mean()) - 128,
        "blur": blur_metric(image.astype(np.float32), np.ones(grey.shape, bool)),
        "background spread": float(np.sqrt(border.var(axis=0).mean())),
    }


def hedges_g(lab_values: DoubleArray, field_values: DoubleArray, groups: Sequence[IntArray] | None = None) -> Quantity:
    """(mean(field) - mean(lab)) / pooled deviation, corrected for small samples; 95 % interval by its normal limit.

    g = J d, J = 1 - 3 / (4 m - 1), m = n1 + n2 - 2; variance (n1 + n2) / (n1 n2) + g^2 / (2 (n1 + n2)).
    Paper: Hedges 1981, J. Educ. Stat. 6(2), 107-128, eq. 6 and section 5.
    Differs from the paper: with `groups` of both sides, the variance of each mean is that between groups, and Student's
    quantile is taken; the second term grows by the same design effect.
    """
    n1, n2 = len(lab_values), len(field_values)
    if min(n1, n2) < 3:
        return NotRun("fewer than three images of one split have this property", code="too_few_images")
    pooled = float(np.sqrt(((n1 - 1) * lab_values.var(ddof=1) + (n2 - 1) * field_values.var(ddof=1)) / (n1 + n2 - 2)))
    difference = float(field_values.mean() - lab_values.mean())
    if pooled < 1e-9:
        if difference == 0:
            return Estimate(0.0, n1 + n2, 0.0, 0.0, interval="none needed", note="every image has the same value")
        return NotRun(
            f"neither split varies in it, but they differ by {difference:.3g}: no deviation to measure by",
            code="undefined",
        )
    g = difference / pooled * (1 - 3 / (4 * (n1 + n2 - 2) - 1))
    sampling_variance = (n1 + n2) / (n1 * n2)
    variance = sampling_variance + g * g / (2 * (n1 + n2))
    if groups is None:
        half = 1.96 * float(np.sqrt(variance))
        return Estimate(g, n1 + n2, g - half, g + half, interval="normal limit of Hedges' g")
    return _between_groups(
        g, variance, sampling_variance, [(v - v.mean()) / pooled for v in (lab_values, field_values)], groups
    )


def _between_groups(
    g: float, variance: float, sampling_variance: float, deviations: Sequence[DoubleArray], groups: Sequence[IntArray]
) -> Estimate:
    """Hedges' g with the variance of its means taken between groups; `deviations` are deviations from each mean."""
    from scipy.stats import t

    n, counts = sum(map(len, deviations)), [len(np.unique(numbers)) for numbers in groups]
    if few := few_groups(min(counts)):
        return Estimate(g, n, note=few_groups_note(few), n_groups=sum(counts), no_interval=few)
    sums = [
        np.bincount(numbered(numbers)[0], weights=values) for numbers, values in zip(groups, deviations, strict=True)
    ]
    between = sum(
        c / (c - 1) * float((s**2).sum()) / len(v) ** 2 for c, s, v in zip(counts, sums, deviations, strict=True)
    )
    half = float(t.ppf(0.975, min(counts) - 1) * np.sqrt(variance * max(1.0, between / sampling_variance)))
    name = "normal limit of Hedges' g, variance between groups"
    return Estimate(g, n, g - half, g + half, interval=name, n_groups=sum(counts))


def measure_feature_shift(
    lab: SplitSample, lab_features: FloatArray, field: SplitSample, field_features: FloatArray, streams: Streams
) -> FeatureShift:
    """Cross-validated two-sample classifier: logistic regression on the 32 main directions of the model's features.

    Folds hold whole sources. AUC with an interval over resampled sources.
    Paper: Lopez-Paz, Oquab 2017, arXiv:1610.06545, section 3. Differs from the paper: AUC instead of accuracy.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.preprocessing import StandardScaler

    x = np.concatenate([lab_features, field_features]).astype(np.float64)
    y = np.repeat([0, 1], [len(lab), len(field)])
    sources = np.concatenate([lab.sources, field.sources + lab.sources.max() + 1])
    if min(len(np.unique(lab.sources)), len(np.unique(field.sources))) < 2 * _FOLDS:
        few = NotRun(f"fewer than {2 * _FOLDS} sources in {lab.split} or {field.split}", code="too_few_groups")
        return FeatureShift(lab.split, field.split, few)
    scores = np.zeros(len(y))
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=streams.integer("two samples", bits=32))
    # Directions are found without looking at which split an image is of, so that once for all folds is honest.
    pca = PCA(min(32, len(x) - 1, x.shape[1]), svd_solver="covariance_eigh")
    z = pca.fit_transform(StandardScaler().fit_transform(x))
    for train, test in folds.split(z, y, sources):
        scores[test] = LogisticRegression(max_iter=300).fit(z[train], y[train]).decision_function(z[test])
    auc = _auc(scores, y, lab, field, streams)
    order = np.argsort(scores, kind="stable")
    ids = lab.ids + field.ids
    most_lab = [ids[i] for i in order if y[i] == 0][:_EXAMPLES]
    most_field = [ids[i] for i in order[::-1] if y[i] == 1][:_EXAMPLES]
    return FeatureShift(lab.split, field.split, auc, tuple(most_lab), tuple(most_field))


def _auc(scores: DoubleArray, y: np.ndarray, lab: SplitSample, field: SplitSample, streams: Streams) -> Estimate:
    wins = np.sign(scores[y == 1][:, None] - scores[y == 0][None]) / 2 + 0.5
    lab_weights, field_weights = (weights(m.sources, streams, "auc", m.split) for m in (lab, field))
    spread = ((field_weights @ wins) * lab_weights).sum(axis=1)
    has_groups = lab.sources_known or field.sources_known
    return replace(spanned(float(wins.mean()), spread, (lab.sources, field.sources), has_groups), note="")


def nearest_training(
    names: Sequence[str], train: SplitSample, train_features: FloatArray, lab: tuple[SplitSample, FloatArray],
    field: tuple[SplitSample, FloatArray],
) -> tuple[Distance, ...]:  # fmt: skip
    """Every error of the field with the nearest training image of its true class; farthest first.

    Distances are cosine, 0..2; `rank` compares them with those of the lab's right answers.
    """
    material, features = field
    correct_distances, _ = to_own_class(*lab, train, train_features)
    correct_distances = np.sort(correct_distances[(lab[0].correct > 0) & np.isfinite(correct_distances)])
    distances, nearest = to_own_class(material, features, train, train_features)
    rows = [i for i in np.argsort(-distances, kind="stable") if material.correct[i] == 0 and np.isfinite(distances[i])]
    return tuple(
        Distance(
            material.ids[i],
            names[material.labels[i]],
            names[material.predicted[i]],
            train.ids[nearest[i]],
            float(distances[i]),
            float(np.searchsorted(correct_distances, distances[i]) / max(1, len(correct_distances))),
        )
        for i in rows
    )


def to_own_class(
    material: SplitSample, features: FloatArray, train: SplitSample, train_features: FloatArray
) -> tuple[DoubleArray, np.ndarray]:
    """(N,) cosine distance to, and row of, the nearest training image of the same class; inf where there is none."""
    a, b = (f / np.maximum(np.linalg.norm(f, axis=1, keepdims=True), 1e-9) for f in (features, train_features))
    distances = np.where(material.labels[:, None] == train.labels[None], 1 - a @ b.T, np.inf).astype(np.float64)
    nearest = distances.argmin(axis=1)
    return distances[np.arange(len(material)), nearest], nearest
