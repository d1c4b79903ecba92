"""Arguments are checked against any schema within a bound: the tool checks what would take long."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ringback.tools.argument_check import MAX_STEPS, ArgumentCheck, size_of

MALFORMED: list[Any] = [None, [], {"a": 7}, {"a": {"type": "text"}}]
CPU_SECONDS = 10
"""CPU time of a process that imports the gateway and checks a dozen times; an unbounded check takes much more."""


def about(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}, **more}


def fits(schema: Any, value: Any) -> bool:
    return not ArgumentCheck(about(schema)).misfits({"a": value})


@pytest.mark.parametrize(
    ("schema", "fitting", "misfit"),
    [
        ({"type": "integer"}, 1, "one"),
        ({"type": ["integer", "null"]}, None, "one"),
        ({"enum": ["SE", "NO"]}, "NO", "DK"),
        ({"const": None}, None, 0),
        ({"minimum": 1, "maximum": 3}, 3, 4),
        ({"exclusiveMinimum": 1}, 1.5, 1),
        ({"minLength": 2, "maxLength": 3}, "abc", "a"),
        ({"items": {"type": "string"}, "maxItems": 2}, ["a"], ["a", 1]),
        ({"prefixItems": [{"type": "string"}], "items": False}, ["a"], ["a", "b"]),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None, 1),
        ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, 2, 4),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, None, 1),
        (about({"type": "string"}, required=["a"], additionalProperties=False), {"a": "x"}, {"b": "x"}),
        ({"additionalProperties": {"type": "integer"}}, {"x": 1}, {"x": "one"}),
        ({"minProperties": 1}, {"x": 1}, {}),
    ],
)
def test_what_is_judged_is_judged_as_json_schema_says(schema: Any, fitting: Any, misfit: Any) -> None:
    assert fits(schema, fitting)
    assert not fits(schema, misfit)


VALUES: list[Any] = [None, True, 0, 1.0, 1.5, "x", [], ["x"], {}, {"a": 1}]
KINDS = ("object", "array", "string", "number", "integer", "boolean", "null")


@pytest.mark.parametrize("part", [*({"type": kind} for kind in KINDS), {"type": ["string", "null"]}, {}, True, False])
def test_a_property_is_judged_as_jsonschema_judges_it(part: Any) -> None:
    schema = about(part)
    for arguments in [*({"a": value} for value in VALUES), {"b": 1}, *VALUES]:
        found, wanted = ArgumentCheck(schema).misfits(arguments), Draft202012Validator(schema).iter_errors(arguments)
        assert [(each.message, each.json_path) for each in found] == [(each.message, each.json_path) for each in wanted]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "pattern": "^[A-Z]+$"}, "abc"),
        ({"type": "string", "format": "date"}, "someday"),
        ({"type": "array", "uniqueItems": True}, [1, 1]),
        ({"type": "number", "multipleOf": 0.01}, 19.99),
        ({"not": {"pattern": "a"}}, "b"),
        ({"if": {"pattern": "a"}, "then": {"type": "integer"}}, "b"),
        ({"oneOf": [{"pattern": "a"}, {"pattern": "b"}]}, "a"),
        ({"contains": {"pattern": "a"}, "maxContains": 1}, ["b", "b"]),
        ({"patternProperties": {"^x": {}}, "additionalProperties": False}, {"x1": 1}),
        ({"propertyNames": {"pattern": "^(a+)+$"}}, {"b": 1}),
        ({"$ref": "http://127.0.0.1:9/schema"}, 1),
        ({"$dynamicRef": "#nowhere"}, 1),
        ({"dependentSchemas": {"a": {"required": ["b"]}}}, {"a": 1}),
    ],
)
def test_what_is_not_judged_is_the_tools_to_refuse(schema: Any, value: Any) -> None:
    assert fits(schema, value)


@pytest.mark.parametrize(
    "schema",
    [
        *(None, True, [], "text"),
        *({"type": "object", "properties": wrong} for wrong in MALFORMED),
        *(about({key: "x"}) for key in ("minimum", "maxLength", "required", "enum", "items", "anyOf", "type")),
        about({"required": [1], "minItems": -1, "maximum": True, "anyOf": [], "enum": []}),
    ],
)
def test_a_schema_that_is_none_refuses_nothing_and_breaks_nothing(schema: Any) -> None:
    assert ArgumentCheck(schema).misfits({"a": [1, "x", {"b": None}]}) == []


def test_a_schema_without_an_end_is_looked_into_only_so_deep() -> None:
    deep: Any = {"type": "string"}
    for _ in range(2_000):
        deep = {"items": deep}
    assert fits(deep, [[["x"]]])


def test_where_schema_and_arguments_are_both_large_the_tool_judges() -> None:
    items = {"items": {"enum": [f"value {number}" for number in range(300)]}}
    assert not fits(items, ["another"])
    assert fits(items, ["another"] * (MAX_STEPS // 300))


def test_parts_are_values_and_long_texts() -> None:
    assert size_of({"a": [1, "x"], "b": None}) == 5
    assert size_of("x" * 1_000) == 11
    assert size_of({"n" * 1_000: 1}) == 12


SLOW = {
    "a pattern that backtracks": (
        "about({'type': 'string', 'pattern': '^(a+)+$'})",
        "{'a': 'a' * 60 + '!'}",
    ),
    "names by patterns that backtrack": (
        "about({'patternProperties': {'^(a+)+$': {}}, 'additionalProperties': False})",
        "{'a': {'a' * 60 + '!': 1}}",
    ),
    "items that are all to differ": (
        "about({'type': 'array', 'uniqueItems': True})",
        "{'a': [{}] * 20_000}",
    ),
    "many items and many values": (
        "about({'items': {'enum': [{'v': n} for n in range(1_500)]}})",
        "{'a': [{'v': -1}] * 8_000}",
    ),
    "many items and many alternatives": (
        "about({'items': {'anyOf': [{'type': 'string'}] * 600}})",
        "{'a': [1] * 20_000}",
    ),
    "a long text that is quoted again and again": (
        "about({'allOf': [{'type': 'integer'}] * 600})",
        "{'a': 'x' * 65_000}",
    ),
}
PROGRAM = """
from ringback.tools.argument_check import ArgumentCheck
from gateway.conversation.tool_calls.arguments import ArgumentSchemas
from ringback.tools.spec import ToolSpec

def about(schema):
    return {"type": "object", "properties": {"a": schema}}

"""
ROUND = """
print(%r, flush=True)
schema, arguments = %s, %s
assert ArgumentCheck(schema).misfits(arguments) == []
assert ArgumentSchemas().refuse(ToolSpec("look", "Look.", schema), arguments) is None
"""


def test_no_schema_and_no_arguments_hold_up_a_process() -> None:
    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))

    rounds = [ROUND % (what, *texts) for what, texts in SLOW.items()]
    program = [sys.executable, "-c", "".join([PROGRAM, *rounds])]
    done = subprocess.run(program, preexec_fn=bounded, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"too much CPU, or worse: {done.stdout.splitlines()[-1:]} {done.stderr}"
