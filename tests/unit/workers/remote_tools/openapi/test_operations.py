"""An operation of an OpenAPI document becomes one flat object of arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ringback.errors import ConfigurationError
from ringback.jobs.states import Effect
from ringback.tools.provider_schema import SchemaRefused
from workers.remote_tools.openapi.operations import Body, document_in, operation

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
PLACE: dict[str, Any] = {"type": "object", "required": ["city"], "properties": {"city": TEXT, "zip": TEXT}}


def document(said: dict[str, Any], method: str = "get", path: str = "/a", **item: Any) -> dict[str, Any]:
    return {
        "openapi": "3.0.3",
        "paths": {path: {method: {"operationId": "do", **said}, **item}},
        "components": {
            "schemas": {"Place": PLACE, "Text": TEXT},
            "parameters": {"Page": {"name": "page", "in": "query", "schema": NUMBER}},
            "requestBodies": {"Place": body({"$ref": "#/components/schemas/Place"}, required=True)},
        },
    }


def parameter(name: str, place: str = "query", schema: Any = TEXT, **more: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "schema": schema, **more}


def body(schema: Any, kind: str = "application/json", **more: Any) -> dict[str, Any]:
    return {"content": {kind: {"schema": schema}}, **more}


def flat(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        **({"required": list(required)} if required else {}),
        "additionalProperties": False,
    }


PARAMETERS: tuple[tuple[list[dict[str, Any]], dict[str, Any]], ...] = (
    ([], flat({})),
    ([parameter("q")], flat({"q": TEXT})),
    ([parameter("q", required=True)], flat({"q": TEXT}, "q")),
    ([parameter("id", "path")], flat({"id": TEXT}, "id")),
    ([parameter("q", description="what to find")], flat({"q": {**TEXT, "description": "what to find"}})),
    ([{"$ref": "#/components/parameters/Page"}], flat({"page": NUMBER})),
    ([parameter("t", schema={"$ref": "#/components/schemas/Text"})], flat({"t": TEXT})),
    ([parameter("id", "path"), parameter("id")], flat({"id": TEXT, "query_id": TEXT}, "id")),
    # The model does not set headers that the worker or the file sets, nor a cookie that may be left out.
    (
        [parameter(name, "header") for name in ("Authorization", "X-Key", "Idempotency-Key", "X-Region")],
        flat({"X-Region": TEXT}),
    ),
    ([parameter("sid", "cookie")], flat({})),
    (
        [{"name": "f", "in": "query", "content": {"application/json": {"schema": PLACE}}}],
        flat({"f": PLACE}),
    ),
    ([parameter("f", schema=PLACE, style="deepObject")], flat({"f": PLACE})),
)


@pytest.mark.parametrize(("parameters", "schema"), PARAMETERS)
def test_parameters_become_arguments(parameters: list[dict[str, Any]], schema: dict[str, Any]) -> None:
    assert operation(document({"parameters": parameters}), "do", frozenset({"x-key"})).schema == schema


BODIES: tuple[tuple[Any, Body, dict[str, Any]], ...] = (
    (None, Body.NONE, flat({})),
    (body(PLACE, required=True), Body.FLAT, flat({"city": TEXT, "zip": TEXT}, "city")),
    (body(PLACE), Body.FLAT, flat({"city": TEXT, "zip": TEXT})),
    ({"$ref": "#/components/requestBodies/Place"}, Body.FLAT, flat({"city": TEXT, "zip": TEXT}, "city")),
    (body(PLACE, "application/vnd.place+json; v=1", required=True), Body.FLAT, flat(PLACE["properties"], "city")),
    # An object that extends another becomes one object.
    (
        body({"allOf": [{"$ref": "#/components/schemas/Place"}, {"properties": {"n": NUMBER}, "required": ["n"]}]})
        | {"required": True},
        Body.FLAT,
        flat({"city": TEXT, "zip": TEXT, "n": NUMBER}, "city", "n"),
    ),
    # A body that is no plain object, or would hide a parameter, stands as a whole.
    (
        body({"type": "array", "items": TEXT}, required=True),
        Body.WHOLE,
        flat({"body": {"type": "array", "items": TEXT}}, "body"),
    ),
    (
        body({**PLACE, "additionalProperties": True}),
        Body.WHOLE,
        flat({"body": {**PLACE, "additionalProperties": True}}),
    ),
    (body({"oneOf": [PLACE, TEXT]}), Body.WHOLE, flat({"body": {"anyOf": [PLACE, TEXT]}})),
    (body({"allOf": [PLACE, {"anyOf": [{}]}]}), Body.WHOLE, flat({"body": {"allOf": [PLACE, {"anyOf": [{}]}]}})),
    # A form that may be left out is left out.
    (body(PLACE, "multipart/form-data"), Body.NONE, flat({})),
)


@pytest.mark.parametrize(("said", "kind", "schema"), BODIES)
def test_a_body_becomes_arguments(said: Any, kind: Body, schema: dict[str, Any]) -> None:
    found = operation(document({"requestBody": said} if said else {}, "post"), "do")
    assert (found.body, found.schema) == (kind, schema)


def test_a_body_with_a_property_that_a_parameter_has_stands_as_a_whole() -> None:
    said = {"parameters": [parameter("city")], "requestBody": body(PLACE, required=True)}
    found = operation(document(said, "put"), "do")
    assert (found.body, found.schema) == (Body.WHOLE, flat({"city": TEXT, "body": PLACE}, "body"))


def test_what_the_path_says_holds_for_its_operations_and_they_may_say_otherwise() -> None:
    shared = [parameter("id", "path"), parameter("page", schema=TEXT)]
    said = {"parameters": [parameter("page", schema=NUMBER)]}
    found = operation(document(said, path="/a/{id}", parameters=shared), "do")
    assert found.schema == flat({"id": TEXT, "page": NUMBER}, "id")


@pytest.mark.parametrize(
    ("method", "effect"),
    [
        ("get", Effect.PURE),
        ("head", Effect.PURE),
        ("put", Effect.IDEMPOTENT),
        ("delete", Effect.IDEMPOTENT),
        ("post", Effect.AT_MOST_ONCE),
        ("patch", Effect.AT_MOST_ONCE),
    ],
)
def test_what_running_it_twice_means_is_told_by_its_method(method: str, effect: Effect) -> None:
    assert operation(document({}, method), "do").effect is effect


@pytest.mark.parametrize(
    ("said", "description"),
    [
        ({"summary": "Find.", "description": "All of it.\n"}, "Find.\nAll of it."),
        ({"description": "All of it."}, "All of it."),
        ({}, "GET /a"),
    ],
)
def test_it_is_described_by_its_summary_and_description(said: dict[str, Any], description: str) -> None:
    assert operation(document(said), "do").description == description


def test_an_operation_without_an_id_is_named_by_its_method_and_path() -> None:
    found = operation(document({}, "post", "/a/{id}"), "POST /a/{id}")
    assert (found.method, found.path) == ("post", "/a/{id}")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"operationId": "other"}, "no such operation; it has other"),
        ({"parameters": [parameter("sid", "cookie", required=True)]}, "needs the cookie sid"),
        ({"parameters": [parameter("x", "matrix")]}, "x stands in matrix"),
        ({"parameters": [parameter("f", schema=PLACE)]}, "f is an object"),
        ({"parameters": [{"$ref": "other.yaml#/x"}]}, "outside of it"),
        ({"parameters": ["q"]}, "where an object should"),
        ({"parameters": [parameter("v", schema={**TEXT, "enum": ["1", 1.1]})]}, "names 1.1 as a value; put that into"),
        ({"requestBody": body(PLACE, "multipart/form-data", required=True)}, "multipart/form-data; only JSON"),
        ({"parameters": [parameter("body")], "requestBody": body(TEXT)}, "would both be called body"),
    ],
)
def test_an_operation_that_cannot_be_served_is_refused(said: dict[str, Any], why: str) -> None:
    with pytest.raises(SchemaRefused, match=why):
        operation(document(said), "do")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", json.dumps(document({}))),
        ("a.json", "\ufeff" + json.dumps(document({}))),
        ("a.yaml", "openapi: 3.1.0\npaths: {}\n"),
        ("a.yaml", "openapi: 3.1\npaths: {}\n"),
    ],
)
def test_a_document_is_json_or_yaml(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert str(document_in(tmp_path / name)["openapi"]).startswith("3.")


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("a.json", "{", "cannot be read"),
        ("a.yaml", "a: [", "cannot be read"),
        ("a.yaml", "openapi: 3.1.0\nget: 1\nget: 2", "cannot be read: line 3: the field 'get' stands twice"),
        ("a.yaml", f"a: {'[' * 3_000}", "cannot be read"),
        ("a.json", "[" * 100_000, "cannot be read"),
        ("a.yaml", "swagger: '2.0'", "no document of OpenAPI 3"),
        ("a.yaml", "- 1", "no document of OpenAPI 3"),
        ("a.yaml", None, "cannot be read"),
    ],
)
def test_a_document_that_is_none_is_named(tmp_path: Path, name: str, text: str | None, why: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigurationError, match=why) as wrong:
        document_in(tmp_path / name)
    assert str(wrong.value).startswith(str(tmp_path / name))
    assert "\n" not in str(wrong.value)
