"""JSON as it was written, names in their order: a model writes arguments in the order in which it was shown them.

`jsonb` sorts the names in an object by length, so a `json` column of the same name with `_in_order` behind it stands
beside each of these columns. The jsonb is what counts: processes of an older version write nothing else.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Label, case, cast, literal
from sqlalchemy.dialects.postgresql import JSON, JSONB

TEXT = JSON(none_as_null=True)
_BESIDE = "_in_order"


def in_order(column: Column[Any]) -> Label[Any]:
    """Return the value under its own name, as it was written where that is known."""
    text = column.table.c[f"{column.name}{_BESIDE}"]
    return case((cast(text, JSONB) == column, text), else_=cast(column, TEXT)).label(column.name)


def written(column: Column[Any], value: Any) -> dict[str, Any]:
    """Return what sets the column and the one beside it."""
    return {column.name: literal(value, column.type), f"{column.name}{_BESIDE}": literal(value, TEXT)}
