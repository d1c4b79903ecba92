"""Schemas that every provider accepts: some are rewritten for it, others are refused."""

from __future__ import annotations

import json
from math import inf, nan
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ringback.tools.provider_schema import MAX_DEPTH, MAX_SCHEMA_CHARS, SchemaRefused, check, rewrite
from simulator.functions import functions

TEXT, NUMBER, ANY = {"type": "string"}, {"type": "number"}, dict[str, Any]()
A, B = {"properties": {"a": TEXT}, "required": ["a"]}, {"properties": {"b": NUMBER}, "required": ["b"]}


def whole(properties: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False, **rest}


def assert_openai_takes(schema: dict[str, Any]) -> None:
    """Check the schema by OpenAI's rules, which the simulator holds independently."""
    functions([{"type": "function", "name": "f", "parameters": schema}])


def array(**rest: Any) -> dict[str, Any]:
    return {"type": "array", **rest}


@pytest.mark.parametrize(
    ("came", "told"),
    [
        # A tuple: OpenAI refuses an array without `items`.
        (
            array(prefixItems=[NUMBER, NUMBER], minItems=2, maxItems=2),
            array(items=NUMBER, minItems=2, maxItems=2),
        ),
        (
            array(prefixItems=[NUMBER | {"title": "Lat"}, NUMBER | {"title": "Long", "default": 0}], maxItems=2),
            array(items=NUMBER, maxItems=2, description="In this order: Lat (number), Long (number)."),
        ),
        (
            array(prefixItems=[NUMBER, TEXT], maxItems=2, description="Where."),
            array(items={"anyOf": [NUMBER, TEXT]}, maxItems=2, description="Where. In this order: number, string."),
        ),
        (
            array(prefixItems=[NUMBER], items=TEXT),
            array(items={"anyOf": [NUMBER, TEXT]}),
        ),
        (
            array(prefixItems=[NUMBER], items=False),
            array(items=NUMBER, maxItems=1),
        ),
        (array(prefixItems=[NUMBER]), array(items=ANY)),
        ({"prefixItems": [True]}, {"items": ANY}),
        # Other arrays without items.
        (array(), array(items=ANY)),
        (array(maxItems=0), array(items=ANY, maxItems=0)),
        # Providers look into every schema, however old or rare the keyword above it.
        *(({key: {"x": array()}}, {key: {"x": array(items=ANY)}}) for key in ("$defs", "definitions")),
        *(({key: array()}, {key: array(items=ANY)}) for key in ("unevaluatedItems", "contentSchema", "else")),
        (array(items=True), array(items=ANY)),
        (array(items=False), array(items=ANY, maxItems=0)),
        ({"type": ["array", "null"]}, {"type": ["array", "null"], "items": ANY}),
        ({"anyOf": [array(), {"type": "null"}]}, {"anyOf": [array(items=ANY), {"type": "null"}]}),
        (array(items=array()), array(items=array(items=ANY))),
        (
            {"type": "object", "additionalProperties": array()},
            {"type": "object", "additionalProperties": array(items=ANY)},
        ),
        # JSON has no NaN and no infinity.
        (NUMBER | {"default": nan, "minimum": -inf}, NUMBER),
        (array(items=NUMBER, default=[nan]), array(items=NUMBER)),
        # A keyword that no provider is known to refuse stays.
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"const": "card"}, {"const": "card"}),
        ({"oneOf": [TEXT, NUMBER]}, {"oneOf": [TEXT, NUMBER]}),
        (
            {"enum": [{"type": "array"}], "default": {"type": "array"}},
            {"enum": [{"type": "array"}], "default": {"type": "array"}},
        ),
        (True, ANY),
    ],
)
def test_a_parameter_is_told_as_every_provider_takes_it(came: Any, told: Any) -> None:
    schema = rewrite({"properties": {"x": came}})
    assert schema == whole({"x": told})
    check(schema)
    assert rewrite(schema) == schema
    assert_openai_takes(schema)


