"""The simulator refuses the functions that OpenAI refuses, in OpenAI's words, and takes the others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.simulator.rehearsal import Rehearsal

PLACE = {"type": "object", "properties": {"where": {"type": "string"}}}
WORDS = "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."


def offered(*functions: dict[str, Any]) -> dict[str, Any]:
    """What comes back when these functions are offered."""
    (answer,) = Rehearsal().send("session.update", session={"type": "realtime", "tools": list(functions)})
    return answer


def function(parameters: Any, name: str = "tide") -> dict[str, Any]:
    return {"type": "function", "name": name, "description": "The tide.", "parameters": parameters}


def about(where: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"where": where}}


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        (about({"type": "array"}), "In context=('properties', 'where'), array schema missing items."),
        (
            about({"type": "array", "prefixItems": [{"type": "number"}]}),
            "In context=('properties', 'where'), array schema missing items.",
        ),
        (
            about({"type": ["array", "null"]}),
            "In context=('properties', 'where'), array schema missing items.",
        ),
        (
            about({"anyOf": [{"type": "string"}, {"type": "array"}]}),
            "In context=('properties', 'where', 'anyOf', '1'), array schema missing items.",
        ),
        (
            about({"type": "array", "items": {"type": "array"}}),
            "In context=('properties', 'where', 'items'), array schema missing items.",
        ),
        ({**PLACE, "anyOf": [{"required": ["where"]}]}, WORDS),
        ({**PLACE, "not": {}}, WORDS),
        ({}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."),
        ({"type": "array", "items": {}}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'."),
        (about({"type": "text"}), "In context=('properties', 'where'), 'text' is not valid under any of the given"),
        (about(["string"]), "In context=('properties', 'where'), ['string'] is not of type 'object', 'boolean'."),
        ({**PLACE, "required": "where"}, "In context=(), 'where' is not of type 'array'."),
    ],
)
def test_a_schema_that_openai_refuses_is_refused_and_named(parameters: Any, why: str) -> None:
    error = offered(function(PLACE, "echo"), function(parameters))["error"]
    assert (error["code"], error["param"]) == ("invalid_function_parameters", "session.tools[1].parameters")
    assert error["message"].startswith(f"Invalid schema for function 'tide': {why}")


@pytest.mark.parametrize(
    "parameters",
    [
        PLACE,
        about({"type": "array", "items": {}}),
        about({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        about({}),
        {"type": "object", "properties": {}, "additionalProperties": False},
        about({"type": "object"}),
        {"type": "object"},
    ],
)
def test_a_schema_that_openai_takes_is_taken(parameters: Any) -> None:
    answer = offered(function(parameters))
    assert answer["session"]["tools"][0]["parameters"] == parameters


def test_a_function_without_parameters_is_taken() -> None:
    assert offered({"type": "function", "name": "tide"})["type"] == "session.updated"


@pytest.mark.parametrize(
    ("functions", "code", "param"),
    [
        ([function(PLACE, "high tide")], "invalid_value", "session.tools[0].name"),
        ([function(PLACE, "t" * 65)], "string_above_max_length", "session.tools[0].name"),
        ([function(PLACE, f"tide_{number}") for number in range(129)], "array_above_max_length", "session.tools"),
        ([function(about({"type": "string", "description": "w" * 70_000}))], "invalid_value", "session.tools"),
    ],
)
def test_a_name_a_number_and_a_size_that_openai_refuses_are_refused(functions: Any, code: str, param: str) -> None:
    error = offered(*functions)["error"]
    assert (error["code"], error["param"]) == (code, param)


def test_an_update_that_is_refused_applies_in_no_part() -> None:
    rehearsal = Rehearsal()
    session = {"type": "realtime", "instructions": "New.", "tools": [function(about({"type": "array"}))]}
    assert rehearsal.send("session.update", session=session)[0]["type"] == "error"
    assert rehearsal.conversation.player.session["instructions"] != "New."
    assert rehearsal.conversation.player.session["tools"] == []
