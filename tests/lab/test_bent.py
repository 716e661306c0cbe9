"""Rows of the desync matrix that run fast (make matrix-desync runs all), and a browser: its hello is larger than a packet."""

import tempfile

import pytest

from . import bent, censor
from .bent import HOST, Row, rows
from .lab import Lab
from .test_desync import box_with, watched

FAST = ("SNI reset, reassembling", "resets, and 60 s for all that follow", "all joined, the last copy counts", "India: HTTP, a page",
        "China: HTTPS", "address reset")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--ignore-certificate-errors",
         "--virtual-time-budget=3000", "--dump-dom")


@pytest.mark.parametrize("row", [row for row in rows() if row.name in FAST], ids=lambda row: row.name)
def test_a_censor_that_can_be_beaten_is_and_one_that_cannot_is_said(lab: Lab, row: Row) -> None:
    outcome = bent.tried(lab, row)
    lab.censor.clear()
    print(row.name, outcome)
    assert bent.right(row, outcome), outcome


def browsed(lab: Lab) -> str:
    with tempfile.TemporaryDirectory(dir=lab.directory) as profile:
        done = lab.laptop.run(["chromium", *FLAGS, f"--user-data-dir={profile}", f"https://{HOST}/"], timeout=60, check=False)
    return done.stdout


def test_a_browsers_hello_in_two_packets_is_held_until_it_is_whole_and_gets_through(lab: Lab) -> None:
    """Chromium's key share (X25519MLKEM768) makes some 1,800 bytes; the censor puts all pieces together."""
    with box_with(lab) as box:
        box.wait_open("none")
        with lab.censor(censor.sni_reset([HOST], True)):
            bent.seconds_to(lab, Row("", bent.BEATABLE, ()), 15.0)
            assert lab.page_token(HOST) in browsed(lab)
            assert box.ask("GET", "/desync")["known"]


@pytest.mark.parametrize("strategy", ["split(1,midsld)"])
def test_no_packet_of_a_browser_has_the_name_in_one_piece(lab: Lab, strategy: str) -> None:
    with watched(lab) as wrong, box_with(lab, strategy) as box:
        box.wait_open("none")
        assert lab.page_token(HOST) in browsed(lab)
    assert not [leak for leak in wrong if "canary" in leak], wrong
