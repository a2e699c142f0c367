"""What explains the fall of accuracy from lab to field: a finding for each factor, and one for the rest."""

from __future__ import annotations

from collections.abc import Iterator

from fruitaudit.diagnosis.evidence import DiagnosisEvidence, points
from fruitaudit.diagnosis.factors.registry import factors
from fruitaudit.diagnosis.gap.gap_checks import LEAST
from fruitaudit.records.diagnosis import CauseFinding, Decomposition, Effect, GapShare, Remedy

UNSEEN = "unseen-variety"
FEW_CLASSES = 0.25
"""Share of the classes up to which another colour is a variety of these, not a change of all."""


def of_gaps(evidence: DiagnosisEvidence) -> Iterator[CauseFinding]:
    for gap in evidence.decompositions:
        total = gap.gap.value
        for share in gap.shares:
            if share.points.value >= LEAST and (share.points.low or 0) > 0:
                yield _of_share(evidence, gap, share)
        if (gap.unexplained.low or 0) > LEAST:
            yield CauseFinding(
                "unexplained",
                "warning",
                f"{points(gap.unexplained.value)} of the {points(total)} lost between {gap.lab_split} and "
                f"{gap.field_split} are explained by none of the factors tried.",
                (f"accuracy of {gap.lab_split} under all factors together: {gap.transformed.text(share=True)}",
                 f"accuracy on {gap.field_split}: {gap.field.text(share=True)}",
                 f"rest: {gap.unexplained.points_text()}"),
                Remedy("Label field photos and train with them: the lab cannot show what it never saw."),
                gap.unexplained.value,
                1.0,
                split=gap.field_split,
            )  # fmt: skip


def _changed_classes(evidence: DiagnosisEvidence, field: str, factor: str) -> list[str]:
    """The classes that the factor's change is of, where they are few; empty where it is of the whole field."""
    change = evidence.factors[field].changes.get(factor)
    names = evidence.predictions[field].class_names
    classes = change.classes if change else ()
    return [names[c] for c in classes] if len(classes) <= FEW_CLASSES * len(names) else []


def _heading(evidence: DiagnosisEvidence, field: str, factor: str) -> tuple[str, str]:
    """Slug and sentence of a factor's finding."""
    registered = factors()[factor]
    class_names = _changed_classes(evidence, field, factor)
    if registered.of_few and class_names:
        slug, sentence = registered.of_few
        return slug, sentence.format(" and ".join(class_names))
    return factor, registered.sentence


def _unseen_classes(evidence: DiagnosisEvidence, field: str) -> list[str]:
    """The classes of which a factor's finding says that training never showed them so."""
    return [name for factor in factors().values() if factor.of_few and factor.of_few[0] == UNSEEN
            for name in _changed_classes(evidence, field, factor.name)]  # fmt: skip


def _of_share(evidence: DiagnosisEvidence, gap: Decomposition, share: GapShare) -> CauseFinding:
    effects = [e for e in evidence.effects if isinstance(e, Effect) and (e.factor, e.field_split) ==
               (share.factor, gap.field_split)]  # fmt: skip
    lines = [f"Shapley share {share.points.points_text()}; alone {100 * share.alone:.1f}, last "
             f"{100 * share.last:.1f} points ({gap.method})", share.why]  # fmt: skip
    lines += [f"{e.direction.replace('_', ' ')} ({e.dose}) on {e.split}: {e.change.points_text()}" for e in effects]
    lines += [
        check.sentence for check in gap.checks if (share.decided_by, check.name) != ("recomposition", "recomposition")
    ]
    results = [check.passed for check in gap.checks if check.passed is not None]
    certainty = sum(results) / max(1, len(results)) if share.counts else 0.25
    loss_share = min(1.0, share.points.value / gap.gap.value)
    slug, subject = _heading(evidence, gap.field_split, share.factor)
    subject = subject[0].upper() + subject[1:]
    cause_sentence = (f"{subject}: this explains {points(share.points.value)} of the "
             f"{points(gap.gap.value)} of accuracy lost between {gap.lab_split} and {gap.field_split} "
             f"({100 * loss_share:.0f} % of the loss).")  # fmt: skip
    warning_sentence = (f"{subject}: this may play a part in the loss between {gap.lab_split} and "
             f"{gap.field_split}, but its share did not pass the controls.")  # fmt: skip
    return CauseFinding(
        slug,
        "cause" if share.counts else "warning",
        cause_sentence if share.counts else warning_sentence,
        tuple(lines),
        evidence.factors[gap.field_split].remedy(share.factor),
        share.points.value,
        certainty,
        tuple(i for e in effects for i in e.flipped[:4]),
        gap.field_split,
    )


def of_varieties(evidence: DiagnosisEvidence) -> Iterator[CauseFinding]:
    for variety in evidence.varieties:
        if variety.class_name in _unseen_classes(evidence, variety.split):
            continue  # the gap's own finding says so, with its share
        yield CauseFinding(
            UNSEEN,
            "cause",
            f"{variety.class_name} looks in {variety.split} as training never showed it: its images are farther from "
            f"every training image of the class than {100 * variety.rank:.0f} % of the lab's, and its recall falls by "
            f"{points(variety.drop.value)}.",
            (f"recall of {variety.class_name}: {variety.drop.points_text()} less than in {evidence.lab}",
             f"median rank of the other classes' distances: {100 * variety.others_rank:.0f} %"),
            Remedy(f"Collect and label {variety.class_name} as it looks in {variety.split}: another variety or cut."),
            variety.effect,
            1.0,
            variety.sample_ids,
            variety.split,
        )  # fmt: skip
