"""Numbers of the experiments -> ranked findings: a sentence, its evidence, and what to do.

Only what an experiment or a count showed is called a cause. Pipeline faults come before everything else: until they
are mended no other figure means anything.
"""

from __future__ import annotations

from collections.abc import Iterator

from fruitaudit.diagnosis.data_findings import of_data
from fruitaudit.diagnosis.evidence import DiagnosisEvidence, points
from fruitaudit.diagnosis.gap_findings import of_gaps, of_varieties
from fruitaudit.records.diagnosis import CauseFinding, Remedy

LEAST_GAIN = 0.1
"""Gain of accuracy on the lab's own test split from which another preparation is called right."""
_ORDER = {"cause": 0, "warning": 1, "note": 2}


def rank(evidence: DiagnosisEvidence) -> tuple[CauseFinding, ...]:
    """Worst first: by severity, pipeline faults first, then by effect times certainty."""
    pipeline = sorted(_pipeline(evidence), key=lambda f: -f.effect)
    others = [*of_gaps(evidence), *of_varieties(evidence), *of_data(evidence)]
    others.sort(key=lambda f: (_ORDER[f.severity], -f.effect * f.certainty))
    return (*pipeline, *others)


_PREPARATION_FINDINGS = {
    "channel order": ("channel-order", "Red and blue are swapped between training and this pipeline",
                      "Mend the decoder: the model was trained on the other channel order (OpenCV: BGR)."),
    "scale": ("pixel-scale", "Pixels reach the model in another range than it was trained on",
              "Write this scale under model.preprocessing.scale and wherever the model is deployed."),
    "resize": ("resize", "Images are fitted to the model's size in another way than in training",
               "Write this under model.preprocessing.resize and wherever the model is deployed."),
    "interpolation": ("interpolation", "Images are resized with another interpolation than in training",
                      "Write this under model.preprocessing.interpolation and wherever the model is deployed."),
    "class order": ("class-order", "Class names are wired to the wrong outputs",
                    "Write the names in the order of the model's outputs under model.classes."),
}  # fmt: skip


def _pipeline(evidence: DiagnosisEvidence) -> Iterator[CauseFinding]:
    """The best other preparation, where it is far better on the lab's own test split too."""
    improvements = [t for t in evidence.trials if t.split == evidence.lab and (t.gain.low or 0) > LEAST_GAIN]
    if not improvements:
        return
    best = max(improvements, key=lambda t: t.gain.value)
    slug, sentence, remedy = _PREPARATION_FINDINGS[best.setting]
    same_preparation = [t for t in evidence.trials if (t.setting, t.value) == (best.setting, best.value)]
    yield CauseFinding(
        slug,
        "cause",
        f'{sentence}: with {best.setting} "{best.value}" accuracy on {best.split} rises by {points(best.gain.value)} '
        f"to {100 * best.accuracy.value:.1f} %. The pipeline is wrong, not the model.",
        tuple(
            f"{t.split}: {t.accuracy.text(share=True)}, paired gain {t.gain.points_text()}" for t in same_preparation
        ),
        Remedy(remedy),
        best.gain.value,
        1.0,
        split=best.split,
    )
