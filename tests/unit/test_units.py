"""What is shipped beside the code: units that stay hardened, documents that stay true."""

import re
import subprocess
from pathlib import Path

import pytest

from routerd.status import PROBLEMS

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "systemd").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.name)
def test_a_unit_is_exposed_to_three_at_most(unit: Path) -> None:
    argv = ["systemd-analyze", "security", "--offline=yes", "--threshold=30", "--no-pager", str(unit)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout.splitlines()[-1:] or done.stderr


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    source = (ROOT / "routerd" / "settings.py").read_text()
    keys = re.findall(r'(?:take|strings|choice|number|tables?|_urls|_ifname)\((?:\w+, )?"(\w+)"', source)
    assert len(keys) > 15
    assert [key for key in keys if f"`{key}`" not in text] == []


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_problem_is_documented(code: str) -> None:
    assert f"`{code}`" in (ROOT / "docs" / "problems.md").read_text()


def test_no_registry_host_and_no_developer_path_is_in_a_file() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        data = (ROOT / name).read_bytes()
        for word in (b"/work/" + b"main", b"pythonhosted" + b".org", b"pypi" + b".org"):
            assert word not in data, (name, word)
