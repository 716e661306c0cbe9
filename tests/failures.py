"""A pytest plugin: what failed is noted in a file, with the end of its report and whether it is a leak (`again.py` reads).

    -p tests.failures --failed-to=FILE

A leak is read off the statement that failed, and off the verdict's own words: whatever might be one is taken for one.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

LINES, PRINTED = 60, 20  # kept of a report, and of what the test had printed
VERDICT = re.compile(r"\b[1-9]\d* leaks\b")
# What a test says of a capture; the anti-tests, too: a detector that did not fire has seen nothing.
JUDGES = re.compile(r"\.(clean|leaks|kinds)\b|anti_test|prove_the_detector|in_clear|leak|\bclear\b(?!\()")


@dataclass(frozen=True, slots=True)
class Failed:
    test: str
    leak: bool
    report: str


def noted(file: Path) -> list[Failed]:
    """One for each test, its first failure; a leak if any of its failures is (in its teardown, too)."""
    found: dict[str, Failed] = {}
    for one in (Failed(**json.loads(line)) for line in file.read_text().splitlines()):
        first = found.get(one.test, one)
        found[one.test] = Failed(one.test, first.leak or one.leak, first.report)
    return list(found.values())


def is_leak(report: str) -> bool:
    """Of pytest's text of a failure: `>` before a statement that failed, `E` before why."""
    return bool(VERDICT.search(report)) or any(JUDGES.search(words) for words in _failed_statements(report))


def _failed_statements(report: str) -> Iterator[str]:
    """Each with its function's head: of an error behind another there are several."""
    head, statement = "", list[str]()
    for line in report.splitlines():
        if re.match(r"[> ] *(async )?def ", line):
            head, statement = line, []
        elif line.startswith(">"):
            statement = [line]
        elif line.startswith("E ") and statement:
            yield " ".join([head, *statement])
            statement = []
        elif statement:
            statement.append(line)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--failed-to", type=Path, help="where what failed is noted")


def pytest_configure(config: pytest.Config) -> None:
    if file := config.getoption("--failed-to"):
        config.pluginmanager.register(Notes(file))


class Notes:
    def __init__(self, file: Path) -> None:
        self.file = file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            text = report.longreprtext
            printed = report.capstdout.splitlines()[-PRINTED:]
            kept = "\n".join([*(["printed:", *printed] if printed else []), *text.splitlines()[-LINES:]])
            with self.file.open("a") as file:
                file.write(json.dumps(asdict(Failed(report.nodeid, is_leak(text), kept))) + "\n")
