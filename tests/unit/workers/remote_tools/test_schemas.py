"""An outside schema is told in full, and is harmless to check arguments against."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.tools.provider_schema import SchemaRefused
from workers.remote_tools.schemas import inline_references, resolve_reference

TEXT = {"type": "string"}
TREE = "#/components/schemas/Tree"
DOCUMENT = {
    "components": {
        "schemas": {
            "Text": TEXT,
            "Both/Slash": {"type": "integer"},
            "Tree": {
                "type": "object",
                "properties": {"leaf": {"$ref": "#/components/schemas/Text"}, "inner": {"$ref": TREE}},
            },
            "Loop": {"$ref": "#/components/schemas/Loop"},
        }
    },
    "many": [TEXT, {"$anchor": "word", **TEXT}],
    "a name": {"$dynamicAnchor": "node", "properties": {"next": {"$dynamicRef": "#node"}}},
}


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"$ref": "#/components/schemas/Text"}, TEXT),
        ({"$ref": "#/components/schemas/Both~1Slash"}, {"type": "integer"}),
        ({"$ref": "#/many/0"}, TEXT),
        ({"$ref": "#/components/schemas/Text", "description": "a word"}, {**TEXT, "description": "a word"}),
        ({"$ref": "#word"}, TEXT),
        ({"$dynamicRef": "#node"}, {"properties": {"next": {}}}),
        # Keywords beside a reference hold too.
        (
            {"$ref": "#/components/schemas/Tree", "properties": {"more": TEXT}, "description": "a tree"},
            {
                "description": "a tree",
                "allOf": [
                    {"type": "object", "properties": {"leaf": TEXT, "inner": {}}},
                    {"properties": {"more": TEXT}},
                ],
            },
        ),
        ({"$ref": "#/components/schemas/Text", "type": "string", "maxLength": 3}, {**TEXT, "maxLength": 3}),
        # A schema that contains itself ends where it does.
        ({"$ref": TREE}, {"type": "object", "properties": {"leaf": TEXT, "inner": {}}}),
        ({"$ref": "#/components/schemas/Loop"}, {}),
        # Names are not keywords, values are not schemas.
        ({"properties": {"title": TEXT, "$ref": TEXT}}, {"properties": {"title": TEXT, "$ref": TEXT}}),
        ({"enum": [{"$ref": "x"}], "default": {"title": 1}}, {"enum": [{"$ref": "x"}], "default": {"title": 1}}),
        ({"title": "T", "$schema": "x", "x-y": 1, "$id": "z", "example": 1, "readOnly": True}, {}),
        # Regular expressions are described, and not run.
        ({**TEXT, "pattern": "^(a+)+$"}, {**TEXT, "description": "Must match ^(a+)+$"}),
        (
            {**TEXT, "pattern": "^a$", "description": "one\n  letter."},
            {**TEXT, "description": "one letter. Must match ^a$"},
        ),
        ({"patternProperties": {"(a+)+": {}}, "additionalProperties": False}, {"additionalProperties": True}),
        # Looser, never stricter.
        ({"oneOf": [TEXT, {"type": "null"}]}, {"anyOf": [TEXT, {"type": "null"}]}),
        ({"not": {"pattern": "x"}, "if": {"pattern": "x"}, "then": False}, {}),
        ({"items": [TEXT], "additionalItems": False}, {"prefixItems": [TEXT], "items": False}),
        ({"items": [TEXT]}, {"prefixItems": [TEXT], "items": True}),
        # As OpenAPI 3.0 writes it.
        ({**TEXT, "nullable": True}, {"type": ["string", "null"]}),
        ({**TEXT, "nullable": True, "enum": ["a"]}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"nullable": True, "type": ["string", "integer"]}, {"type": ["string", "integer", "null"]}),
        ({"nullable": True, "type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"nullable": True, "enum": ["a"]}, {"enum": ["a", None]}),
        ({"nullable": True, "$ref": "#/components/schemas/Text"}, {"type": ["string", "null"]}),
        (
            {"nullable": True, "description": "a tree", "allOf": [{"$ref": "#/components/schemas/Text"}]},
            {"anyOf": [{"allOf": [TEXT]}, {"type": "null"}], "description": "a tree"},
        ),
        ({"nullable": True, "oneOf": [TEXT]}, {"anyOf": [{"anyOf": [TEXT]}, {"type": "null"}]}),
        ({"nullable": False, "$ref": "#/components/schemas/Text"}, TEXT),
        ({"minimum": 0, "exclusiveMinimum": True}, {"exclusiveMinimum": 0}),
        ({"maximum": 9, "exclusiveMaximum": False}, {"maximum": 9}),
        ({"exclusiveMaximum": 9}, {"exclusiveMaximum": 9}),
        ({"type": ["string", "null"], "enum": ["a", None]}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({**TEXT, "default": 1.1}, TEXT),
        ({"required": [["a"], 1]}, {"required": [["a"], 1]}),
        ({**TEXT, "deprecated": True, "description": "old"}, {**TEXT, "description": "Deprecated. old"}),
        ({"description": "x" * 400}, {"description": "x" * 300}),
        (True, True),
    ],
)
def test_a_schema_is_told_without_what_points_elsewhere_or_is_not_checked(schema: Any, told: Any) -> None:
    assert inline_references(schema, DOCUMENT) == told


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"$ref": "http://169.254.169.254/x"}, "outside of it"),
        ({"$ref": "other.yaml#/a"}, "outside of it"),
        ({"$ref": "#/components/schemas/None"}, "which is not there"),
        ({"$ref": "#/many/2"}, "which is not there"),
        ({"$ref": "#another"}, "refers to #another, which is not there"),
        ({**TEXT, "enum": ["1.0", 1.1]}, "names 1.1 as a value; put that into quotes"),
        ({**TEXT, "const": 1}, "names 1 as a value"),
        ({"items": "text"}, "'text' stands where a schema should"),
    ],
)
def test_a_schema_that_cannot_be_told_is_refused(schema: Any, why: str) -> None:
    with pytest.raises(SchemaRefused, match=why):
        inline_references(schema, DOCUMENT)


def test_references_that_stand_for_a_schema_without_end_are_refused() -> None:
    """Each level holds the one before ten times."""
    levels = {"0": TEXT} | {
        str(n): {"properties": {str(i): {"$ref": f"#/{n - 1}"} for i in range(10)}} for n in range(1, 12)
    }
    with pytest.raises(SchemaRefused, match="more than 20000 parts"):
        inline_references({"$ref": "#/11"}, levels)


def test_a_whole_document_is_pointed_at_by_its_root() -> None:
    assert resolve_reference("#", DOCUMENT) is DOCUMENT


def test_a_schema_that_is_nested_without_an_end_is_refused() -> None:
    nested: dict[str, Any] = {}
    nested["items"] = nested
    with pytest.raises(SchemaRefused, match="nested too deeply"):
        inline_references(nested, DOCUMENT)


def test_references_to_what_is_read_only_are_followed_only_so_often() -> None:
    """Each level holds the one before twice."""
    levels = {"0": TEXT} | {str(n): {"allOf": [{"$ref": f"#/{n - 1}"}] * 2} for n in range(1, 30)}
    with pytest.raises(SchemaRefused, match="more than 20000 parts"):
        inline_references({"properties": {"a": {"$ref": "#/29"}}}, levels, for_request=True)
