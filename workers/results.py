"""What a tool returned, as data that Postgres can keep and a model can read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from ringback.errors import ToolError
from ringback.tools import Tool

MAX_RESULT_BYTES = 256 * 1024
"""As JSON. The model reads 16,000 characters of it; the history keeps the rest, and a row should stay a row."""
MAX_NOTE_CHARS = 200
"""A progress note: a few words."""
MAX_COMPLAINTS = 8
"""Misfits that are named: with more of them, what to do would not fit into the message."""
MAX_FIELD_CHARS = 40
MAX_COMPLAINT_CHARS = 70
"""A misfit that cites a long value says nothing more by it."""

_SURROGATES = dict.fromkeys([0, *range(0xD800, 0xE000)])


def clean_text(text: str) -> str:
    """Without what Postgres refuses in text: NUL, and halves of surrogate pairs."""
    return text.translate(_SURROGATES)


def arguments_for(tool: Tool, arguments: Any) -> dict[str, Any]:
    """The keyword arguments of the function, checked and typed.

    Raises:
        ToolError: they do not fit; the text names each field and what is wrong with it.
    """
    if tool.arguments is None:
        misfit = best_match(Draft202012Validator(tool.announcement.parameters).iter_errors(arguments))
        if misfit is not None:
            raise ToolError(_complain([(misfit.absolute_path, misfit.message)]), code="invalid_arguments")
        return dict(arguments)
    try:
        model = tool.arguments.model_validate(arguments)
    except ValidationError as problem:
        raise ToolError(_complaint(problem), code="invalid_arguments") from None
    return {name: getattr(model, name) for name in type(model).model_fields}


def as_data(result: Any) -> Any:
    """JSON data: pydantic models, dataclasses, dates and the like become what JSON has for them.

    Raises:
        ToolError: it is not data ("bad_result"), or too much of it ("result_too_large").
    """
    try:
        data = _clean(to_jsonable_python(result))
        size = len(json.dumps(data, ensure_ascii=False, allow_nan=False).encode())
    except Exception as problem:
        sentence = (
            f"The function finished, but what it returned ({type(result).__name__}) is no data, so its result is not "
            "known. Say so; do not call it again."
        )
        raise ToolError(sentence, code="bad_result") from problem
    if size > MAX_RESULT_BYTES:
        raise ToolError(
            f"The function finished, but its result is too large ({size} bytes, at most {MAX_RESULT_BYTES}). "
            "Ask for less if it can be asked for less; otherwise do not call it again.",
            code="result_too_large",
        )
    return data


def _complaint(problem: ValidationError) -> str:
    errors = problem.errors(include_url=False, include_context=False, include_input=False)
    return _complain((error["loc"], error["msg"]) for error in errors)


def _complain(misfits: Iterable[tuple[Iterable[str | int], str]]) -> str:
    told = [
        f"{_short('.'.join(map(str, where)) or 'arguments', MAX_FIELD_CHARS)}: {_short(what, MAX_COMPLAINT_CHARS)}"
        for where, what in misfits
    ]
    more = [f"and {len(told) - MAX_COMPLAINTS} more"] if len(told) > MAX_COMPLAINTS else []
    fields = "; ".join(told[:MAX_COMPLAINTS] + more)
    return f"The arguments do not fit: {fields}. Correct them and call the function again."


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _clean(data: Any) -> Any:
    if isinstance(data, str):
        return clean_text(data)
    if isinstance(data, list):
        return [_clean(part) for part in data]
    if isinstance(data, dict):
        return {clean_text(key): _clean(value) for key, value in data.items()}
    return data
