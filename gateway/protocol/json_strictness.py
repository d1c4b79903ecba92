"""JSON that two readers could understand in two ways, or that is built to cost more than it says.

One walk over the text, which stops at the first broken rule: it is linear, keeps nothing but the names of the objects
that are open, and knows no more of JSON than what names, texts, numbers and brackets look like. Whether the text is
JSON at all, the decoder says.
"""

from __future__ import annotations

import json
import math
import re
from typing import NamedTuple

MAX_DEPTH = 32
"""A session.update is five deep, and a tool's schema seldom more than ten: no reader of ours may run out of stack."""
MAX_NUMBER_CHARS = 40
"""More digits than a double has any use for; reading thousands of them takes quadratic time."""
MAX_PLAIN_DIGITS = 16
"""Below it there is nothing to look at."""
MAX_INTEGER = 2**63
"""From here on some readers round, and others fail."""
MAX_NAME_CHARS = 64
"""Of a name that is quoted in a refusal."""


class Broken(NamedTuple):
    """A rule of `gateway.protocol.rejections.RULES`, and how it is broken."""

    rule: str
    message: str


_MARK = re.compile(
    r"""
      "((?:[^"\\]++|\\.)*+)"?\s*+(:)?         # a text to its end; a name has a colon behind it
    | ([{\[]) | ([}\]]) | (,)
    | (-?[0-9][0-9.eE+-]*+|NaN|-?Infinity)
    """,
    re.DOTALL | re.VERBOSE,
)
_TEXT, _NAME, _OPENS, _CLOSES, _NEXT, _NUMBER = range(1, 7)
"""The last group of a match, which says what it is."""
_PLAIN = re.compile(r"""(?:[^\\]|\\["\\/]|\\u(?!00[0-7]))*+""", re.DOTALL)
"""Without escapes for what can be written as it is; outside ASCII many serializers escape everything."""


def broken_rule(text: str, max_values: int) -> Broken | None:
    """The first rule that the text breaks, or None. `max_values` bounds the members of all objects and lists."""
    if text.startswith("\ufeff"):
        return Broken("odd_escape", "The frame begins with a byte order mark: leave it out")
    if not text.isascii() and _halved(text):
        return Broken("odd_escape", "The frame holds half of a surrogate pair: send whole characters")
    return _walk(text, max_values)


def _walk(text: str, max_values: int) -> Broken | None:
    has_escapes = "\\" in text
    inside: list[set[str] | None] = []  # The names so far of each object that is open; None for a list.
    values, is_type, broken = 0, False, None
    for mark in _MARK.finditer(text):
        kind = mark.lastindex
        if kind == _NAME:
            broken, is_type = _named(mark[1], inside), mark[1] == "type"
        elif kind == _TEXT:
            broken = _escapes(mark[1], is_strict=is_type) if has_escapes else None
            is_type = False
        elif kind == _NUMBER:
            broken = _number(mark[0])
        elif kind == _CLOSES:
            del inside[-1:]
        else:
            if kind == _OPENS:
                inside.append(set() if mark[3] == "{" else None)
            values += 1
            broken = _too_much(values, max_values, len(inside))
        if broken is not None:
            return broken
    return None


def _too_much(values: int, max_values: int, depth: int) -> Broken | None:
    if values > max_values:
        return Broken("too_many_keys", f"The frame holds more than {max_values:,} values: send fewer at once")
    if depth > MAX_DEPTH:
        return Broken("too_deep", f"The frame is nested deeper than {MAX_DEPTH} levels: send a flatter one")
    return None


def _named(written: str, inside: list[set[str] | None]) -> Broken | None:
    if "\\" in written:
        broken = _escapes(written, is_strict=True)
        if broken is not None:
            return broken
        written = _meant(written)
    names = inside[-1] if inside else None
    if names is None:
        return None  # No JSON: the decoder says so.
    if written in names:
        return Broken("duplicate_key", f"{written[:MAX_NAME_CHARS]!r} stands twice in one object: send each name once")
    names.add(written)
    return None


def _escapes(written: str, *, is_strict: bool) -> Broken | None:
    if "\\" not in written:
        return None
    if is_strict and not _PLAIN.fullmatch(written):
        said = f"{written[:MAX_NAME_CHARS]!r} is written with an escape that it does not need: write it as it is"
        return Broken("odd_escape", said)
    meant = _meant(written) if "\\u" in written else ""
    if _halved(meant):
        return Broken("odd_escape", "A text holds half of a surrogate pair: send whole characters")
    if "\x00" in meant:
        return Broken("odd_escape", "A text holds the character NUL, which no database keeps: leave it out")
    return None


def _meant(written: str) -> str:
    try:
        meant: str = json.loads(f'"{written}"', strict=False)
    except ValueError:
        return written  # No JSON: the decoder says so.
    return meant


def _halved(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _number(mark: str) -> Broken | None:
    if len(mark) < MAX_PLAIN_DIGITS and mark.isdigit():
        return None
    quoted = mark[:MAX_NUMBER_CHARS]
    broken = Broken("number_out_of_range", f"{quoted} is no number that everybody reads alike: send a smaller one")
    if len(mark) > MAX_NUMBER_CHARS or mark.endswith(("N", "y")):
        return broken
    if mark.removeprefix("-").isdigit():
        return broken if abs(int(mark)) >= MAX_INTEGER else None
    try:
        return broken if math.isinf(float(mark)) else None
    except ValueError:
        return None  # No JSON: the decoder says so.
