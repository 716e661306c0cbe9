"""What a site says the date is: the Date header of an HTTPS answer.

A wrong clock must not keep us from the right one, so the certificate's chain and name are verified without its dates.
These are then held against the date that the site itself gave.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache
from urllib.parse import urlsplit

from routerd.clock import Sample
from routerd.host.clock import uptime
from routerd.model import mark
from routerd.probe.https import Answer, ProbeError, Terms, fetch

TIMEOUT = 4.0  # seconds; half of it is the most that a slow answer can be wrong by
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h); Python has no name for it


async def ask(sources: Iterable[str], slot: int) -> list[Sample]:
    """Each source through `slot`, all at once. Those that do not answer are left out."""
    found = await asyncio.gather(*(_ask(source, slot) for source in sources), return_exceptions=True)
    return [one for one in found if isinstance(one, Sample)]


async def _ask(source: str, slot: int) -> Sample:
    host = urlsplit(source).hostname or ""
    began = uptime()
    answer = await fetch(source, host, mark(slot), TIMEOUT, Terms(trust=_context()))
    middle = (began + uptime()) / 2
    return Sample(host, date_of(answer) + 0.5 - middle)  # it counts whole seconds, rounded down


@cache
def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.verify_flags |= _NO_CHECK_TIME
    return context


def date_of(answer: Answer) -> float:
    """Unix time. Raises ProbeError. An answer out of a cache has its first Date, and says how old it is (RFC 9111)."""
    headers = dict(answer.headers)
    try:
        date = parsedate_to_datetime(headers[b"date"].decode("ascii"))
        age = int(headers.get(b"age", b"0"))
    except (KeyError, ValueError) as e:
        raise ProbeError("the answer has no date") from e
    found = date.replace(tzinfo=date.tzinfo or UTC).timestamp() + max(0, min(age, 1 << 31))
    if not _valid(answer.certificate, found):
        raise ProbeError("the site's date is not within its certificate's")
    return found


def _valid(certificate: Mapping[str, object], date: float) -> bool:
    first, last = (str(certificate.get(key, "")) for key in ("notBefore", "notAfter"))
    try:
        return ssl.cert_time_to_seconds(first) <= date <= ssl.cert_time_to_seconds(last)
    except ValueError:
        return False
