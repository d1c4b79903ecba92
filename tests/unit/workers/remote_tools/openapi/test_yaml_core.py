"""YAML is read as OpenAPI and scenario files mean it: the core schema of YAML 1.2, by both readers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from simulator.scripting import yaml_core as simulators
from workers.remote_tools.openapi import yaml_core as workers

Load = Callable[[str], Any]


@pytest.fixture(params=[workers.load, simulators.load], ids=["workers", "simulator"])
def load(request: pytest.FixtureRequest) -> Load:
    reader: Load = request.param
    return reader


def test_countries_switches_times_and_dates_are_texts(load: Load) -> None:
    texts = ["SE", "NO", "no", "yes", "Yes", "on", "OFF", "y", "n", "12:30", "1:20:30", "2024-01-01", "1_000", "0b11"]
    texts += ["2024-01-01T10:00:00Z", "=", "1.0.0", "nullable", "0o9", "0xyz", "+", "."]
    assert load(f"[{', '.join(texts)}]") == texts


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("012", 12),
        ("-7", -7),
        ("0o14", 12),
        ("0x1F", 31),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("'true'", "true"),
        ("!!str 12", "12"),
        ("!!int '12'", 12),
    ],
)
def test_what_json_has_is_what_json_has(load: Load, written: str, value: Any) -> None:
    assert load(f"a: {written}") == {"a": value}


def test_fields_are_named_as_they_are_written(load: Load) -> None:
    assert load("{200: a, on: b, null: c, 1.10: d, NO: e}") == {
        "200": "a",
        "on": "b",
        "null": "c",
        "1.10": "d",
        "NO": "e",
    }


def test_a_merge_is_a_merge_also_of_what_was_merged(load: Load) -> None:
    text = "one: &one {x: 1}\ntwo: &two {<<: *one, x: 2, y: 2}\nthree: {<<: *two, x: 3}\nagain: *two"
    found = load(text)
    assert found["three"] == {"x": 3, "y": 2}
    assert found["again"] == {"x": 2, "y": 2}


@pytest.mark.parametrize(
    "text",
    [
        "get: 1\nget: 2",
        "1: a\n'1': b",
        "? [1]\n: 2",
        "a: !!timestamp 2024-01-01",
        "a: !!binary aGk=",
        "!!set {a}",
        "a: !!python/object:os.system x",
        "a: " + "9" * 5_000,
        "a: 1\n---\nb: 2",
        "a: [",
    ],
)
def test_what_json_cannot_hold_and_what_stands_twice_is_refused(load: Load, text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        load(text)
