"""JSON that two readers could understand in two ways, or that is built to cost more than it says.

One walk over the text, which stops at the first broken rule: it is linear, keeps nothing but the names of the objects
that are open, and knows no more of JSON than where names, values and objects begin. Whether the text is JSON at all,
the decoder says.
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
MAX_INTEGER = 2**63
"""From here on some readers round, and others fail."""
MAX_NAME_CHARS = 64
"""Of a name that is quoted in a refusal."""


class Broken(NamedTuple):
    """A rule of `gateway.policy.refusals.RULES`, and how it is broken."""

    rule: str
    message: str


_MARK = re.compile(r"""[{}\[\],"]|-?[0-9][0-9.eE+-]*+|NaN|-?Infinity""")
_REST_OF_STRING = re.compile(r"""(?:[^"\\]++|\\.)*+""", re.DOTALL)
_PLAIN = re.compile(r"""(?:[^\\]|\\["\\/]|\\u(?!00[0-7]))*+""", re.DOTALL)
"""Without escapes for what can be written as it is; outside ASCII many serializers escape everything."""


def broken_rule(text: str, max_values: int) -> Broken | None:
    """The first rule that the text breaks, or None. `max_values` bounds the members of all objects and lists."""
    if text.startswith("\ufeff"):
        return Broken("odd_escape", "The frame begins with a byte order mark: leave it out")
    if not text.isascii() and _halved(text):
        return Broken("odd_escape", "The frame holds half of a surrogate pair: send whole characters")
    return _Walk(text, max_values).walk()


class _Walk:
    """Where it is in the text, and in which objects."""

    def __init__(self, text: str, max_values: int) -> None:
        self._text = text
        self._at = self._values = 0
        self._max_values = max_values
        self._has_escapes = "\\" in text
        self._open: list[set[str] | None] = []
        """The names so far of each open object; None for a list."""
        self._name_next = self._is_type = False

    def walk(self) -> Broken | None:
        text, search = self._text, _MARK.search
        while found := search(text, self._at):
            self._at = found.end()
            mark = found[0]
            broken = self._string() if mark == '"' else self._other(mark)
            if broken is not None:
                return broken
        return None

    def _other(self, mark: str) -> Broken | None:
        if mark in ("}", "]"):
            if self._open:
                self._open.pop()
            self._name_next = False
            return None
        if mark not in (",", "{", "["):
            return _number(mark)
        self._values += 1
        if self._values > self._max_values:
            return Broken("too_many_keys", f"The frame holds more than {self._max_values:,} values: send fewer at once")
        if mark == ",":
            self._name_next = bool(self._open) and self._open[-1] is not None
            return None
        self._open.append(set() if mark == "{" else None)
        self._name_next = mark == "{"
        if len(self._open) > MAX_DEPTH:
            return Broken("too_deep", f"The frame is nested deeper than {MAX_DEPTH} levels: send a flatter one")
        return None

    def _string(self) -> Broken | None:
        start = self._at
        if self._has_escapes:
            end = _REST_OF_STRING.match(self._text, start).end()  # type: ignore[union-attr]  # matches even nothing
        else:
            end = self._text.find('"', start)
            end = len(self._text) if end < 0 else end
        self._at = end + 1
        is_name, is_type = self._name_next, self._is_type
        self._name_next = self._is_type = False
        if not is_name and not self._has_escapes:
            return None
        written = self._text[start:end]
        broken = _escapes(written, is_strict=is_name or is_type) if "\\" in written else None
        return broken or (self._name(written) if is_name else None)

    def _name(self, written: str) -> Broken | None:
        name = _meant(written) if "\\" in written else written
        names = self._open[-1]
        assert names is not None, "a name stands in an object"  # noqa: S101
        if name in names:
            return Broken("duplicate_key", f"{name[:MAX_NAME_CHARS]!r} stands twice in one object: send each name once")
        names.add(name)
        self._is_type = name == "type"
        return None


def _escapes(written: str, *, is_strict: bool) -> Broken | None:
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
