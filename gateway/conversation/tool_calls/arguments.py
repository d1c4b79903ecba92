"""Arguments of a call, as a model wrote them: parsed, made storable, and checked against the tool's schema."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from ringback.jobs.outcomes import Outcome, failed
from ringback.tools import misfits
from ringback.tools.argument_check import ArgumentCheck
from ringback.tools.spec import ToolSpec

MAX_ARGUMENTS_CHARS = 65_536
"""A model writes a few hundred; more is a fault of the model, and would fill the history."""
MAX_ARGUMENTS_DEPTH = 64
"""No call needs more, and each reader of the row would have to climb as deep."""
LARGEST_INTEGER = 2**64
"""As much as any database or language takes for a number; JSON itself knows no end."""
LARGEST_DIGITS = len(f"-{LARGEST_INTEGER}")


@dataclass(slots=True)
class ArgumentSchemas:
    """The schemas of one conversation's tools, each prepared once, and anew where a tool has changed."""

    _prepared: dict[str, tuple[ToolSpec, ArgumentCheck]] = field(default_factory=dict)

    def refuse(self, tool: ToolSpec, arguments: Any) -> Outcome | None:
        """Return why these arguments do not fit, in words that the model can act on; None if they fit.

        What is not checked here is for the tool to check (`ringback.tools.argument_check`).
        """
        found = misfits.of_schema(self._check(tool).misfits(arguments))
        return failed("invalid_arguments", misfits.sentence(found)) if found else None

    def _check(self, tool: ToolSpec) -> ArgumentCheck:
        prepared = self._prepared.get(tool.name)
        if prepared is None or prepared[0] != tool:
            prepared = self._prepared[tool.name] = tool, ArgumentCheck(tool.parameters)
        return prepared[1]


def parse(text: Any) -> tuple[Any, Outcome | None]:
    """Parse arguments: return the JSON object, or the text as it came and why it is none.

    Models and servers write "no arguments" as an empty text, white space, null, or an empty object.
    """
    if text is None:
        return {}, None
    if not isinstance(text, str):  # Some servers read them before they send them.
        text = json.dumps(text)
    if len(text) > MAX_ARGUMENTS_CHARS:
        return _storable(text[:MAX_ARGUMENTS_CHARS]), failed(
            "invalid_arguments", f"The arguments have {len(text)} characters; {MAX_ARGUMENTS_CHARS} is the limit."
        )
    try:
        arguments = _storable(_decode(text.strip() or "{}"))
    except (ValueError, RecursionError) as problem:
        return _storable(text), failed("invalid_arguments", f"The arguments are not JSON: {problem}. Call again.")
    if arguments is None:
        return {}, None
    if not isinstance(arguments, dict):
        return arguments, failed("invalid_arguments", "The arguments must be one JSON object. Call again.")
    return arguments, None


def _integer(text: str) -> int:
    # Python reads only so many digits, and tells its own programmer what to do about it.
    if len(text) > LARGEST_DIGITS or abs(number := int(text)) >= LARGEST_INTEGER:
        raise ValueError(f"{text[:24]}… is too large a number")
    return number


def _float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text[:24]} is no number that JSON can keep")
    return number


_decode = json.JSONDecoder(parse_int=_integer, parse_float=_float, parse_constant=_float).decode


def _storable(value: Any, depth: int = 0) -> Any:
    """Postgres keeps no NUL in JSON, and no half of a surrogate pair in any text."""
    if depth > MAX_ARGUMENTS_DEPTH:
        raise ValueError(f"nested deeper than {MAX_ARGUMENTS_DEPTH}")
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_storable(part, depth + 1) for part in value]
    if isinstance(value, dict):
        return {_storable(key): _storable(part, depth + 1) for key, part in value.items()}
    return value
