"""SIP003 plugins by name and options: no program is ever run for one, the engine has these two within itself.

What names a file, a program or a key (cert, certRaw, key, loglevel …) is refused, and so is what is unheard of.
"""

from __future__ import annotations

import re

from routerd.links import stream, wall
from routerd.links.wall import LinkError

ALLOWED = ("obfs-local", "v2ray-plugin")
ALIASES = {"simple-obfs": "obfs-local", "obfs": "obfs-local"}
BACKSLASH = "\\"
OPTION = re.compile(r"((?:\\.|[^\\;=])+)(?:=((?:\\.|[^\\;])*))?")
OPTIONS = {"obfs-local": {"obfs", "obfs-host", "obfs-uri"}, "v2ray-plugin": {"mode", "tls", "host", "path", "mux"}}


def plugin(value: str) -> tuple[str, str]:
    """The plugin and its options, in one way of writing. Raises LinkError."""
    name, _, rest = value.partition(";")
    name = wall.one_of(ALIASES.get(name, name), ALLOWED, "plugin (plugin=)")
    found = options(rest)
    if set(found) - OPTIONS[name]:
        raise LinkError(f"The plugin has options that are not allowed; these are: {', '.join(sorted(OPTIONS[name]))}.")
    return name, obfs(found) if name == "obfs-local" else v2ray(found)


def options(text: str) -> dict[str, str]:
    """`key=value;key`, with a backslash before what would end them (SIP003)."""
    found: dict[str, str] = {}
    for part in filter(None, re.split(r"(?<!\\);", text)):
        match = OPTION.fullmatch(part)
        if not match or match[1] in found:
            raise LinkError("The plugin's options are not of the form key=value;key=value.")
        found[unescaped(match[1])] = unescaped(match[2] or "")
    return found


def unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def written(pairs: dict[str, str]) -> str:
    """What is "" is left out; the values have been through the wall and need no other backslashes."""
    return ";".join(f"{key}={value.replace(';', BACKSLASH + ';')}" for key, value in pairs.items() if value)


def obfs(found: dict[str, str]) -> str:
    mode = wall.one_of(found.get("obfs") or "http", ("http", "tls"), "obfuscation (obfs=)")
    host = found.get("obfs-host", "")
    return written({"obfs": mode, "obfs-host": stream.host_header(host) if host else ""})


def v2ray(found: dict[str, str]) -> str:
    """Without `host` it would ask for cloudfront.com, and with TLS for no name at all."""
    wall.one_of(found.get("mode") or "websocket", ("websocket",), "plugin's mode (mode=)")
    host = stream.host_header(found["host"]) if found.get("host") else ""
    if "tls" in found and not host:
        raise LinkError("The plugin has TLS and no host=, so nothing says whose certificate to expect.")
    path = wall.path(found["path"], "plugin's path (path=)") if found.get("path") else ""
    if "\\" in path:
        raise LinkError("The plugin's path has a backslash, which does not belong there.")
    mux = str(wall.number(found["mux"], "plugin's mux", 0, 1024)) if found.get("mux") else ""
    rest = written({"mode": "websocket", "host": host, "path": path, "mux": mux})
    return f"tls;{rest}" if "tls" in found else rest
