"""Rows of the desync matrix that run fast; make matrix-desync runs all."""

import pytest

from . import bent
from .bent import Row, rows
from .lab import Lab

FAST = ("SNI reset, reassembling", "all joined, the last copy counts", "India: HTTP, a page", "address reset")


@pytest.mark.parametrize("row", [row for row in rows() if row.name in FAST], ids=lambda row: row.name)
def test_a_censor_that_can_be_beaten_is_and_one_that_cannot_is_said(lab: Lab, row: Row) -> None:
    outcome = bent.tried(lab, row)
    lab.censor.clear()
    print(row.name, outcome)
    assert bent.right(row, outcome), outcome
