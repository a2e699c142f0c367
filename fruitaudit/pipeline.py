"""The stages of an audit, in order: the one place that knows all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fruitaudit import __version__
from fruitaudit.audit.choice import methods_asked
from fruitaudit.audit.explaining import Explainer, explain_all
from fruitaudit.audit.groups import check_groups, choose_groups
from fruitaudit.audit.opening import Opened, open_inputs
from fruitaudit.audit.pictures import Album
from fruitaudit.audit.prediction import PredictedSplit, predict
from fruitaudit.audit.resolved import resolved
from fruitaudit.audit.steps import Progress, Steps
from fruitaudit.config.load import config_hash, dump_config
from fruitaudit.config.schema import Config
from fruitaudit.diagnosis.audit import diagnosis_of
from fruitaudit.diagnosis.claims import check_claims
from fruitaudit.evaluation.evaluate import evaluate
from fruitaudit.evaluation.fit import does_not_fit
from fruitaudit.evaluation.lab import lab_split
from fruitaudit.evaluation.outside import outside_answers
from fruitaudit.findings import find
from fruitaudit.gates import asked_top_k, check_gates, judge
from fruitaudit.inputs.class_order import judge_class_orders
from fruitaudit.inputs.classes import class_list
from fruitaudit.providers.registry import build
from fruitaudit.records.diagnosis import Diagnosis
from fruitaudit.records.evaluation import Predictions
from fruitaudit.records.results import Results, RunInfo
from fruitaudit.records.states import NotRun
from fruitaudit.report.artefacts import is_audit, save_results, save_run
from fruitaudit.report.predictions import write_predictions
from fruitaudit.report.render import render
from fruitaudit.runtime.cache import StageCache
from fruitaudit.runtime.files import write_text
from fruitaudit.runtime.paths import output_folder
from fruitaudit.runtime.staging import staged
from fruitaudit.runtime.streams import Streams
from fruitaudit.trust.audit import tested_methods, trust_of

OUTPUTS = ("attributions", "config.yaml", "diagnosis", "junit.xml", "labels_to_check.csv", "pictures",
           "predictions.parquet", "report.html", "results.json", "run.json", "summary.md")  # fmt: skip
"""All that an audit writes into its folder, beside the cache."""
_NO_FIT = NotRun(
    "no experiment was made: the model is at chance in the lab, so that no cause could be told", "does_not_fit"
)


def check(config: Config, *, ask: bool = True) -> None:
    """Refuse what can be seen to be wrong before a model or an image is opened.

    Without `ask` no interpreter is asked for its libraries.
    """
    output_folder(config.out)
    group_methods = () if config.groups == "auto" else tuple(group.methods for group in config.groups)
    for settings in (s for methods in (config.methods, *group_methods) for s in methods or ()):
        build(settings, config.providers.interpreters, ask=ask)
    names = class_list(config).names
    check_groups(config, names)
    check_gates(config.gates, names, methods_asked(config))
    check_claims(config.claims)


def audit(config: Config, progress: Progress, command: str) -> tuple[Results, RunInfo]:
    """Run the audit; everything it found, and the report, lie in `config.out` afterwards."""
    check(config)
    steps = Steps(progress)
    with staged(config.out, OUTPUTS, is_audit) as out:
        results = _Stages(config, steps, out).run()
        hashes = {"model": results.model.sha256, "config": results.config_sha256}
        hashes |= {f"split {split.name}": split.fingerprint for split in results.splits}
        save_run(out, steps.run_info(command, hashes))
        with steps.step("render the report"):
            render(out)
        run = steps.run_info(command, hashes)
        save_run(out, run)
    return results, run


@dataclass
class _Stages:
    config: Config
    steps: Steps
    out: Path

    def run(self) -> Results:
        config, streams = self.config, Streams(self.config.seed)
        with self.steps.step("open model and data"):
            opened = open_inputs(config, streams)
        self.steps.classifier, self.steps.memory = opened.classifier, opened.memory
        predicted = {split.name: self._predict(opened, i) for i, split in enumerate(opened.splits)}
        predictions = {name: p.predictions for name, p in predicted.items()}
        splits = tuple(p.summary for p in predicted.values())
        with self.steps.step("evaluate"):
            top_k = asked_top_k(config.gates)
            evaluations = tuple(evaluate(p, streams, top_k=top_k) for p in predictions.values())
            orders = tuple(o for p in predictions.values() if p.role != "field" for o in judge_class_orders(p))
            outside = outside_answers(predictions.values())
        lab = lab_split(((p.split, p.role, len(p.labels)) for p in predictions.values()), config.lab)
        groups = choose_groups(config, predictions, streams)
        with self.steps.step("draw pictures"):
            album = Album(self.out, opened.preprocessor, opened.samples)
            pictures = album.explained(predictions, list(dict.fromkeys(i for g in groups for i in g.sample_ids)))
            sheet = album.contact_sheet(list(predictions.values()), config.sheet_images, streams)
        explainer = Explainer(
            opened, streams, self._cache, self.out, _reference(predictions.values()), config.providers.interpreters
        )
        rows = tuple(explain_all(explainer, config, groups, predictions, self.steps))
        with self.steps.step("test the explanations", len(tested_methods(config, groups))) as step:
            trust, self.steps.explanation_costs = trust_of(config, explainer, groups, rows, predictions, step)
        with self.steps.step("look for causes") as step:
            diagnosis: Diagnosis | NotRun = _NO_FIT
            if not does_not_fit(evaluations):
                diagnosis = diagnosis_of(config, opened, predicted, streams, self._cache, step, self.out, rows)
        verdicts, verdict = judge(config.gates, evaluations, splits, config.max_bad_share, trust)
        model = opened.classifier.summary(opened.class_names, opened.class_names_from)
        results = Results(
            title=config.title,
            seed=config.seed,
            model=model,
            preprocessing=opened.preprocessing,
            splits=splits,
            evaluations=evaluations,
            class_orders=orders,
            outside_answers=outside,
            groups=groups,
            explanations=rows,
            pictures=pictures,
            contact_sheet=sheet,
            findings=find(
                evaluations, splits, orders, opened.preprocessing, rows, diagnosis, trust, model.variation, lab, outside
            ),
            gates=verdicts,
            verdict=verdict,
            config_sha256=config_hash(config),
            fruitaudit_version=__version__,
            trust=trust,
            diagnosis=diagnosis,
            table_rows=config.table_rows,
            lab=lab or "",
        )
        with self.steps.step("write the results"):
            write_predictions(self.out / "predictions.parquet", list(predictions.values()))
            write_text(self.out / "config.yaml", dump_config(resolved(config, opened, lab), config.out))
            save_results(self.out, results)
        return results

    def _predict(self, opened: Opened, index: int) -> PredictedSplit:
        split = opened.splits[index]
        fail_on_bad = self.config.on_bad_image == "fail"
        with self.steps.step(f"predict {split.name}", len(split.samples)) as step:
            predicted = predict(opened, split, self._cache, fail_on_bad=fail_on_bad, advance=step.advance)
            step.cached = predicted.cached
        return predicted

    @property
    def _cache(self) -> StageCache:
        return StageCache(self.config.out / ".cache")


def _reference(predictions: Iterable[Predictions]) -> Predictions | None:
    return next((p for p in predictions if p.role == "reference"), None)
