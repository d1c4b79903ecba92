"""Conversion of a tool's arguments and result: to typed values, and to JSON data for Postgres and the model."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, ItemsView, KeysView, Mapping, Sequence, ValuesView
from math import isfinite
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from ringback.errors import ToolError
from ringback.tools import misfits
from ringback.tools.argument_check import ArgumentCheck
from ringback.tools.decorator import Tool

MAX_RESULT_BYTES = 256 * 1024
"""Most bytes of a result, as JSON. The model reads 16,000 characters of it, the history keeps the rest."""
MAX_NOTE_CHARS = 200
"""Most characters of a progress note: a few words."""
MAX_SUMMARY_BYTES = 200
"""Most bytes of a call's summary: a line of a list."""

_MISSING = frozenset({"NAType", "NaTType"})
"""Pandas' types of a missing value."""
_SURROGATES = dict.fromkeys([0, *range(0xD800, 0xE000)])

EXITS = (SystemExit, GeneratorExit)
"""What code of a tool must not raise through its call; a KeyboardInterrupt is a person's."""

logger = logging.getLogger(__name__)


def clean_text(text: str) -> str:
    """Remove what Postgres refuses in text: NUL, and halves of surrogate pairs."""
    return text.translate(_SURROGATES)


def one_line(text: str, redact: Callable[[str], str]) -> str:
    """Return the text on one line, of at most `MAX_SUMMARY_BYTES`; a character is kept whole or not at all.

    Args:
        redact: what no row may show. It gets the line as the row would show it, and whole: half a card number is none.
    """
    words = redact(" ".join(clean_text(text).split()))
    cut = words.encode()[:MAX_SUMMARY_BYTES].decode(errors="ignore")
    return cut if cut == words else f"{cut.encode()[: MAX_SUMMARY_BYTES - 3].decode(errors='ignore')}…"


def arguments_for(tool: Tool, arguments: Any) -> dict[str, Any]:
    """Return the keyword arguments of the function, checked and typed.

    Raises:
        ToolError: they do not fit; the text names each field and what is wrong with it.
    """
    if tool.arguments is None:
        found = misfits.of_schema(ArgumentCheck(tool.announcement.parameters).misfits(arguments))
        if found:
            raise ToolError(misfits.sentence(found), code="invalid_arguments")
        return dict(arguments)
    try:
        model = tool.arguments.model_validate(arguments)
    except ValidationError as problem:
        raise ToolError(misfits.sentence(misfits.of_model(problem)), code="invalid_arguments") from None
    return {name: getattr(model, name) for name in type(model).model_fields}


def fits(parameters: dict[str, Any], arguments: Any) -> bool:
    """Return true if the arguments fit the JSON schema of some worker's tool, as far as `ArgumentCheck` checks it."""
    return not ArgumentCheck(parameters).misfits(arguments)


def as_data(result: Any, tool: str = "of no name") -> Any:
    """Convert a result to JSON data: pydantic models, dataclasses, dates, arrays and the like.

    JSON has no NaN and no infinity: each becomes null, and the log counts them.

    Raises:
        ToolError: it is not data ("bad_result"), or too much of it ("result_too_large").
    """
    lost: list[float] = []
    try:
        data = _clean(to_jsonable_python(_plain(result), fallback=_of_other_kinds), lost)
        size = len(json.dumps(data, ensure_ascii=False, allow_nan=False).encode())
    except (Exception, *EXITS) as problem:
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
    if lost:
        logger.warning("result changed (tool %s): %d numbers are NaN or infinite, and become null", tool, len(lost))
    return data


def _plain(value: Any) -> Any:
    """Replace what pydantic refuses a whole result for: halves of characters in keys, and missing values of pandas."""
    if isinstance(value, dict):
        return {clean_text(key) if isinstance(key, str) else key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if type(value).__name__ in _MISSING else value


def _of_other_kinds(value: Any) -> Any:
    """Convert arrays and scalars of numpy and its like, and containers that pydantic does not know."""
    if callable(to_list := getattr(value, "tolist", None)):
        return _plain(to_list())
    if isinstance(value, Mapping):
        return _plain(dict(value))
    if isinstance(value, KeysView | ValuesView | ItemsView | Sequence):
        return _plain(list(value))
    raise TypeError(f"{type(value).__name__} is no data")


def _clean(data: Any, lost: list[float]) -> Any:
    if isinstance(data, str):
        return clean_text(data)
    if isinstance(data, float) and not isfinite(data):
        return lost.append(data)
    if isinstance(data, list):
        return [_clean(part, lost) for part in data]
    if isinstance(data, dict):
        return {clean_text(key): _clean(value, lost) for key, value in data.items()}
    return data
