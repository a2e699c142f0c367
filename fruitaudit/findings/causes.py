"""What the experiments and the tests of the explanations found, among the other findings."""

from __future__ import annotations

from collections.abc import Iterator

from fruitaudit.findings.words import first_ten
from fruitaudit.records.diagnosis import Diagnosis
from fruitaudit.records.judgement import Finding
from fruitaudit.records.states import NotRun
from fruitaudit.records.trust import TrustReport


def of_causes(diagnosis: Diagnosis | NotRun) -> Iterator[Finding]:
    """A cause that an experiment showed is critical: it must be mended before the model is used."""
    for finding in () if isinstance(diagnosis, NotRun) else diagnosis.findings:
        remedy = finding.remedy
        yield Finding(
            slug=finding.slug,
            severity="critical" if finding.severity == "cause" else finding.severity,
            sentence=finding.sentence,
            evidence=finding.evidence,
            remedy=" ".join(filter(None, (remedy.sentence, remedy.limits))),
            effect=finding.effect * finding.certainty,
            sample_ids=finding.sample_ids,
            split=finding.split,
            cause=finding.severity == "cause",
            code=remedy.layers,
        )


def of_trust(trust: TrustReport | NotRun) -> Iterator[Finding]:
    """Which methods must not be read on this very model."""
    if isinstance(trust, NotRun):
        return
    bad = [verdict for verdict in trust.verdicts if verdict.reading == "do_not_read"]
    if bad:
        yield Finding(
            slug="do-not-read",
            severity="warning",
            sentence=f"{len(bad)} of {len(trust.verdicts)} methods must not be read on this model: "
            f"{', '.join(verdict.title for verdict in bad)}.",
            evidence=first_ten([f"{verdict.title}: {verdict.sentence}" for verdict in bad]),
            remedy="Draw no conclusion from their maps; the methods that passed are listed under Trust.",
        )