@pytest.mark.parametrize(
    ("came", "told"),
    [
        ({}, whole({})),
        ({"type": "object"}, whole({})),
        ({"type": ["object", "null"]} | A, whole({"a": TEXT}, required=["a"])),
        ({"additionalProperties": True}, whole({}) | {"additionalProperties": True}),
        ({"properties": {"a": TEXT, "b": False}, "required": ["a", "b"]}, whole({"a": TEXT}, required=["a"])),
        # All of them hold.
        ({"allOf": [A, B]}, whole({"a": TEXT, "b": NUMBER}, required=["a", "b"])),
        ({"allOf": [A, {"allOf": [B]}]}, whole({"a": TEXT, "b": NUMBER}, required=["a", "b"])),
        ({"allOf": [A, {"properties": {"a": NUMBER}}]}, whole({"a": {"allOf": [TEXT, NUMBER]}}, required=["a"])),
        # One of them holds: a description tells what each requires.
        (
            {"anyOf": [A, B]},
            whole({"a": TEXT, "b": NUMBER}, description="Give one of these: a; b."),
        ),
        (
            {"properties": {"a": TEXT, "b": NUMBER}, "oneOf": [{"required": ["a"]}, {"required": ["a", "b"]}]},
            whole({"a": TEXT, "b": NUMBER}, required=["a"], description="Give one of these: a; a and b."),
        ),
        (
            {"oneOf": [{"properties": {"kind": {"const": "x"}}}, {"properties": {"kind": {"const": "y"}}}]},
            whole({"kind": {"anyOf": [{"const": "x"}, {"const": "y"}]}}),
        ),
        ({"anyOf": [A, {"type": "null"}]}, whole({"a": TEXT}, required=["a"])),
        # Never stricter than the original.
        ({"anyOf": [{}]}, whole({}) | {"additionalProperties": True}),
        ({"anyOf": [A, {}]}, whole({"a": TEXT}) | {"additionalProperties": True}),
        ({"enum": [{"a": 1}]}, whole({}) | {"additionalProperties": True}),
        (A | {"not": {"required": ["b"]}}, whole({"a": TEXT}, required=["a"])),
    ],
)
def test_the_arguments_are_one_object_without_combinators(came: dict[str, Any], told: dict[str, Any]) -> None:
    assert rewrite(came) == told
    check(rewrite(came))
    assert_openai_takes(rewrite(came))


@pytest.mark.parametrize(
    "arguments", [{"a": "x"}, {"b": 1}, {"a": "x", "b": 1}], ids=lambda arguments: "+".join(arguments)
)
def test_what_fits_one_of_several_objects_fits_what_is_told(arguments: dict[str, Any]) -> None:
    assert Draft202012Validator(rewrite({"anyOf": [A, B]})).is_valid(arguments)


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = dict(TEXT)
    for _ in range(levels):
        schema = {"type": "object", "properties": {"x": schema}}
    return schema


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ({"type": "array", "items": {}}, "its arguments are not an object; describe them as one"),
        ({"anyOf": [TEXT]}, "its arguments are not an object; describe them as one"),
        ({"allOf": [A, TEXT]}, "its arguments are not an object; describe them as one"),
        ({"properties": {"a": {"type": "word"}}}, "its schema is no JSON schema at properties.a.type: 'word' is not"),
        ({"properties": [TEXT]}, "its schema is no JSON schema at properties:"),
        ({"required": "a"}, "its schema is no JSON schema at required:"),
        ({"properties": {"a": {"enum": {1}}}}, "its schema is not JSON (Object of type set is not JSON serializable)"),
        ({"properties": {"a": {"enum": [nan]}}}, "its schema is not JSON (Out of range float values"),
        (
            {"properties": {"a": {"enum": []}}},
            "the enum at properties.a has no value, so that nothing fits; give it one",
        ),
        ({"properties": {"a": {"$ref": "x"}}}, "its schema refers to 'x' at properties.a; write out what that stands"),
        (
            {"properties": {"a": {"description": "\0"}}},
            "its schema has a NUL character, which cannot be stored; remove",
        ),
        ({"properties": {"a": {"description": "\ud800"}}}, "its schema is not JSON ('utf-8' codec can't encode"),
        (
            {"properties": {"a": {"enum": ["x" * MAX_SCHEMA_CHARS]}}},
            "its schema has 16086 characters, at most 16000 can be offered to a model; take fewer or simpler arguments",
        ),
        (nested(MAX_DEPTH), f"its schema is nested deeper than {MAX_DEPTH}; take flatter arguments"),
        (nested(3_000), "its schema is not JSON (maximum recursion depth exceeded"),
    ],
)
def test_what_no_provider_takes_is_refused_with_its_place_and_what_to_do(schema: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SchemaRefused) as refused:
        check(rewrite(schema))
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize(
    ("schema", "sentence"),
    [
        ({}, "its arguments are no object with properties; describe them as one object"),
        (whole({}, anyOf=[A]), "its schema has anyOf at the root, which providers refuse; move it into a property"),
        (whole({"a": True}), "'True' stands at properties.a, where a schema should"),
        (whole({"a": array(items=array())}), "the array at properties.a.items has no items, which providers refuse"),
        (whole({"a": {"anyOf": [TEXT, array()]}}), "the array at properties.a.anyOf.1 has no items"),
    ],
)
def test_what_was_not_rewritten_is_refused(schema: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SchemaRefused) as refused:
        check(schema)
    assert str(refused.value).startswith(sentence)


def test_a_nul_that_is_only_spoken_of_is_no_nul() -> None:
    check(rewrite({"properties": {"a": {"description": r"Must match [^\u0000]"}}}))
    assert "\\\\u0000" in json.dumps(rewrite({"properties": {"a": {"description": r"\u0000"}}}))
