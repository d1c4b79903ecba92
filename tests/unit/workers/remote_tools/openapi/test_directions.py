"""A model is not asked for read-only properties, and is told which are deprecated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from workers.remote_tools.openapi.operations import document_in, operation
from workers.remote_tools.openapi.request import request_for
from workers.remote_tools.schemas import inline_references

TEXT = {"type": "string"}
SET_BY_IT = {"type": "integer", "readOnly": True}
WEIGHT = {"weight": {"type": "number"}}

SHIP = """
openapi: 3.0.3
info: {title: ship, version: 1.0.0}
paths:
  /quotes:
    get:
      operationId: quote
      summary: What sending a parcel to a country costs.
      parameters:
        - {name: country, in: query, required: true, schema: {type: string, enum: [SE, NO, DK]}}
        - {name: since, in: query, deprecated: true, schema: {type: string, format: date, default: 2024-01-01}}
      responses: {200: {description: ok}}
  /parcels:
    post:
      operationId: createParcel
      summary: Register a parcel.
      requestBody:
        required: true
        content:
          application/json:
            schema: {$ref: '#/components/schemas/Parcel'}
      responses: {201: {description: ok}}
components:
  schemas:
    Id: {type: integer, readOnly: true}
    Parcel:
      type: object
      required: [id, weight, created_at]
      properties:
        id: {$ref: '#/components/schemas/Id'}
        created_at: {type: string, format: date-time, readOnly: true}
        weight: {type: number}
        note: {type: string}
"""


@pytest.fixture
def ship(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "ship.yaml"
    path.write_text(SHIP, encoding="utf-8")
    return document_in(path)


def test_a_country_is_a_text_and_a_date_as_well(ship: dict[str, Any]) -> None:
    properties = operation(ship, "quote").schema["properties"]
    assert properties["country"]["enum"] == ["SE", "NO", "DK"]
    assert properties["since"] == {**TEXT, "format": "date", "default": "2024-01-01", "description": "Deprecated."}
    assert request_for(operation(ship, "quote"), {"country": "NO"}).target == "/quotes?country=NO"


def test_what_is_read_only_is_not_asked_for_although_it_is_required(ship: dict[str, Any]) -> None:
    schema = operation(ship, "createParcel").schema
    assert schema["properties"] == {**WEIGHT, "note": TEXT}
    assert schema["required"] == ["weight"]
    assert schema["additionalProperties"] is False


HIDDEN: tuple[tuple[Any, Any], ...] = (
    # In an object inside of another one, and in a list of them.
    (
        {"properties": {"parcel": {"properties": {"id": SET_BY_IT, **WEIGHT}, "required": ["id"]}}},
        {"properties": {"parcel": {"properties": WEIGHT, "required": []}}},
    ),
    (
        {"items": {"properties": {"id": SET_BY_IT, **WEIGHT}, "required": ["id", "weight"]}},
        {"items": {"properties": WEIGHT, "required": ["weight"]}},
    ),
    # Where another part of the same object requires it, or says that it is read only.
    (
        {"allOf": [{"properties": {"id": SET_BY_IT}}, {"properties": WEIGHT, "required": ["id"]}]},
        {"allOf": [{"properties": {}}, {"properties": WEIGHT, "required": []}]},
    ),
    (
        {"properties": {"id": {"type": "integer"}, **WEIGHT}, "allOf": [{"properties": {"id": SET_BY_IT}}]},
        {"properties": WEIGHT, "allOf": [{"properties": {}}]},
    ),
    (
        {"properties": {"id": {"allOf": [{"type": "integer"}], "readOnly": True}}},
        {"properties": {}},
    ),
    (
        {"allOf": [{"properties": {"id": SET_BY_IT}}], "anyOf": [{"required": ["id"]}, {"required": ["weight"]}]},
        {"allOf": [{"properties": {}}], "anyOf": [{"required": []}, {"required": ["weight"]}]},
    ),
    # A property of that name elsewhere is another one.
    (
        {"properties": {"id": SET_BY_IT, "of": {"properties": {"id": TEXT}, "required": ["id"]}}},
        {"properties": {"of": {"properties": {"id": TEXT}, "required": ["id"]}}},
    ),
    (
        {"properties": {"a": {**TEXT, "readOnly": False}, "b": {**TEXT, "writeOnly": True}}},
        {"properties": {"a": TEXT, "b": TEXT}},
    ),
)


@pytest.mark.parametrize(("written", "told"), HIDDEN)
def test_it_is_left_out_wherever_it_stands(written: Any, told: Any) -> None:
    assert inline_references(written, {}, for_request=True) == told


def test_the_schema_of_a_function_elsewhere_has_no_direction() -> None:
    assert inline_references({"properties": {"id": SET_BY_IT}}, {})["properties"] == {"id": {"type": "integer"}}
