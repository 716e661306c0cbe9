"""Tests of the second try: real stages over real failing tests, in a folder of their own."""

import os
import subprocess
import sys
from pathlib import Path

from tests.again import MOST, Stage, judged, read, to_try_again
from tests.failures import Failed, is_leak

ROOT = Path(__file__).parents[2]
FIRST = "there = (flag := Path(__file__ + '.was')).exists(); flag.touch()"
ONCE = f"""
from pathlib import Path
def test_once():
    {FIRST}
    assert there
"""
TWICE = "def test_twice():\n    assert 1 + 1 == 3\n"
SKIPPED = f"""
from pathlib import Path
import pytest
def test_skipped():
    {FIRST}
    if there:
        pytest.skip("no more")
    assert there
"""
LEAKY = f"""
from pathlib import Path
from tests.lab.verdict import Leak, Verdict
def test_leaky():
    {FIRST}
    verdict = Verdict(9, 5, [] if there else [Leak("tcp", 4, "192.0.2.1", "192.0.2.2", 443, examples=[b"frame"])])
    assert verdict.clean, str(verdict)
"""
BLIND = f"""
from pathlib import Path
KINDS = {{"tcp"}}
def anti_test():
    {FIRST}
    return KINDS if there else set()
def prove_the_detector():
    assert anti_test() >= KINDS
def test_blind():
    prove_the_detector()
"""
BROKEN = "import nothing_of_the_kind\n"


def staged(folder: Path, **files: str) -> tuple[int, str]:
    """A stage with these test files, and the judgement behind it: its exit status, and what it said."""
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    pytest_, stages = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], folder / "stages"
    noted = ["-p", "tests.failures", f"--failed-to={stages}/one.failed"]
    env = {**os.environ, "STAGES": str(stages), "GO_ON": "1", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([ROOT / "tools/stage.sh", "one", *pytest_, *noted], cwd=folder, env=env, check=True, capture_output=True)
    judge = [sys.executable, "-m", "tests.again", str(stages), "one", "--", *pytest_]
    done = subprocess.run(judge, cwd=folder, env=env, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_what_fails_but_once_has_passed_and_that_is_said_aloud(tmp_path: Path) -> None:
    status, said = staged(tmp_path, once=ONCE)
    assert status == 0, said
    assert "SECOND TRY: test_once.py::test_once failed beside others, passed alone" in said


def test_what_fails_twice_has_failed_and_a_leak_or_a_blind_detector_has_no_second_try(tmp_path: Path) -> None:
    status, said = staged(tmp_path, once=ONCE, twice=TWICE, skipped=SKIPPED, leaky=LEAKY, blind=BLIND)
    assert status == 1
    names = {name: f"test_{name}.py::test_{name}" for name in ("once", "twice", "skipped", "leaky", "blind")}
    tried = {name for name, test in names.items() if f"second try, alone: {test}" in said}
    assert tried == {"once", "twice", "skipped"}
    end = said[said.rindex("== one: FAILED") :]
    assert f"SECOND TRY: {names['once']} failed beside others, passed alone" in end
    assert f"SECOND TRY: {names['twice']} failed beside others, FAILED alone" in end
    assert f"SECOND TRY: {names['skipped']} failed beside others, FAILED alone" in end
    assert end.count("FAILED, A LEAK, for which there is no second try: ") == 2
    assert said[: said.rindex("== one")].count("\n---- one: ") == len(names), "all reports are at the end"


def test_a_stage_that_breaks_otherwise_has_failed(tmp_path: Path) -> None:
    status, said = staged(tmp_path, once=ONCE, broken=BROKEN)
    assert status == 1
    assert "FAILED: one (2)" in said


def test_a_stage_that_never_ended_has_failed(tmp_path: Path) -> None:
    (tmp_path / "one.log").write_text("it had begun\n")
    good, said = judged([read(tmp_path, "one")], lambda _test: True)
    assert not good
    assert "NEVER ENDED" in said
    assert "it had begun" in said


def failing(count: int) -> Stage:
    return Stage("one", "1", "", tuple(Failed(f"test_{number}", leak=False, report="") for number in range(count)))


def test_more_failures_than_chance_would_have_are_not_tried_again() -> None:
    assert len(to_try_again([failing(MOST)])) == MOST
    assert to_try_again([failing(MOST - 1), failing(2)]) == []
    assert not judged([failing(MOST + 1)], lambda _test: True)[0]


def test_tests_of_a_stage_that_passed_are_not_tried_again_and_a_bad_exit_is_not_excused_by_them() -> None:
    assert to_try_again([Stage("one", "0", "", failing(1).failed)]) == []
    assert not judged([Stage("one", "2", "", failing(1).failed)], lambda _test: True)[0]
    assert not judged([Stage("one", "skips", "", ())], lambda _test: True)[0]


def test_one_leak_fails_a_run_whose_other_failures_pass_alone() -> None:
    mixed = Stage("one", "1", "", (*failing(2).failed, Failed("leaky", leak=True, report="")))
    asked: list[str] = []
    good, _ = judged([mixed], lambda test: not asked.append(test))
    assert (good, asked) == (False, ["test_0", "test_1"])


def test_a_leak_behind_which_something_else_broke_is_one() -> None:
    first = "    def test_it():\n>       assert verdict.clean, str(verdict)\nE       AssertionError: 3 frames, 2 leaks\n"
    assert is_leak(first + "\nDuring handling\n    def stop(self):\n>       self.program.wait(5)\nE       TimeoutExpired\n")


def test_time_that_ran_out_while_a_verdict_was_clean_is_no_leak() -> None:
    text = "    def test_it():\n        assert verdict.clean\n>       wait_until(through, 5)\ntests/x.py:3:\n    def wait_until():\n"
    assert not is_leak(text + ">       raise LabError(what)\nE       LabError: the household is through; 9 frames, 0 leaks\n")
