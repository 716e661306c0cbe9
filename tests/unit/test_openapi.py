"""The API's document: that it is one, and that it says what there is. That answers are as it says: tests/openapi.py."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from jsonschema import Draft202012Validator

from routerd import __version__
from routerd.answers import ROUTES
from routerd.api import BY_ITSELF
from routerd.daemon import Line
from routerd.desync.crawl import Found
from routerd.diagnose import ORDER
from routerd.diagnosis import Stage, Through
from routerd.model.status import Differences, Problem, Status, SubscriptionStatus, TransportStatus
from routerd.problems import VERDICTS
from tests.openapi import VERBS, at, conforms, document, operations

ROOT = Path(__file__).parents[2]
META = json.loads((Path(__file__).parent / "openapi-3.1.schema.json").read_text())  # OpenAPI's own: docs/decisions/0021
ALONE = {("GET", "/openapi.json"), ("GET", "/events"), ("POST", "/desync/search")}  # api.py answers, not ROUTES
SCHEMAS = {
    "Status": Status,
    "TransportStatus": TransportStatus,
    "Problem": Problem,
    "Subscription": SubscriptionStatus,
    "Differences": Differences,
    "JournalLine": Line,
    "Stage": Stage,
    "Through": Through,
}


def parts(part: Any) -> Iterator[dict[str, Any]]:
    """Every object of the document."""
    if isinstance(part, dict):
        yield part
    for each in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from parts(each)


def named_words(schema: dict[str, Any], hint: Any) -> None:
    """A Literal is the schema's enum, in no order."""
    assert set(schema["enum"]) == set(get_args(hint)), schema


