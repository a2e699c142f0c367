"""What `evaluate --json` prints: the outcome for a program, small enough for a log."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from fruitaudit.records.results import Results


def outcome(results: Results, report: Path) -> dict[str, Any]:
    """Verdict, accuracy of every split, gates and findings; all else is in `results.json` beside the report."""
    return {
        "verdict": asdict(results.verdict),
        "accuracy": {e.split: asdict(e.metrics["accuracy"]) for e in results.evaluations},
        "gates": [asdict(gate) for gate in results.gates],
        "findings": [
            {"slug": f.slug, "severity": f.severity, "sentence": f.sentence, "remedy": f.remedy}
            for f in results.findings
        ],
        "report": str(report),
        "results": str(report.with_name("results.json")),
    }
