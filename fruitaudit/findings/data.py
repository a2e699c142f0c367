"""What the files say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fruitaudit.findings.words import first_ten
from fruitaudit.records.data import SplitSummary
from fruitaudit.records.judgement import Finding


def of_data(splits: Sequence[SplitSummary]) -> Iterator[Finding]:
    """Findings about files that cannot be used, and pictures with two labels."""
    yield from _bad_files(splits)
    yield from _conflicts(splits)


def _bad_files(splits: Sequence[SplitSummary]) -> Iterator[Finding]:
    for split in splits:
        if split.bad:
            reasons = {bad.reason for bad in split.bad}
            yield Finding(
                slug="bad-files",
                severity="warning" if split.bad_share > 0.01 else "note",
                sentence=f"{len(split.bad)} of {split.n_found} files of {split.name} could not be used.",
                evidence=first_ten([f"{bad.name}: {bad.reason}" for bad in split.bad]),
                remedy="Mend or remove these files; all figures leave them out"
                + (f" ({len(reasons)} kinds of fault)." if len(reasons) > 1 else "."),
            )  # fmt: skip


def _conflicts(splits: Sequence[SplitSummary]) -> Iterator[Finding]:
    for split in splits:
        if split.conflicts:
            n = sum(len(conflict.sample_ids) for conflict in split.conflicts)
            pairs = [zip(conflict.sample_ids, conflict.classes, strict=True) for conflict in split.conflicts]
            yield Finding(
                slug="label-conflict",
                severity="warning" if n > 0.01 * split.n_used else "note",
                sentence=f"{n} of {split.n_used} images of {split.name} repeat a picture under another class: at most "
                "one of its labels is right.",
                evidence=first_ten([" and ".join(f"{name} as {class_}" for name, class_ in pair) for pair in pairs]),
                remedy="Keep each picture under its right class; until then every figure counts all of them.",
                effect=n / split.n_used,
                split=split.name,
            )
