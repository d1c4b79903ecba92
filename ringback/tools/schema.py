"""Conversion of a Python signature to the JSON schema that a model reads.

Types, defaults and constraints come from the annotations (pydantic), descriptions from the docstring (Google, NumPy or
reST style, read by docstring-parser); a nested model's docstring is read in the same way. The schema is flat, as the
Realtime API wants it: no `$ref` to follow, no titles, and `additionalProperties: false`, so that the model gets an
error for an invented argument.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Annotated, Any, get_args, get_type_hints

import docstring_parser
from docstring_parser import Docstring
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import PydanticJsonSchemaWarning
from pydantic_core import SchemaError

from ringback.errors import DeclarationError
from ringback.tools.call import Call
from ringback.tools.json_types import not_of_json
from ringback.tools.provider_schema import SchemaRefused, rewrite

MAX_DESCRIPTION_CHARS = 1_024
"""Every tool's text is in every prompt: instructions and tools share 16,384 tokens on gpt-realtime."""

_LITERAL = frozenset({"default", "const", "enum", "examples"})
"""The value under each of these is the author's data, not a schema."""
_OF_PYDANTIC = (PydanticSchemaGenerationError, PydanticUserError, PydanticJsonSchemaWarning, SchemaError)
_POSITIONAL = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.VAR_POSITIONAL,
    inspect.Parameter.VAR_KEYWORD,
)


