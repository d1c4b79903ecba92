"""Misfits between arguments and a tool, told to a model: all at once, bounded, and in pydantic's words.

The gateway compares arguments with the tool's JSON schema, and the worker with the function's own types. The model
reads the same wording from both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from jsonschema.exceptions import ValidationError as SchemaMisfit
from pydantic import ValidationError

MAX_TOLD = 8
"""Misfits that are named: with more of them, what to do would not fit into the message."""
MAX_FOUND = 100
"""Misfits that are searched for: a list of thousands of wrong items is as wrong as one of a hundred."""
MAX_PLACE_CHARS = 40
MAX_WORDS_CHARS = 70
"""A long quoted value adds no information to a misfit."""

_KINDS = {
    "string": "a valid string",
    "integer": "a valid integer",
    "number": "a valid number",
    "boolean": "a valid boolean",
    "array": "a valid list",
    "object": "a valid dictionary",
    "null": "None",
}
_BOUNDS = {
    "minimum": "Input should be greater than or equal to {}",
    "maximum": "Input should be less than or equal to {}",
    "exclusiveMinimum": "Input should be greater than {}",
    "exclusiveMaximum": "Input should be less than {}",
    "multipleOf": "Input should be a multiple of {}",
    "minLength": "String should have at least {} characters",
    "maxLength": "String should have at most {} characters",
    "minItems": "List should have at least {} items",
    "maxItems": "List should have at most {} items",
    "minProperties": "Dictionary should have at least {} items",
    "maxProperties": "Dictionary should have at most {} items",
    "pattern": "String should match pattern {!r}",
}
_SHOULD_BE = "Input should be "
_CHOICES = ("const", "enum")
_INVENTED = "additionalProperties"


class Misfit(NamedTuple):
    """Misfit: where, why, and the keyword of the schema that says so."""

    place: tuple[str | int, ...]
    words: str
    keyword: str = ""


def of_schema(errors: Iterable[SchemaMisfit]) -> list[Misfit]:
    """Return what does not fit the schema, from its validator's errors; [] if all fits."""
    unique = dict.fromkeys(misfit for error in islice(errors, MAX_FOUND) for misfit in _of(error))
    return sorted(unique, key=lambda one: one.keyword == _INVENTED)  # These come last, as in pydantic.


def of_model(problem: ValidationError) -> list[Misfit]:
    """Return what does not fit the function's own types."""
    errors = problem.errors(include_url=False, include_context=False, include_input=False)
    return [Misfit(error["loc"], error["msg"]) for error in errors]


def told(misfits: Sequence[Misfit]) -> str:
    """Return them on one line, `city: Field required; days: …`."""
    lines = [
        f"{_short('.'.join(map(str, one.place)) or 'arguments', MAX_PLACE_CHARS)}: {_short(one.words, MAX_WORDS_CHARS)}"
        for one in misfits[:MAX_TOLD]
    ]
    more = [f"and {len(misfits) - MAX_TOLD} more"] if len(misfits) > MAX_TOLD else []
    return "; ".join(lines + more)


def sentence(misfits: Sequence[Misfit]) -> str:
    """Return what the model reads."""
    return f"The arguments do not fit: {told(misfits)}. Correct them and call the function again."


def _of(error: SchemaMisfit) -> Iterator[Misfit]:
    place, keyword = tuple(error.absolute_path), str(error.validator)
    value: Any = error.validator_value
    given: Any = error.instance
    schema: Any = error.schema
    if keyword == "required":
        yield from (Misfit((*place, name), "Field required", keyword) for name in value if name not in given)
    elif keyword == _INVENTED and value is False:
        for name in given:
            if name not in schema.get("properties", {}):
                yield Misfit((*place, name), "Extra inputs are not permitted", keyword)
    elif keyword in ("anyOf", "oneOf") and error.context:
        yield from _of_union(error, place)
    else:
        yield Misfit(place, _words(keyword, value) or error.message, keyword)


def _of_union(error: SchemaMisfit, place: tuple[str | int, ...]) -> list[Misfit]:
    """Return the misfits of the branch that was meant; if that is unclear, what each branch wants."""
    branches: dict[Any, list[Misfit]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.schema_path[0], []).extend(_of(inner))
    every: Any = error.validator_value
    nulls = [number for number, branch in enumerate(every) if branch == {"type": "null"}]
    wanted = [misfits for number, misfits in branches.items() if number not in nulls] or list(branches.values())

    def distance(misfits: list[Misfit]) -> tuple[bool, int, int]:
        is_another_kind = any(one.keyword == "type" and one.place == place for one in misfits)
        return is_another_kind, sum(one.keyword in _CHOICES for one in misfits), len(misfits)

    nearest = min(map(distance, wanted))
    meant = [misfits for misfits in wanted if distance(misfits) == nearest]
    first = meant[0][0]
    is_one_choice = all(len(misfits) == 1 and misfits[0].place == first.place for misfits in meant)
    if not is_one_choice:
        return meant[0]
    choices = list(dict.fromkeys(misfits[0].words.removeprefix(_SHOULD_BE) for misfits in meant))
    return [first._replace(words=_SHOULD_BE + _either(choices))] if len(choices) > 1 else [first]


def _words(keyword: str, value: Any) -> str:
    """Return what the keyword wants; "" if pydantic has no words for that."""
    if keyword == "type":
        kinds = [kind for kind in (value if isinstance(value, list) else [value]) if kind != "null" or value == kind]
        return _SHOULD_BE + _either([_KINDS[kind] for kind in kinds])
    if keyword == "enum":
        return _SHOULD_BE + _either([repr(choice) for choice in value])
    if keyword == "const":
        return f"{_SHOULD_BE}{value!r}"
    if keyword in _BOUNDS:
        words = _BOUNDS[keyword].format(value)
        return words.removesuffix("s") if value == 1 and keyword.endswith(("Length", "Items", "Properties")) else words
    return ""


def _either(choices: list[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}" if len(choices) > 1 else "".join(choices)


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
