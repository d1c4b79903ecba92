"""Types that no JSON value stands for: a model could send any value for such a parameter, and the function gets it.

Pydantic describes `object`, an unbound TypeVar, `type[X]` or a class with its own validator as `{}`, like `Any`. With
`Any` and `JsonValue` an author says that any JSON value will do; only Python can give the others.
"""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import Annotated, Any, Literal, NotRequired, Required, get_args, get_origin, get_type_hints

from pydantic import BaseModel, JsonValue, TypeAdapter

_WORDS = {"title", "description", "default", "examples", "deprecated"}


def not_of_json(hint: Any) -> Any | None:
    """Return the first type in the annotation that only Python can give; None if there is none."""
    return _search(hint, [])


def _search(hint: Any, seen: list[Any]) -> Any | None:
    if get_origin(hint) in (Required, NotRequired):
        hint = get_args(hint)[0]
    if hint is Any or hint is JsonValue or hint in seen:
        return None
    seen.append(hint)
    is_told = _is_told(hint)
    if get_origin(hint) is Annotated:
        inner = get_args(hint)[0]
        if is_told and not _is_told(inner):
            return None  # the text beside the type describes it
        return _search(inner, seen) or (None if is_told or inner in (Any, JsonValue) else hint)
    if not is_told:
        return hint
    return next((found for part in _parts(hint) if (found := _search(part, seen)) is not None), None)


def _is_told(hint: Any) -> bool:
    """Return true if pydantic's schema tells a model anything of the type."""
    try:
        return bool(TypeAdapter(hint).json_schema().keys() - _WORDS)
    except Exception:  # The type stands within one that pydantic can describe, whose description covers it.
        return False


def _parts(hint: Any) -> list[Any]:
    """Return the types that a type is made of."""
    if get_origin(hint) is Literal:
        return []
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return [Annotated[field.annotation, field] for field in hint.model_fields.values()]
    if is_dataclass(hint) or hasattr(hint, "__required_keys__") or hasattr(hint, "_fields"):
        return list(get_type_hints(hint, include_extras=True).values())
    alias = getattr(hint, "__value__", None)  # of `type Name = …`
    return [alias] if alias is not None else [part for part in get_args(hint) if part is not Ellipsis]
