"""Whether what the API is told and answers is as its document says. Every test that asks the daemon comes through here.

Stricter than the document itself: a member that it does not name is an error, so that none comes in without its words.
"""

import functools
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from routerd.api import DOCUMENT

VERBS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
JSON, EVENTS = "application/json", "text/event-stream"


@functools.cache
def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DOCUMENT.read_text())
    return found


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and what stands there."""
    for path, item in document()["paths"].items():
        yield from ((verb.upper(), path, item[verb]) for verb in VERBS if verb in item)


def conforms(method: str, target: str, status: int, answer: Any, sent: object = None) -> None:
    """AssertionError, with the member, where an answer is not as the document says; or what was sent, and accepted."""
    path = template(method, target)
    if path is None:
        _refused(method, target, status, answer)
        return
    where = f"{method} {path} {status}"
    response = _response(method, path, status)
    _valid(f"{response}/content/{_escaped(JSON)}/schema", answer, where)
    if status >= 400:
        codes, code = re.findall(r"`(\w+)`:", at(response)["description"]), answer["error"]["code"]
        assert code in codes, f"{where}: the document does not name the code {code!r}"
    elif sent is not None:
        pointer = f"{_operation(method, path)}/requestBody/content/{_escaped(JSON)}/schema"
        _valid(pointer, sent, f"{method} {path}, its body")


def _refused(method: str, target: str, status: int, answer: Any) -> None:
    """What is not in the document."""
    elsewhere = any(template(verb.upper(), target) for verb in VERBS)
    expected = (405, "method") if elsewhere else (404, "path")
    assert status == expected[0], f"{method} {target} is not in the document, and was answered with {status}"
    _valid("#/components/schemas/Error", answer, f"{method} {target} {status}")
    assert answer["error"]["code"] == expected[1], f"{method} {target}: the code is not {expected[1]!r}"


def event_conforms(method: str, path: str, kind: str, data: object) -> None:
    """The same for an event of a stream."""
    events = f"{_response(method, path, 200)}/content/{_escaped(EVENTS)}/x-events"
    assert kind in at(events), f"{method} {path}: the document does not name the event {kind!r}"
    _valid(f"{events}/{kind}", data, f"{method} {path}, {kind}")


def template(method: str, target: str) -> str | None:
    """The path of the document that is meant."""
    asked = urlsplit(target).path
    for verb, path, _ in operations():
        if verb == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), asked):
            return path
    return None


def at(pointer: str) -> Any:
    """What a JSON pointer names."""
    found: Any = document()
    for step in pointer.removeprefix("#/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


def _operation(method: str, path: str) -> str:
    return f"#/paths/{_escaped(path)}/{method.lower()}"


def _response(method: str, path: str, status: int) -> str:
    pointer = f"{_operation(method, path)}/responses"
    assert str(status) in at(pointer), f"{method} {path}: the document does not name the status {status}"
    pointer += f"/{status}"
    return at(pointer).get("$ref", pointer)


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def _valid(pointer: str, found: object, where: str) -> None:
    for error in _validator(pointer).iter_errors(json.loads(json.dumps(found))):
        raise AssertionError(f"{where}: {error.json_path}: {error.message[:2000]}")


@functools.cache
def _validator(pointer: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"urn:clearway{pointer}"}, registry=_registry())


@functools.cache
def _registry() -> Registry:
    return Registry().with_resource("urn:clearway", DRAFT202012.create_resource(strict(document())))


def strict(part: Any) -> Any:
    """The document, with no other members than it names where it does not say which."""
    if isinstance(part, list):
        return [strict(each) for each in part]
    if not isinstance(part, dict):
        return part
    closed = {"additionalProperties": False} if part.get("type") == "object" and "properties" in part else {}
    return closed | {key: strict(value) for key, value in part.items()}
