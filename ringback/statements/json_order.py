"""JSON columns that keep the order of names: a model writes arguments in the order in which it was shown them.

`jsonb` sorts the names in an object by length. So a `json` column with the suffix `_in_order` stands beside each of
these columns. The jsonb value counts: processes of an older version write only that.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Label, case, cast, type_coerce
from sqlalchemy.dialects.postgresql import JSON, JSONB

TEXT = JSON(none_as_null=True)
_BESIDE = "_in_order"


def in_order(column: Column[Any]) -> Label[Any]:
    """Return the value under the column's name, in its written order if that is known."""
    text = column.table.c[f"{column.name}{_BESIDE}"]
    return case((cast(text, JSONB) == column, text), else_=cast(column, TEXT)).label(column.name)


def with_order(column: Column[Any], value: Any) -> dict[str, Any]:
    """Return the values that set the column and the one beside it. The value travels once."""
    kind: Any = column.type
    text = type_coerce(value, JSON(none_as_null=kind.none_as_null))
    return {column.name: cast(text, JSONB), f"{column.name}{_BESIDE}": text}
