"""Every experiment beside the division of the gap: each change alone, each way of preparing files, each data check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fruitaudit.records.data_checks import Check, DataCheck, DataCheckNotRun, PreprocessingTrial
from fruitaudit.records.diagnosis import Diagnosis, Effect, EffectNotRun
from fruitaudit.report.points import between, points

LISTINGS: dict[Check, str] = {
    "duplicates": "Repeated pictures",
    "duplicates across": "Pictures in two splits",
    "shared groups": "One object in two splits",
    "starved classes": "Starved classes",
    "split size": "Size of the split",
    "odd files": "Odd files",
    "doubtful labels": "Doubtful labels",
}


@dataclass(frozen=True)
class EffectRow:
    """One change: made in lab pictures (`in_lab`), taken back in field photos (`in_field`)."""

    in_lab: Effect
    in_field: Effect | EffectNotRun | None


@dataclass(frozen=True)
class EffectTable:
    """All changes of one lab-to-field contrast, the costliest first. `not_run` could not be made, or had no reason."""

    field_split: str
    rows: tuple[EffectRow, ...]
    probes: tuple[EffectRow, ...]
    not_run: tuple[EffectNotRun, ...]


def effect_tables(diagnosis: Diagnosis) -> list[EffectTable]:
    """One table per field split."""
    fields = dict.fromkeys(effect.field_split for effect in diagnosis.effects)
    return [_table([e for e in diagnosis.effects if e.field_split == field], field) for field in fields]


def _table(effects: Sequence[Effect | EffectNotRun], field_split: str) -> EffectTable:
    reverse = {e.factor: e for e in effects if e.direction == "undo_in_field"}
    measured = sorted((e for e in effects if isinstance(e, Effect)), key=lambda e: e.change.value)
    return EffectTable(
        field_split,
        tuple(EffectRow(e, reverse.get(e.factor)) for e in measured if e.direction == "toward_field"),
        tuple(EffectRow(e, None) for e in measured if e.direction == "probe"),
        tuple(e for e in effects if isinstance(e, EffectNotRun)),
    )


def notes(diagnosis: Diagnosis) -> list[str]:
    """What is true of many intervals, said once."""
    texts = [e.change.note for e in diagnosis.effects if isinstance(e, Effect)]
    texts += [trial.gain.note for trial in diagnosis.trials]
    return list(dict.fromkeys(filter(None, texts)))


@dataclass(frozen=True)
class TrialTable:
    """Ways of preparing the same files: (setting, value, the trial on each split or None)."""

    splits: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[PreprocessingTrial | None, ...]], ...]
    verdict: str


def trial_table(trials: Sequence[PreprocessingTrial]) -> TrialTable:
    """The best way first, by what it gains on the first split (the lab's)."""
    splits = tuple(dict.fromkeys(trial.split for trial in trials))
    cells = {(t.setting, t.value, t.split): t for t in trials}
    ways = list(dict.fromkeys((t.setting, t.value) for t in trials))
    rows = [(setting, value, tuple(cells.get((setting, value, s)) for s in splits)) for setting, value in ways]
    rows.sort(key=lambda row: -max(t.gain.value for t in row[2] if t is not None))
    return TrialTable(splits, tuple(rows), " ".join(_verdict(trials, splits)))


def _verdict(trials: Sequence[PreprocessingTrial], splits: Sequence[str]) -> Iterator[str]:
    """What helps on the first split is wrong in the pipeline; what helps elsewhere alone is not."""
    gains = {(t.setting, t.value): t.gain for t in trials if t.split == splits[0]}
    for split in splits:
        better = [t for t in trials if t.split == split and (t.gain.low or 0) > 0]
        if better:
            best = max(better, key=lambda t: t.gain.value)
            sentence = f"On {split}, {best.setting} \u201c{best.value}\u201d gets {points(best.gain.value)} more right"
            lab_gain = gains.get((best.setting, best.value))
            ending = f"; on {splits[0]} it does not, as it would were the pipeline at fault"
            if lab_gain is None or (lab_gain.low or 0) > 0:
                ending = ""
            yield f"{sentence} ({between(best.gain, signed=True)}){ending}."
        elif split == splits[0]:
            yield f"On {split} no other way of preparing the files gets surely more answers right."


@dataclass(frozen=True)
class DataChecks:
    """Checks of the data: `positive` ones found something, `clean` ones nothing, `not_run` ones could not be made."""

    positive: tuple[DataCheck, ...]
    clean: tuple[DataCheck, ...]
    not_run: tuple[DataCheckNotRun, ...]


def data_checks(listings: Sequence[DataCheck | DataCheckNotRun]) -> DataChecks:
    """What concerns the largest share of its images first."""
    finished = [x for x in listings if isinstance(x, DataCheck)]
    positive = sorted((x for x in finished if x.total), key=lambda x: -x.total / max(1, x.n))
    return DataChecks(
        tuple(positive),
        tuple(x for x in finished if not x.total),
        tuple(x for x in listings if isinstance(x, DataCheckNotRun)),
    )


def listing_title(name: Check) -> str:
    """The check's name for a reader."""
    return LISTINGS[name]
