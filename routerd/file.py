"""clearway.toml on disk: the single source of truth. Written whole or not at all, with the owner's comments kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from routerd.entries import BRIDGES
from routerd.host.disk import write
from routerd.settings import LIMIT, Settings, parse_settings
from routerd.table import SettingsError

SHIPPED = Path(__file__).parent / "data" / BRIDGES


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """`path` is the owner's file; `state` the folder that keeps the last good copy of it."""

    path: Path
    state: Path

    def read(self) -> Settings:
        """Raises SettingsError, which names the file where the file itself is the trouble."""
        text = self._text(self.path)
        settings = parse_settings(text, self._read_other)
        with contextlib.suppress(OSError):  # a full disk must not stop the household
            write(self._copy, text)
        return settings

    def last_good(self) -> Settings | None:
        try:
            return parse_settings(self._text(self._copy), self._read_other)
        except SettingsError:
            return None

    def edit(self, change: Callable[[tomlkit.TOMLDocument], None]) -> Settings:
        """Changes the file and returns its new meaning; a change that would not parse is refused."""
        try:
            document = tomlkit.parse(self._text(self.path))
        except TOMLKitError as e:
            raise SettingsError(f"{self.path}: not valid TOML: {e}") from e
        change(document)
        text = tomlkit.dumps(document)
        settings = parse_settings(text, self._read_other)
        try:
            write(self.path, text)
        except OSError as e:
            raise SettingsError(f"{self.path}: could not be written ({e.strerror}); nothing was changed") from e
        except UnicodeEncodeError as e:
            raise SettingsError(f"{self.path}: the change is not UTF-8 text; nothing was changed") from e
        return settings

    @property
    def _copy(self) -> Path:
        return self.state / "last-good.toml"

    def _text(self, path: Path) -> str:
        try:
            with path.open("rb") as file:
                data = file.read(LIMIT + 1)
            return data.decode()
        except OSError as e:
            raise SettingsError(f"{path}: cannot be read ({e.strerror})") from e
        except UnicodeDecodeError as e:
            raise SettingsError(f"{path}: is not UTF-8 text (byte {e.start})") from e

    def _read_other(self, name: str) -> str:
        """A file that the settings name, relative to them; the bridges that everybody has are shipped with us."""
        path = self.path.parent / name
        with (SHIPPED if name == BRIDGES and not path.exists() else path).open("rb") as file:
            return file.read(LIMIT).decode()


# -- the changes that the API makes -------------------------------------------------------------------------------


def add_transport(document: tomlkit.TOMLDocument, name: str, source: str, text: str) -> None:
    """`source`: uri or config."""
    entry = tomlkit.table()
    entry["name"] = name
    entry[source] = tomlkit.string(text, multiline="\n" in text)
    if "transport" not in document:
        document["transport"] = tomlkit.aot()
    document["transport"].append(entry)


def remove_transport(document: tomlkit.TOMLDocument, name: str) -> None:
    index = _index(document, name)
    del document["transport"][index]
    if not document["transport"]:
        del document["transport"]  # else tomlkit writes `transport = []`, and the next one becomes an inline table


def enable_transport(document: tomlkit.TOMLDocument, name: str, enabled: bool) -> None:
    document["transport"][_index(document, name)]["enabled"] = enabled


def add_subscription(document: tomlkit.TOMLDocument, name: str, url: str, confirm: bool) -> None:
    entry = tomlkit.table()
    entry["name"], entry["url"] = name, url
    if confirm:
        entry["confirm"] = True
    if "subscription" not in document:
        document["subscription"] = tomlkit.aot()
    document["subscription"].append(entry)


def remove_subscription(document: tomlkit.TOMLDocument, name: str) -> None:
    del document["subscription"][_index(document, name, "subscription")]
    if not document["subscription"]:
        del document["subscription"]


def _index(document: tomlkit.TOMLDocument, name: str, kind: str = "transport") -> int:
    for i, entry in enumerate(document.get(kind, [])):
        if entry.get("name") == name:
            return i
    raise SettingsError(f"{kind} {name!r}: there is none of that name in the file")
