"""`junit.xml`: one test case per gate; a build server shows what passed, what failed and what was not computed."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from fruitaudit.records.judgement import GateResult
from fruitaudit.report.folder import Folder
from fruitaudit.runtime.text import harmless

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(folder: Folder) -> str:
    """The gates as JUnit XML.

    A failed gate is a <failure>, one that could not be computed an <error>. A gate of severity "warn" passes, as it
    does for the exit code, and says what it found in <system-out>.
    """
    gates = folder.results.gates
    totals = {
        "tests": str(len(gates)),
        "failures": str(sum(_counts(gate, "fail") for gate in gates)),
        "errors": str(sum(_counts(gate, "not_run") for gate in gates)),
        "skipped": "0",
    }
    root = ET.Element("testsuites", {"name": "fruitaudit", **totals})
    suite = ET.SubElement(root, "testsuite", {"name": _clean(folder.results.title), **totals})
    for gate in gates:
        _case(suite, gate)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _counts(gate: GateResult, state: str) -> bool:
    return gate.state == state and gate.severity == "fail"


def _case(suite: ET.Element, gate: GateResult) -> None:
    case = ET.SubElement(suite, "testcase", {"classname": "fruitaudit.gates", "name": _clean(gate.gate)})
    text = _clean(" ".join(filter(None, (gate.sentence, gate.settle))))
    if gate.state == "pass":
        return
    if gate.severity == "warn":
        word = "failed" if gate.state == "fail" else "not computed"
        ET.SubElement(case, "system-out").text = f"Warning, not part of the verdict: {word}. {text}"
    else:
        tag = "failure" if gate.state == "fail" else "error"
        ET.SubElement(case, tag, {"message": _clean(gate.sentence), "type": gate.state}).text = text


def _clean(text: str) -> str:
    """Without the characters that XML cannot hold, and those that steer a terminal."""
    return _NOT_XML.sub("\ufffd", harmless(text))
