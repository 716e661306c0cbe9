"""What the daemon says, read leniently: each gives its type, and a dull default for what is missing or strange."""


def dicts(raw: object) -> list[dict[str, object]]:
    return [item for item in raw if isinstance(item, dict)] if isinstance(raw, list | tuple) else []


def words(raw: object) -> str:
    return raw if isinstance(raw, str) else ""


def names(raw: object) -> tuple[str, ...]:
    return tuple(item for item in raw if isinstance(item, str)) if isinstance(raw, list | tuple) else ()


def one_of(raw: object, allowed: tuple[str, ...], otherwise: str) -> str:
    return raw if isinstance(raw, str) and raw in allowed else otherwise


def count(raw: object, most: int) -> int | None:
    """A whole number from 0 up to, not with, `most`; None where it is none."""
    fits = isinstance(raw, int | float) and not isinstance(raw, bool) and 0 <= raw < most
    return round(raw) if fits and isinstance(raw, int | float) else None
