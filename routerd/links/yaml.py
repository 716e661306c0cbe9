"""YAML as dicts, lists and text, and nothing else: no tags, no types, no objects; `00112233` stays what was written.

From the parser's events, so that depth and aliases are counted before anything is built.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml

from routerd.links.wall import LinkError

DEEPEST = 32
MOST_ALIASED = 1 << 20  # characters that aliases stand for, all together
LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # libyaml's, twenty times as fast, is in every wheel


@dataclass(slots=True)
class Open:
    """A list or table that has begun: a table's keys and values in turn."""

    table: bool
    anchor: str | None
    begin: int
    items: list[object] = field(default_factory=list)


@dataclass(slots=True)
class Builder:
    opened: list[Open] = field(default_factory=lambda: [Open(False, None, 0)])
    anchors: dict[str, tuple[object, int]] = field(default_factory=dict)
    aliased: int = 0

    def take(self, event: Any) -> None:
        match event:
            case yaml.ScalarEvent():
                self.put(event.value, event.anchor, event.end_mark.index - event.start_mark.index)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                table = isinstance(event, yaml.MappingStartEvent)
                self.opened.append(Open(table, event.anchor, event.start_mark.index))
                if len(self.opened) > DEEPEST:
                    raise LinkError(f"The document is nested deeper than {DEEPEST} levels.")
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                ended = self.opened.pop()
                value = table_of(ended.items) if ended.table else ended.items
                self.put(value, ended.anchor, event.end_mark.index - ended.begin)
            case yaml.AliasEvent():
                self.put(self.alias(event.anchor), None, 0)

    def put(self, value: object, anchor: str | None, size: int) -> None:
        if anchor:
            self.anchors[anchor] = value, size
        self.opened[-1].items.append(value)

    def alias(self, anchor: str) -> object:
        """An alias within what has an anchor is how small documents grow without end: refused."""
        value, size = self.anchors.get(anchor, (None, 0))
        self.aliased += size
        if value is None or self.aliased > MOST_ALIASED or any(at.anchor for at in self.opened):
            raise LinkError("The document's aliases stand for too much, for nothing, or for one another.")
        return value


def table_of(items: list[object]) -> dict[str, object]:
    """`<<` puts other tables under this one."""
    merged: dict[str, object] = {}
    own: dict[str, object] = {}
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, str):
            raise LinkError("The document has a key that is not plain text.")
        if key == "<<":
            for under in value if isinstance(value, list) else [value]:
                merged = (under if isinstance(under, dict) else {}) | merged
        else:
            own[key] = value
    return merged | own


def tree(text: str) -> object:
    """The first document of a YAML text. Raises LinkError."""
    builder = Builder()
    try:
        events: Iterable[Any] = yaml.parse(text, Loader=LOADER)
        for event in events:
            if isinstance(event, yaml.DocumentEndEvent):
                break
            builder.take(event)
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: half a character
        raise LinkError("The document is not valid YAML.") from None
    return next(iter(builder.opened[0].items), None)