def describe(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Return the description and those of the parameters from the docstring: `(description, {parameter:
    description})`.
    """
    parsed = docstring_parser.parse(inspect.getdoc(function) or "")
    return _text(parsed)[:MAX_DESCRIPTION_CHARS], {
        param.arg_name: (param.description or "").strip() for param in parsed.params if param.description
    }


def call_parameter(function: Callable[..., Any]) -> str | None:
    """Return the name of the parameter that takes the Call, or None if there is none."""
    hints = _hints(function)
    wanting = [name for name in inspect.signature(function).parameters if hints.get(name) is Call]
    if unsure := [name for name, hint in hints.items() if name != "return" and Call in get_args(hint)]:
        raise DeclarationError(f"{_name(function)}: write {unsure[0]}: Call; a tool is always given one.")
    if len(wanting) > 1:
        raise DeclarationError(f"{_name(function)}: one parameter may be a Call, not {len(wanting)}; keep one.")
    return wanting[0] if wanting else None


def arguments_model(function: Callable[..., Any]) -> type[BaseModel]:
    """Return a pydantic model of the arguments. Raises DeclarationError if a parameter cannot be described."""
    hints = _hints(function)
    _, descriptions = describe(function)
    call = call_parameter(function)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name == call:
            continue
        fields[name] = _field(function, parameter, hints, descriptions.get(name))
    stale = set(descriptions) - set(fields) - {call}
    if stale:
        raise DeclarationError(
            f"{_name(function)}: the docstring describes {', '.join(sorted(stale))}, which the signature lacks."
        )
    return _model(function, fields)


def parameters_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of the arguments, as `session.tools[].parameters` wants it (Realtime API).

    Raises:
        SchemaRefused: it cannot be offered to a model.
    """
    schema = rewrite(model.model_json_schema())
    definitions = schema.pop("$defs", {})
    return dict(_flatten(schema, definitions, ()))


def _field(
    function: Callable[..., Any],
    parameter: inspect.Parameter,
    hints: dict[str, Any],
    description: str | None,
) -> tuple[Any, Any]:
    if parameter.kind in _POSITIONAL:
        raise DeclarationError(f"{_name(function)}: a model names its arguments; replace {parameter} by named ones.")
    name = parameter.name
    if name not in hints:
        raise DeclarationError(f"{_name(function)}: give the parameter {name} a type, such as `: str`.")
    if name.startswith("_") or hasattr(BaseModel, name):
        raise DeclarationError(f"{_name(function)}: rename the parameter {name}: pydantic keeps that name for itself.")
    if isinstance(parameter.default, FieldInfo):
        raise DeclarationError(f"{_name(function)}: write {name}: Annotated[…, Field(…)], and the default after it.")
    default = ... if parameter.default is inspect.Parameter.empty else parameter.default
    # Without a description in the docstring, that of the annotation stands.
    return hints[name], Field(default, description=description) if description else default


def _model(function: Callable[..., Any], fields: dict[str, Any]) -> type[BaseModel]:
    try:
        model: type[BaseModel] = create_model(
            f"{_name(function)}_arguments", __config__=ConfigDict(extra="forbid"), **fields
        )
        with warnings.catch_warnings():
            warnings.simplefilter("error", PydanticJsonSchemaWarning)
            model.model_json_schema()
    except Exception as problem:  # A type of the author's own brings code that pydantic runs.
        lines = str(problem).splitlines() or [""]
        first = lines[0].partition(" Set `arbitrary_types_allowed")[0]  # no help here
        if isinstance(problem, SchemaError):  # of a pattern: where it stands comes first, and why last
            first = lines[-1].strip().removeprefix("error: ")
        reason = first if isinstance(problem, _OF_PYDANTIC) else f"{type(problem).__name__}: {first}"
        raise DeclarationError(
            f"{_name(function)}: a parameter's type cannot be told to a model: {reason}"
        ) from problem
    _check_types(function, model)
    _check_defaults(function, model)
    return model


def _check_types(function: Callable[..., Any], model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        if (found := not_of_json(Annotated[field.annotation, field])) is not None:
            kind = found.__name__ if isinstance(found, type) else found
            raise DeclarationError(
                f"{_name(function)}: only Python can give a value of {kind}, the type of {name}: take a type that JSON "
                "has, or Any where any JSON value will do."
            )


def _check_defaults(function: Callable[..., Any], model: type[BaseModel]) -> None:
    """Check the defaults at declaration: pydantic does not check an omitted argument at the call."""
    for name, field in model.model_fields.items():
        if field.is_required():
            continue
        default = field.get_default(call_default_factory=True, validated_data={})
        try:
            model.__pydantic_validator__.validate_assignment(model.model_construct(), name, default)
        except ValidationError:
            hint = "; add `| None` to it" if default is None else ""
            raise DeclarationError(
                f"{_name(function)}: the default of {name}, {default!r}, does not fit its type{hint}."
            ) from None


def _flatten(node: Any, definitions: dict[str, Any], path: tuple[str, ...]) -> Any:
    if isinstance(node, list):
        return [_flatten(part, definitions, path) for part in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        name = reference.removeprefix("#/$defs/")
        if name in path:
            raise SchemaRefused(f"the type {name} contains itself; a model needs a schema that ends")
        rest = {key: value for key, value in node.items() if key != "$ref"}
        # In this order: the field's own description replaces that of its model.
        return {**_flatten(definitions[name], definitions, (*path, name)), **_flatten(rest, definitions, path)}
    # A discriminator points into $defs, and the `const` of each member says the same.
    flat = {
        key: _part(key, value, definitions, path)
        for key, value in node.items()
        if key not in ("title", "discriminator")
    }
    return _told(flat) if "properties" in flat and isinstance(flat.get("description"), str) else flat


def _told(model: dict[str, Any]) -> dict[str, Any]:
    """Move descriptions from a nested model's docstring to its fields, unless a field has its own."""
    parsed = docstring_parser.parse(model["description"])
    words = {param.arg_name: param.description.strip() for param in parsed.params if param.description}
    if not words.keys() & model["properties"].keys():
        return model
    properties = {
        name: {"description": words[name], **schema} if name in words and isinstance(schema, dict) else schema
        for name, schema in model["properties"].items()
    }
    return {**model, "description": _text(parsed), "properties": properties}


def _text(parsed: Docstring) -> str:
    return "\n".join(part for part in (parsed.short_description, parsed.long_description) if part)


def _part(key: str, value: Any, definitions: dict[str, Any], path: tuple[str, ...]) -> Any:
    if key in _LITERAL:
        return value
    if key == "properties":  # A parameter may be called "title"; only pydantic's own titles go.
        return {name: _flatten(schema, definitions, path) for name, schema in value.items()}
    return _flatten(value, definitions, path)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as problem:  # A type that is written as text is evaluated only here.
        raise DeclarationError(
            f"{_name(function)}: {problem}; types of parameters must be importable where the tool is declared."
        ) from problem


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", "tool")
