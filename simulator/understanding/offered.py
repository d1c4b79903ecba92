"""The tools of a session as a listener sees them: their names, what they are for, what each parameter takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from simulator.understanding.spoken import words

_QUOTED = re.compile(r"[\"“`]([^\"”`]{1,40})[\"”`]|\b(?:such as|e\.g\.|like|example:?) ([\w-]*\d[\w-]*)")
# Words that say nothing about which tool is meant.
IDLE = frozenset(
    re.findall(
        r"[a-z']+",
        "a an the this that these those it its is are was be am do does did can could would will shall "
        "may i me my mine we our us you your he she they of in on at to for from with by and or not no "
        "yes please what which who where when why how want like need get give tell show use call run say "
        "look up find check let have has there here about some any much many long hello hi thanks thank "
        "now just again",
    )
)
# Parts of a parameter's name that callers leave out: "order" is enough for `order_id`.
GENERIC = frozenset({"id", "number", "name", "code", "key", "value", "text", "date"})


@dataclass(frozen=True)
class Parameter:
    """One parameter: its name as words, its JSON type, and what is known of its values."""

    name: str
    words: tuple[str, ...]
    kind: str = "string"
    required: bool = False
    choices: tuple[Any, ...] = ()
    pattern: str | None = None
    format: str | None = None
    examples: tuple[str, ...] = ()
    items: str = "string"

    @property
    def has_ids(self) -> bool:
        """Whether its values are written in one way, such as A-1042: by a pattern, or by an example with digits."""
        shaped = any(" " not in each and any(map(str.isdecimal, each)) for each in self.examples)
        return self.kind == "string" and self.format is None and (self.pattern is not None or shaped)

    @property
    def is_text(self) -> bool:
        """Whether any words are a value."""
        return self.kind == "string" and not (self.choices or self.format or self.has_ids)

    @property
    def spoken(self) -> str:
        """The name as it is said: ``order_id`` is "order id"."""
        return " ".join(self.words)


@dataclass(frozen=True)
class Offered:
    """One tool."""

    name: str
    words: tuple[str, ...]
    purpose: str
    about: frozenset[str]
    parameters: tuple[Parameter, ...]

    @property
    def spoken(self) -> str:
        """The name as it is said: ``lookup_invoice`` is "lookup invoice"."""
        return " ".join(self.words)


def offered(tools: Iterable[Mapping[str, Any]]) -> list[Offered]:
    """Return the functions among a session's tools; what is no object is read as nothing."""
    functions = (tool for tool in tools if tool.get("type") == "function" and tool.get("name"))
    return [_offered(tool) for tool in functions]


def _offered(tool: Mapping[str, Any]) -> Offered:
    description = str(tool.get("description") or "").strip()
    purpose = re.split(r"(?<=[.!?:])\s", description)[0].rstrip(".:") if description else ""
    schema = _mapping(tool.get("parameters"))
    required = schema.get("required") or ()
    parameters = (
        _parameter(str(name), _mapping(inner), name in required)
        for name, inner in _mapping(schema.get("properties")).items()
    )
    about = frozenset(stem(word.normal) for word in words(purpose)) - IDLE
    return Offered(str(tool["name"]), name_words(str(tool["name"])), purpose, about, tuple(parameters))


def _parameter(name: str, schema: Mapping[str, Any], required: bool) -> Parameter:
    known = dict(schema)
    variants = [_mapping(each) for each in known.get("anyOf") or known.get("oneOf") or ()]
    known |= next((each for each in variants if each.get("type") != "null"), {})
    kind = known.get("type", "string")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "string")
    told = str(schema.get("description") or "")
    examples = (*map(str, known.get("examples") or ()), *(one or other for one, other in _QUOTED.findall(told)))
    return Parameter(
        name,
        name_words(name),
        str(kind),
        required and "default" not in known,
        tuple(choice for choice in known.get("enum") or () if choice is not None),
        known.get("pattern") if isinstance(known.get("pattern"), str) else None,
        str(known["format"]) if known.get("format") else _guessed_format(name, told, examples),
        examples,
        str(_mapping(known.get("items")).get("type", "string")),
    )


def _guessed_format(name: str, description: str, examples: Sequence[str]) -> str | None:
    """Return the format that the name, the description or an example tells of, where the schema has none."""
    if {"url", "uri", "link"} & set(name_words(name)) or "http" in description:
        return "uri"
    if "email" in name_words(name) or "mail" in name_words(name):
        return "email"
    kinds = (("clock", r"\d\d?:\d\d"), ("date", r"\d{4}-\d\d-\d\d|YYYY-MM-DD"))
    return next((kind for kind, form in kinds if any(re.fullmatch(form, each) for each in examples)), None)


def name_words(name: str) -> tuple[str, ...]:
    """Return an identifier as words: "orderStatus" and "order_status" are "order", "status"."""
    spaced = re.sub(r"(?<=[a-z\d])(?=[A-Z])|[\W_]+", " ", name)
    return tuple(spaced.lower().split())


def stem(word: str) -> str:
    """Return a word without its ending: "orders", "ordering" and "ordered" are "order"."""
    word = word.removesuffix("'s")
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word.removesuffix(ending) + instead
    return word


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
