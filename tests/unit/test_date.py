"""The date in an HTTPS answer: read from the header, held against the certificate."""

import pytest

from routerd.probe.date import date_of
from routerd.probe.https import Answer, ProbeError

CERTIFICATE = {"notBefore": "Jan  1 00:00:00 2026 GMT", "notAfter": "Jan  1 00:00:00 2028 GMT"}
NEW_YEAR = 1798761600.0  # 2027-01-01T00:00:00Z


def answer(certificate: dict[str, object] = CERTIFICATE, **headers: str) -> Answer:
    pairs = tuple((name.encode(), value.encode()) for name, value in headers.items())
    return Answer(404, b"", pairs, certificate)


def test_the_date_of_an_answer() -> None:
    assert date_of(answer(date="Fri, 01 Jan 2027 00:00:00 GMT")) == NEW_YEAR


def test_an_answer_out_of_a_cache_is_as_old_as_it_says() -> None:
    assert date_of(answer(date="Fri, 01 Jan 2027 00:00:00 GMT", age="3600")) == NEW_YEAR + 3600


@pytest.mark.parametrize(
    "headers", [{}, {"date": ""}, {"date": "soon"}, {"date": "Fri, 32 Jan 2027 00:00:00 GMT"},
                {"date": "Fri, 01 Jan 2027 00:00:00 GMT", "age": "old"}, {"date": "Fri, 01 Jan 99999 00:00:00 GMT"}]
)
def test_an_answer_without_a_date_is_none(headers: dict[str, str]) -> None:
    with pytest.raises(ProbeError):
        date_of(answer(**headers))


@pytest.mark.parametrize("year", [2025, 2029])
def test_a_date_outside_the_sites_own_certificate_is_refused(year: int) -> None:
    """An expired certificate whose key has leaked tells the date of its own time at best: behind the floor."""
    with pytest.raises(ProbeError, match="certificate"):
        date_of(answer(date=f"Fri, 01 Jan {year} 00:00:00 GMT"))


@pytest.mark.parametrize("certificate", [{}, {"notBefore": "x", "notAfter": "y"}])
def test_a_certificate_without_dates_is_refused(certificate: dict[str, object]) -> None:
    with pytest.raises(ProbeError):
        date_of(answer(certificate, date="Fri, 01 Jan 2027 00:00:00 GMT"))