def test_it_is_an_openapi_document() -> None:
    found = sorted(f"{e.json_path}: {e.message[:200]}" for e in Draft202012Validator(META).iter_errors(document()))
    assert not found
    assert document()["info"]["version"] == __version__


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    for part in parts(document()):
        if isinstance(pointer := part.get("$ref"), str):
            at(pointer)
        if isinstance(schema := part.get("schema"), dict):
            Draft202012Validator.check_schema(schema)
    for schema in document()["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_nothing_in_it_is_used_by_nothing() -> None:
    used = {part["$ref"] for part in parts(document()) if "$ref" in part}
    there = {f"#/components/{kind}/{name}" for kind, named in document()["components"].items() for name in named}
    assert used == there
    tags = {tag for _, _, operation in operations() for tag in operation["tags"]}
    assert tags == {tag["name"] for tag in document()["tags"]}


def test_its_paths_are_those_that_are_answered() -> None:
    found = [(method, path) for method, path, _ in operations()]
    assert sorted(found) == sorted({(method, path) for method, path, _ in ROUTES} | ALONE)
    assert {path for _, path in ALONE} == set(BY_ITSELF)
    assert len({operation["operationId"] for _, _, operation in operations()}) == len(found)


def test_the_names_in_a_path_are_its_parameters() -> None:
    for path, item in document()["paths"].items():
        told = [at(each["$ref"]) for each in item.get("parameters", [])]
        assert re.findall(r"{(\w+)}", path) == [each["name"] for each in told]
        assert set(item) <= {"parameters", *VERBS}


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_the_daemon_shows_has_every_member_and_every_word(name: str) -> None:
    schema, hints = at(f"#/components/schemas/{name}"), get_type_hints(SCHEMAS[name])
    assert set(schema["properties"]) == set(schema["required"]) == set(hints)
    for member, hint in hints.items():
        told = schema["properties"][member]
        told = {**at(told["$ref"]), **told} if "$ref" in told else told
        if get_origin(hint) is Literal:
            named_words(told, hint)
        is_optional = type(None) in get_args(hint)
        assert is_optional == ("null" in json.dumps(told.get("type", told.get("oneOf", "")))), member
        assert not is_optional or "null: " in told["description"], member


def test_a_diagnosis_has_the_verdicts_and_stages_that_there_are() -> None:
    assert set(at("#/components/schemas/Diagnosis/properties/verdict/enum")) == set(VERDICTS)
    assert at("#/components/schemas/Stage/properties/stage/enum") == list(ORDER)
    named_words(at("#/components/schemas/SearchTry/properties/found"), Found)


def test_every_refusal_in_the_source_is_told_and_no_other() -> None:
    told = {(int(status), code) for status, text in refusals() for code in re.findall(r"`(\w+)`:", text)}
    assert told | {(404, "path"), (405, "method")} == set(raised())
    assert "`path`" in document()["info"]["description"]
    assert "`method`" in document()["info"]["description"]


def refusals() -> Iterator[tuple[str, str]]:
    """Status and description."""
    for _, _, operation in operations():
        for status, response in operation["responses"].items():
            if status >= "400":
                yield status, (at(response["$ref"]) if "$ref" in response else response)["description"]


def raised() -> Iterator[tuple[int, str]]:
    for file in (ROOT / "routerd").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "ApiError":
                yield ast.literal_eval(node.args[0]), ast.literal_eval(node.args[1])


def test_the_page_for_people_has_the_same_paths() -> None:
    """`GET /a/NAME`, `.../b` is two: the second has the first one's beginning."""
    found, last = set(), ("", "")
    for row in re.findall(r"^\| (`.*?) \| ", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE):
        for method, path in re.findall(r"`(?:([A-Z]+) )?([^`]+)`", row):
            path = last[1].rpartition("/")[0] + path.removeprefix("...") if path.startswith("...") else path
            last = (method or last[0], path)
            found.add((last[0], path.replace("NAME", "{name}")))
    assert found == {(method, path) for method, path, _ in operations()}


NOW = {"version": "1", "phase": "open", "mode": "auto", "active": None, "since": "2026-01-01T00:00:00Z"}
STATUS: dict[str, Any] = {**NOW, "transports": [], "problems": [], "subscriptions": []}
REFUSAL = {"error": {"code": "disabled", "message": "x"}}


def test_an_answer_that_is_as_it_says_passes() -> None:
    conforms("GET", "/status", 200, STATUS)
    conforms("POST", "/use", 409, REFUSAL, {"name": 3})
    conforms("DELETE", "/transports/a%2Fb", 200, {"name": "a/b"})
    conforms("GET", "/nothing", 404, {"error": {"code": "path", "message": "x"}})
    conforms("DELETE", "/status", 405, {"error": {"code": "method", "message": "x"}})


@pytest.mark.parametrize(
    ("method", "target", "status", "answer", "sent", "told"),
    [
        ("GET", "/status", 200, {**STATUS, "new": 1}, None, "'new' was unexpected"),
        ("GET", "/status", 200, {**STATUS, "phase": "odd"}, None, "'odd' is not one of"),
        ("GET", "/status", 200, {**STATUS, "since": "yesterday"}, None, "does not match"),
        ("GET", "/status", 200, {k: v for k, v in STATUS.items() if k != "mode"}, None, "'mode' is a required"),
        ("GET", "/status", 404, REFUSAL, None, "does not name the status 404"),
        ("GET", "/nothing", 200, {}, None, "is not in the document"),
        ("DELETE", "/status", 404, {"error": {"code": "path", "message": "x"}}, None, "is not in the document"),
        ("POST", "/use", 409, {"error": {"code": "odd", "message": "x"}}, None, "does not name the code 'odd'"),
        ("POST", "/use", 409, {"error": {"code": "disabled", "message": "x", "more": 1}}, None, "'more' was unexpected"),
        ("POST", "/use", 200, {"name": "a"}, {"name": "a", "more": 1}, "'more' was unexpected"),
        ("POST", "/auto", 200, {"name": "a"}, None, "'name' was unexpected"),
    ],
)
def test_one_that_is_not_fails(
    method: str, target: str, status: int, answer: object, sent: object, told: str
) -> None:
    with pytest.raises(AssertionError, match=re.escape(told)):
        conforms(method, target, status, answer, sent)
