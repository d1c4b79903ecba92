"""Tables of a TOML file as types, and one sentence about the first error in one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

MAX_LISTED = 12
"""Most keys that one sentence lists."""


class Table(BaseModel):
    """Table whose keys and types are checked strictly: neither true nor "1" is a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def shape(value: object) -> str:
    """Return the pydantic tag that tells a table from a plain value."""
    return "<table>" if isinstance(value, dict | BaseModel) else "<word>"


BY_SHAPE = Discriminator(shape)
"""Discriminator of a union. A tag in angle brackets appears in no sentence."""


def tag_of_type(value: object) -> str | None:
    """Return the pydantic tag for a table's `type`; None if it has none."""
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>" if isinstance(kind, str) else None


def belongs_elsewhere(key: str, why: str) -> PydanticCustomError:
    """Return the error about a key that a reader may expect in this table."""
    return PydanticCustomError("elsewhere", "{why}", {"key": key, "why": why})


def complaint(model: type[BaseModel], problem: ValidationError) -> str:
    """Return one sentence about the first error: where it is, with dots, and what to do.

    An unknown key comes before a missing one: usually it is the same key, misspelt.
    """
    first = min(problem.errors(), key=lambda each: each["type"] != "extra_forbidden")
    parts = [part for part in first["loc"] if not str(part).startswith("<")]
    if first["type"] == "elsewhere":
        parts.append(first["ctx"]["key"])
    where = _dotted(parts)
    match first["type"]:
        case "extra_forbidden":
            return f"{where}: is not known here{_meant(model, parts[:-1], str(parts[-1]))}"
        case "missing":
            return f"{where}: is missing"
        case "list_type" if isinstance(first["input"], dict):
            return f"{where}: write a list of tables: [[{where}]]"
        case "tuple_type" | "list_type":
            return f'{where}: write a list, such as {parts[-1]!s} = ["…"]'
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"{where}: write a table, such as [{where}]"
    said = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {said}" if where else said


def keys_of(model: type[BaseModel]) -> list[str]:
    """Return the keys of a table, in the order of the code."""
    return [key for key, _ in _fields(model)]


def known_keys(model: type[BaseModel], path: list[int | str]) -> list[str]:
    """Return the keys of the table at this path."""
    found = [model]
    for part in path:
        if isinstance(part, str):
            fields = [field for each in found for key, field in _fields(each) if key == part]
            found = [inner for field in fields for inner in _tables(field.annotation)]
    return sorted({key for each in found for key, _ in _fields(each)})


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield field.alias or name, field


def _tables(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _tables(inner)


def _dotted(parts: list[int | str]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")


def _meant(model: type[BaseModel], path: list[int | str], key: str) -> str:
    """Say where a key belongs: the most similar one in this table, or the same one in another."""
    known = known_keys(model, path)
    if key in known:
        return " with this `type`; another has it"
    elsewhere = [where for where in paths(model) if where.rpartition(".")[2] == key]
    near = [*elsewhere, *difflib.get_close_matches(key, known, n=1)]
    if near:
        return f": did you mean {near[0]}?"
    return f"; there are {', '.join(known)}" if len(known) <= MAX_LISTED else "; docs/agents.md lists what is"


def paths(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Yield the dotted name of every key, followed by those of the tables in it."""
    for key, field in _fields(model):
        yield above + key
        for inner in _tables(field.annotation):
            yield from paths(inner, f"{above}{key}.")
