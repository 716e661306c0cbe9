"""What is shipped beside the code: units that stay hardened, documents that stay true."""

import json
import re
import subprocess
import time
from datetime import datetime
from pathlib import Path

import pytest

from routerd.answers import ROUTES
from routerd.clock import BUILT
from routerd.status import PROBLEMS
from routerd.transports import KINDS

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "systemd").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.name)
def test_a_unit_is_exposed_to_three_at_most(unit: Path) -> None:
    argv = ["systemd-analyze", "security", "--offline=yes", "--threshold=30", "--no-pager", str(unit)]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout.splitlines()[-1:] or done.stderr


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    source = "".join((ROOT / "routerd" / name).read_text() for name in ("settings.py", "entries.py"))
    keys = re.findall(r'(?:take|strings|choice|number|tables?|_urls?|_ifname)\((?:\w+, )?"(\w+)"', source)
    assert len(keys) > 15
    assert [key for key in keys if f"`{key}`" not in text] == []


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_problem_is_documented(code: str) -> None:
    assert f"`{code}`" in (ROOT / "docs" / "problems.md").read_text()


def test_the_page_has_a_name_for_every_kind() -> None:
    texts = json.loads((ROOT / "webui" / "texts" / "en.json").read_text())
    assert [kind for kind in KINDS if f"kind_{kind}" not in texts] == []


def test_every_request_is_documented() -> None:
    text = (ROOT / "docs" / "api.md").read_text()
    words = [path.replace("{name}", "NAME").removeprefix("/transports/NAME") for _, path, _ in ROUTES]
    assert [word for word in (*words, "GET /events") if word not in text] == []


def test_what_the_daemon_needs_is_left_to_it() -> None:
    """Tried in the lab: with these capabilities and no others it opens, switches, and stops its children."""
    unit = (ROOT / "systemd" / "clearway.service").read_text()
    line = next(line for line in unit.splitlines() if line.startswith("CapabilityBoundingSet="))
    kept = {word.removeprefix("CAP_") for word in line.partition("=")[2].split()}
    assert kept == {
        *("NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE"),
        *("SETUID", "SETGID", "SETPCAP", "KILL"),
        "SYS_TIME",
    }
    assert "@clock" in next(line for line in unit.splitlines() if line.startswith("SystemCallFilter="))
    assert "ProtectClock=yes" not in unit
    for line in ("DeviceAllow=/dev/net/tun rw", "BindPaths=-/dev/net/tun", "SupplementaryGroups=clearway", "NotifyAccess=main", "StartLimitIntervalSec=0", "UMask=0077"):
        assert line in unit
    assert "/proc/sys/net" in next(line for line in unit.splitlines() if line.startswith("ReadWritePaths="))


def test_the_builds_date_is_neither_in_the_future_nor_older_than_the_last_release() -> None:
    released = re.findall(r"^## .*?(\d{4}-\d{2}-\d{2})", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert all(datetime.fromisoformat(f"{date}T00:00Z").timestamp() <= BUILT for date in released)
    assert BUILT <= time.time()


def test_a_box_that_was_never_configured_is_left_alone() -> None:
    for unit in UNITS:
        text = unit.read_text()
        assert "ConditionPathExists=|/etc/clearway/clearway.toml" in text
        assert "ConditionPathExists=|/var/lib/clearway/last-good.toml" in text


def test_no_registry_host_and_no_developer_path_is_in_a_file() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        data = (ROOT / name).read_bytes()
        for word in (b"/work/" + b"main", b"pythonhosted" + b".org", b"pypi" + b".org"):
            assert word not in data, (name, word)
