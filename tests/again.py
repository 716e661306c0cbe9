"""The end of `make test`: what failed beside others is run once more, alone, and what came of it all is said.

    python -m tests.again FOLDER STAGE... -- PYTEST...      FOLDER is what tools/stage.sh left behind

1. A second try is for tests whose waits a busy machine may spoil. Its outcome is said loudly, either way.
2. Never for a leak, nor for an anti-test that did not fire: one frame in clear is one too many, however rare it is.
3. Not for more than MOST: so many are no chance. Nor for a stage that failed otherwise than by tests, or never ended.
4. Only the end of what CI prints is kept: so all that failed is there, with the end of its report.
"""

import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.failures import LINES, Failed, noted

MOST = 8
TESTS_FAILED = "1"  # pytest's exit status; others are a broken run


@dataclass(frozen=True, slots=True)
class Stage:
    """`status`: its exit status, or a word; `words`: its last line; `log`: the end of what it printed."""

    name: str
    status: str
    words: str
    failed: tuple[Failed, ...] = ()
    log: str = ""

    def ok(self, passed: Collection[str]) -> bool:
        """`passed`: the tests that did so at the second try."""
        excused = self.status == TESTS_FAILED and bool(self.failed) and all(one.test in passed for one in self.failed)
        return self.status == "0" or excused


def read(folder: Path, name: str) -> Stage:
    status, failed, log = (folder / f"{name}.{end}" for end in ("status", "failed", "log"))
    if not status.exists():
        return Stage(name, "never ended", f"== {name}: NEVER ENDED", log=_end(log))
    code, _, words = status.read_text().partition("\n")
    return Stage(name, code, words.strip(), tuple(noted(failed)) if failed.exists() else (), _end(log))


def _end(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LINES:]) if log.exists() else ""


def to_try_again(stages: Sequence[Stage]) -> list[str]:
    failed = [one for stage in stages if stage.status == TESTS_FAILED for one in stage.failed]
    return [one.test for one in failed if not one.leak] if len(failed) <= MOST else []


def tried_again(pytest: Sequence[str], test: str) -> bool:
    """Shown as it goes. One that is skipped has not passed."""
    print(f"== second try, alone: {test}", flush=True)
    run = subprocess.run([*pytest, test], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(run.stdout, flush=True)
    return run.returncode == 0 and "1 passed" in run.stdout and "skipped" not in run.stdout


def verdict(stages: Sequence[Stage], tried: Sequence[str], passed: Collection[str]) -> str:
    return "\n".join([*_reports(stages), "", *(stage.words for stage in stages), *_loud(stages, tried, passed)])


def _reports(stages: Sequence[Stage]) -> list[str]:
    """Of each test that failed; of what else failed, the end of what it printed."""
    lines = []
    for stage in (stage for stage in stages if stage.status != "0"):
        lines += [f"\n---- {stage.name}: {one.test}\n{one.report}" for one in stage.failed]
        lines += [f"\n---- {stage.name}: {stage.status}\n{stage.log}"] if not _by_tests(stage) else []
    return lines


def _by_tests(stage: Stage) -> bool:
    return stage.status == TESTS_FAILED and bool(stage.failed)


def _loud(stages: Sequence[Stage], tried: Sequence[str], passed: Collection[str]) -> list[str]:
    lines = [f"SECOND TRY: {test} failed beside others, {'passed' if test in passed else 'FAILED'} alone" for test in tried]
    failed = [(stage, one) for stage in stages for one in stage.failed]
    lines += [f"FAILED, A LEAK, for which there is no second try: {one.test}" for _, one in failed if one.leak]
    rest = [one.test for stage, one in failed if not one.leak and one.test not in tried and stage.status != "0"]
    lines += [f"FAILED, without a second try: {test}" for test in rest]
    lines += [f"FAILED: {stage.name} ({stage.status})" for stage in stages if stage.status != "0" and not _by_tests(stage)]
    good = all(stage.ok(passed) for stage in stages)
    return [*lines, "== all passed" if good and not tried else "== passed, at a second try" if good else "== FAILED"]


def judged(stages: Sequence[Stage], again: Callable[[str], bool]) -> tuple[bool, str]:
    tried = to_try_again(stages)
    passed = {test for test in tried if again(test)}
    return all(stage.ok(passed) for stage in stages), verdict(stages, tried, passed)


def main(arguments: list[str]) -> int:
    at = arguments.index("--")
    (folder, *names), pytest = arguments[:at], arguments[at + 1 :]
    good, words = judged([read(Path(folder), name) for name in names], lambda test: tried_again(pytest, test))
    print(words, flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
