"""scaffold"""

from __future__ import annotations
from collections.abc import Sequence


def is_initial(data: bytes) -> bool:
    return False


def name(datagrams: Sequence[bytes]) -> str | None:
    return ""
