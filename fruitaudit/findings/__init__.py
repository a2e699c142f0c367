"""Numbers -> ranked plain sentences, each with its evidence and a remedy.

A finding says what was measured and what to do; it never says why unless an experiment did. Thresholds here decide
only what is worth a sentence: passing and failing is the business of `gates`.
"""

from __future__ import annotations

from collections.abc import Sequence

from fruitaudit.evaluation.fit import does_not_fit
from fruitaudit.findings.answers import of_constant_answers, of_variation
from fruitaudit.findings.causes import of_causes, of_trust
from fruitaudit.findings.data import of_data
from fruitaudit.findings.inputs import of_class_order, of_fit, of_outside_answers, of_preparation
from fruitaudit.findings.maps import of_maps
from fruitaudit.findings.performance import of_performance
from fruitaudit.records.data import SplitSummary
from fruitaudit.records.diagnosis import Diagnosis
from fruitaudit.records.evaluation import OutsideAnswers, SplitEvaluation
from fruitaudit.records.explanations import ExplanationNotRun, ExplanationRow
from fruitaudit.records.inputs import PreprocessingSummary
from fruitaudit.records.judgement import Finding
from fruitaudit.records.model import Variation
from fruitaudit.records.results import ClassOrder
from fruitaudit.records.states import NotRun
from fruitaudit.records.trust import TrustReport

_ORDER = {"critical": 0, "warning": 1, "note": 2}
_UNASKED = NotRun("not asked for", "not_asked")


def find(
    evaluations: Sequence[SplitEvaluation],
    splits: Sequence[SplitSummary],
    class_orders: Sequence[ClassOrder],
    preprocessing: PreprocessingSummary,
    explanations: Sequence[ExplanationRow | ExplanationNotRun],
    diagnosis: Diagnosis | NotRun = _UNASKED,
    trust: TrustReport | NotRun = _UNASKED,
    variation: Variation | None = None,
    lab: str | None = None,
    outside: Sequence[OutsideAnswers] = (),
) -> tuple[Finding, ...]:
    """All findings, worst first; of two as bad the one with the larger effect."""
    findings = [
        *of_fit(evaluations, preprocessing, class_orders),
        *of_preparation(preprocessing),
        *of_variation(variation),
        *of_constant_answers(evaluations),
        *of_class_order(class_orders),
        *of_outside_answers(outside),
        *of_data(splits),
        *of_maps(explanations),
        *of_trust(trust),
    ]
    if not does_not_fit(evaluations):
        findings += [*of_performance(evaluations, lab), *of_causes(diagnosis)]
    return tuple(sorted(findings, key=lambda f: (_ORDER[f.severity], -f.effect)))
