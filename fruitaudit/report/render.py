"""Makes the report again from the output folder alone: no model, no data, no network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fruitaudit.report.folder import Folder, made_of, open_folder
from fruitaudit.report.html import render_html
from fruitaudit.report.junit import render_junit
from fruitaudit.report.markdown import render_markdown
from fruitaudit.runtime.files import write_text

HTML = "report.html"
Reporter = Callable[[Folder], str]

REPORTERS: dict[str, Reporter] = {HTML: render_html, "junit.xml": render_junit, "summary.md": render_markdown}
"""File name -> what writes its text. A new format is one module and one entry."""


def render(directory: Path) -> tuple[Path, ...]:
    """Write every report into `directory`; each file is replaced only when it is whole."""
    folder = open_folder(directory)
    written = []
    for name, reporter in REPORTERS.items():
        write_text(directory / name, reporter(folder))
        written.append(directory / name)
    return tuple(written)


def render_again(directory: Path) -> tuple[Path, ...]:
    """`render` of a folder that anybody may have changed. Raises AuditError where it does not fit together."""
    with made_of(directory):
        return render(directory)
