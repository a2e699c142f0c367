"""All experiments in order: what the data says, how the field differs, what explains the loss, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fruitaudit.audit.opening import Opened
from fruitaudit.diagnosis.attacks.adversarial import attack
from fruitaudit.diagnosis.attacks.shortcuts import find_shortcuts
from fruitaudit.diagnosis.attacks.turning import ADD_CEM, Negatives, turn_answers
from fruitaudit.diagnosis.budget import SampleSizes
from fruitaudit.diagnosis.claims import judge_claims
from fruitaudit.diagnosis.data_checks.integrity import check_data
from fruitaudit.diagnosis.data_checks.labels import LabelCheck, check_labels
from fruitaudit.diagnosis.data_checks.preparation import try_preparations
from fruitaudit.diagnosis.data_checks.shift import measure_feature_shift, measure_shift, nearest_training
from fruitaudit.diagnosis.data_checks.variety import Variety, find_varieties
from fruitaudit.diagnosis.data_checks.worksheet import write_worksheet
from fruitaudit.diagnosis.evidence import DiagnosisEvidence
from fruitaudit.diagnosis.gap.change import PredictionCache
from fruitaudit.diagnosis.gap.decomposition import decompose
from fruitaudit.diagnosis.gap.effects import measure_effects
from fruitaudit.diagnosis.gap.examples import draw_examples
from fruitaudit.diagnosis.gap.measuring import Factors, measure_factors
from fruitaudit.diagnosis.gap.split_pair import MaskedSplit, SplitPair
from fruitaudit.diagnosis.images.masks import find_masks
from fruitaudit.diagnosis.images.pool import Pool
from fruitaudit.diagnosis.images.split_sample import SplitSample
from fruitaudit.diagnosis.ranking import rank
from fruitaudit.errors import CannotExplain
from fruitaudit.evaluation.lab import lab_split
from fruitaudit.records.attacks import AttackCurve, Shortcut, Turned
from fruitaudit.records.conditions import Claim
from fruitaudit.records.data import FloatArray
from fruitaudit.records.data_checks import DataCheck, DataCheckNotRun, Distance, FeatureShift, PreprocessingTrial, Shift
from fruitaudit.records.diagnosis import (
    Decomposition,
    Diagnosis,
    Effect,
    EffectNotRun,
    Example,
    Experiment,
    ExperimentNotRun,
)
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.states import NotRun
from fruitaudit.runtime.streams import Streams


def diagnose(
    opened: Opened, predictions: Mapping[str, Predictions], streams: Streams, budget: SampleSizes | None = None,
    claims: Sequence[Claim] = (), out: Path | None = None, negatives: Sequence[Negatives] = (), lab: str | None = None,
) -> Diagnosis:  # fmt: skip
    """Every experiment on one lab split (`lab`, see `lab_split`) and each field split; `claims` as in `claims.py`.

    Same inputs and seed: the same record. It holds plain values only, as `results.json` needs them. Examples of the
    changes, and labels to be checked, are written into the folder `out`, where there is one. Attacks are laid beside
    the `negatives` that the audit's explanations hold.
    """
    return _Experiments(opened, predictions, streams, budget or SampleSizes(), claims, out, negatives, lab).run()


@dataclass
class _Experiments:
    opened: Opened
    predictions: Mapping[str, Predictions]
    streams: Streams
    budget: SampleSizes
    claims: Sequence[Claim]
    out: Path | None
    negatives: Sequence[Negatives]
    lab: str | None
    listings: list[DataCheck | DataCheckNotRun] = field(default_factory=list)
    labels: list[LabelCheck] = field(default_factory=list)
    shifts: list[Shift] = field(default_factory=list)
    feature_shifts: list[FeatureShift] = field(default_factory=list)
    distances: list[Distance] = field(default_factory=list)
    varieties: list[Variety] = field(default_factory=list)
    trials: list[PreprocessingTrial] = field(default_factory=list)
    effects: list[Effect | EffectNotRun] = field(default_factory=list)
    decompositions: list[Decomposition] = field(default_factory=list)
    factors: dict[str, Factors] = field(default_factory=dict)
    shortcuts: list[Shortcut] = field(default_factory=list)
    attacks: list[AttackCurve] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    turned: list[Turned] = field(default_factory=list)
    not_run: list[ExperimentNotRun] = field(default_factory=list)

    def run(self) -> Diagnosis:
        self.pool = Pool.of(self.opened, self.predictions, self.budget.decoded_images, self.streams)
        self.pixel_classifier = self.pool.pixel_classifier
        self.listings += check_data(self.opened.splits, self.pool.materials, self.predictions)
        self._check_labels()
        lab_predictions = self._lab()
        if lab_predictions is None:
            self._skip(
                "experiments",
                NotRun("there is no test or reference split to compare the field with", code="no_baseline"),
            )
            return self._diagnosis("")
        lab = self._masked_split(lab_predictions)
        self.trials += try_preparations(self.pixel_classifier, lab.material, self.streams)
        if lab.separable:
            self.shortcuts += find_shortcuts(self.pixel_classifier, lab, self.opened.class_names, self.streams)
        else:
            self._skip(
                "shortcuts", NotRun(f"what is outside the object is not known: {lab.masks.text}", code="no_masks")
            )
        self._attack(lab.material)
        fields = [p for p in self.predictions.values() if p.role == "field"]
        if not fields:
            self._skip(
                "field_experiments",
                NotRun("there is no field split; add photos of where the model is used", code="no_field"),
            )
        for predictions in fields:
            self._field(lab, self._masked_split(predictions))
        return self._diagnosis(lab_predictions.split)

    def _skip(self, name: Experiment, reason: NotRun, split: str = "") -> None:
        self.not_run.append(ExperimentNotRun(name, reason, split))

    def _attack(self, material: SplitSample) -> None:
        if not self.budget.attacked_images:
            self._skip("attacks", NotRun("the budget leaves no image for attacks", code="off"))
            return
        try:
            self.attacks += attack(self.pixel_classifier, material, self.budget.attacked_images, self.streams)
            if self.negatives and self.out:
                self.turned += turn_answers(self.opened, self.pixel_classifier, self.negatives, self.out)
            else:
                self._skip("pertinent_negatives", NotRun(ADD_CEM, code="not_asked"))
        except CannotExplain as reason:
            self._skip("attacks", NotRun(str(reason), code="not_applicable"))

    def _lab(self) -> Predictions | None:
        name = lab_split(((p.split, p.role, len(p.labels)) for p in self.predictions.values()), self.lab)
        return None if name is None else self.predictions[name]

    def _masked_split(self, predictions: Predictions) -> MaskedSplit:
        material = self.pool.materials[predictions.split].select(self.pool.rows(predictions.split, self.budget.images))
        return MaskedSplit(material, find_masks(material))

    def _check_labels(self) -> None:
        for name, predictions in self.predictions.items():
            if predictions.role == "field":
                continue  # where the model fails anyway, its doubt says nothing about labels
            try:
                sample = self._sample_with_features(name)
                train = self._sample_with_features(self.train) if self.train else None
                self.labels.append(check_labels(self.pixel_classifier, *sample, predictions, train))
            except CannotExplain as reason:
                self._skip("labels", NotRun(str(reason), code="not_applicable"), name)
        self.listings += [check.listing for check in self.labels]
        if self.out:
            write_worksheet(self.out, self.labels)

    @property
    def train(self) -> str | None:
        """The split that the model was trained on."""
        return next((name for name, p in self.predictions.items() if p.role == "reference"), None)

    def _sample_with_features(self, split: str, limit: int | None = None) -> tuple[SplitSample, FloatArray]:
        """Images of a split with the model's features of them. Raises CannotExplain where it has none."""
        material, features = self.pool.materials[split], self.pool.features(split)
        if limit is None:
            return material, features
        rows = self.pool.rows(split, limit)
        return material.select(rows), features[rows]

    def _field(self, lab: MaskedSplit, field: MaskedSplit) -> None:
        name = field.material.split
        self.trials += try_preparations(self.pixel_classifier, field.material, self.streams)
        pair = SplitPair.of(lab, field, self.streams)
        self.shifts += measure_shift(pair)
        try:
            self._features(lab.material.split, name)
        except CannotExplain as reason:
            self._skip("feature_space", NotRun(str(reason), code="not_applicable"), name)
        factors = self.factors[name] = measure_factors(pair)
        cache = PredictionCache(self.pixel_classifier, lab, tuple(factors.changes.values()))
        effects = tuple(measure_effects(cache, pair, factors))
        self.effects += effects
        gap = decompose(cache, pair, factors, effects)
        if isinstance(gap, NotRun):
            self._skip("decomposition", gap, name)
        else:
            self.decompositions.append(gap)
            if self.out:
                names = self.opened.class_names
                self.examples += draw_examples(self.pixel_classifier, pair, factors, gap, names, self.out)

    def _features(self, lab: str, field: str) -> None:
        lab_sample, field_sample = (self._sample_with_features(split, self.budget.images) for split in (lab, field))
        self.feature_shifts.append(measure_feature_shift(*lab_sample, *field_sample, self.streams))
        if self.train is None:
            self._skip(
                "nearest_training_image",
                NotRun("there is no reference split: nobody said what was trained on", code="no_reference"),
            )
            return
        train_sample = self._sample_with_features(self.train)
        names = self.opened.class_names
        self.distances += nearest_training(names, *train_sample, lab_sample, field_sample)
        self.varieties += find_varieties(names, train_sample, lab_sample, field_sample)

    def _diagnosis(self, lab: str) -> Diagnosis:
        evidence = DiagnosisEvidence(
            self.listings, self.labels, self.trials, self.effects, self.decompositions, self.factors, self.varieties,
            self.shortcuts, self.predictions, lab,
        )  # fmt: skip
        return Diagnosis(
            listings=tuple(self.listings),
            shifts=tuple(self.shifts),
            feature_shifts=tuple(self.feature_shifts),
            distances=tuple(self.distances),
            trials=tuple(self.trials),
            effects=tuple(self.effects),
            decompositions=tuple(self.decompositions),
            shortcuts=tuple(self.shortcuts),
            attacks=tuple(self.attacks),
            claims=judge_claims(
                self.claims,
                self.predictions,
                self.decompositions,
                [e for e in self.effects if isinstance(e, EffectNotRun)],
            ),
            findings=rank(evidence),
            not_run=tuple(self.not_run),
            examples=tuple(self.examples),
            turned=tuple(self.turned),
        )
