"""The watchdog's page is what its table says. After a change that is meant: `make golden`; read the difference."""

import os

from routerd.evidence import TABLE, WORDS, Row
from tests.golden.drawing import FILE, arrows, page


def test_the_page_is_drawn_from_the_table() -> None:
    if os.environ.get("REGOLD"):
        FILE.write_text(page())
    assert FILE.read_text() == page()


def test_every_row_and_every_word_is_on_the_page() -> None:
    drawn = page()
    assert drawn.count("\n| ") == 2 + len(TABLE)
    assert all(word in drawn for word in WORDS.values())


def test_an_arrow_has_all_the_evidence_for_it() -> None:
    rows = [Row("Up", "carried", to="Up"), Row("Up", "ended", to="Down"), Row("Up", "sign", points=2)]
    assert arrows(rows) == "    Up --> Down: ended, 4 points (sign 2)\n    Up --> Up: carried"
