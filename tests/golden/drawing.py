"""docs/watchdog.md: the theory of routerd/watchdog.py, the table of routerd/evidence.py, and the diagram that both make."""

import inspect
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from routerd import watchdog
from routerd.evidence import LEAVE, TABLE, WORDS, Row

FILE = Path(__file__).parents[2] / "docs" / "watchdog.md"
PAGE = """\
# The watchdog

Drawn from `routerd/watchdog.py` and the table of `routerd/evidence.py` by `make golden`: change it there, not this page.

{theory}

## The diagram

```mermaid
stateDiagram-v2
    [*] --> Starting: wanted
    Starting --> Retried: it had failed, and another one carries the household
{arrows}
```

## The table

| in this health | that evidence | moves it to | or weighs | which means that |
| --- | --- | --- | --- | --- |
{rows}

{retried}
"""


def page() -> str:
    theory = inspect.getdoc(watchdog) or ""
    retried = (inspect.getdoc(Row) or "").splitlines()[-1]
    return PAGE.format(theory=theory, arrows=arrows(TABLE), rows="\n".join(map(line, TABLE)), retried=retried)


def line(row: Row) -> str:
    points = f"{row.points} of {LEAVE} points" if row.points else ""
    return f"| {row.here} | {row.evidence} | {row.to} | {points} | {WORDS[row.evidence]} |"


def arrows(table: Iterable[Row]) -> str:
    """One arrow between two healths, with all the evidence that moves a transport along it."""

    def ends(row: Row) -> tuple[str, str]:
        return row.here, row.to or "Down"

    grouped = groupby(sorted(table, key=ends), key=ends)
    return "\n".join(f"    {here} --> {to}: {', '.join(_labels(rows))}" for (here, to), rows in grouped)


def _labels(rows: Iterable[Row]) -> Iterator[str]:
    rows = list(rows)
    yield from (row.evidence for row in rows if row.to)
    weighed = [f"{row.evidence} {row.points}" for row in rows if row.points]
    if weighed:
        yield f"{LEAVE} points ({', '.join(weighed)})"
