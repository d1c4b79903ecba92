"""The search line of the jobs page: filters as one text, `state:failed,dead tool:weather args.city:"New York"`.

The line is the page's address, so a search can be shared. Chips show its terms one by one, each with the line without
it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import ValidationError

from gateway.errors import GatewayError
from ringback.history.job_search import Argument, JobSearch
from ringback.history.pagination import refusal

NAMES = ("state", "tool", "queue", "agent", "user", "session", "approval", "since", "until", "id")
"""What a term may begin with, beside `args.`."""
ARGS = "args."
MAX_LINE = 1_000
"""Characters of a search line."""
_TERM = re.compile(r'(?P<name>[^\s:"]+):(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^\s"]*))(?=\s|$)')
_ESCAPED = re.compile(r"\\(.)")
_PLAIN = re.compile(r'[^\s"\\]+')


class Term(NamedTuple):
    """One filter of the line."""

    name: str
    value: str

    def __str__(self) -> str:
        if _PLAIN.fullmatch(self.value):
            return f"{self.name}:{self.value}"
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.name}:"{escaped}"'


class Chip(NamedTuple):
    """A term as the page shows it, and the line that is left if it is taken away."""

    text: str
    without: str


class LineRefused(GatewayError):
    """The line is not one; the text says what to write."""


def terms(line: str) -> list[Term]:
    """Return the terms of a line, in order; a text that is the id of a job is the term `id`.

    Raises:
        LineRefused: a part of the line is no filter.
    """
    if len(line) > MAX_LINE:
        raise LineRefused(f"A search has at most {MAX_LINE} characters.")
    found, rest = [], line.strip()
    while rest:
        if (match := _TERM.match(rest)) is not None:
            name, quoted = match["name"], match["quoted"]
            value = match["plain"] if quoted is None else _ESCAPED.sub(r"\1", quoted)
            rest = rest[match.end() :].lstrip()
        else:
            word, _, rest = rest.partition(" ")
            name, value, rest = "id", _job_id(word), rest.lstrip()
        _refuse_unknown(name, value)
        found.append(Term(name, value))
    return found


def line_of(parts: Iterable[Term]) -> str:
    """Return the terms as one line."""
    return " ".join(map(str, parts))


def chips(parts: Sequence[Term]) -> list[Chip]:
    """Return a chip for each term."""
    return [Chip(str(term), line_of([*parts[:at], *parts[at + 1 :]])) for at, term in enumerate(parts)]


def with_term(parts: Sequence[Term], name: str, value: str) -> str:
    """Return the line with this term in place of others of its name; an empty value takes them away."""
    kept = [term for term in parts if term.name != name]
    return line_of([*kept, Term(name, value)] if value else kept)


def search(parts: Sequence[Term], **page: Any) -> JobSearch:
    """Return the search that the terms say.

    Args:
        page: `limit` and `after`.

    Raises:
        LineRefused: a value that its filter cannot have, or two of one filter that takes one.
    """
    given: dict[str, Any] = {}
    for name in NAMES:
        values = [term.value for term in parts if term.name == name]
        if len(values) > 1 and name != "state":
            raise LineRefused(f"There are {len(values)} filters {name}: a search takes one.")
        if values:
            given[name] = values if name == "state" else values[0]
    paths = [Argument(tuple(t.name.removeprefix(ARGS).split(".")), t.value) for t in parts if t.name.startswith(ARGS)]
    try:
        return JobSearch(**given, args=tuple(paths), **page)
    except ValidationError as problem:
        raise LineRefused(refusal([dict(each) for each in problem.errors()]).message) from None


def suggestions(line: str, known: Sequence[Term], most: int) -> list[str]:
    """Return whole lines that complete the last word: names of filters first, then values of the named one.

    Args:
        known: terms that occur, the most frequent first.
    """
    *before, last = line.rsplit(" ", 1) if " " in line else ["", line]
    head = f"{before[0]} " if before and before[0] else ""
    wanted = last.lower()
    found = [str(term) for term in known if str(term).lower().startswith(wanted) and str(term).lower() != wanted]
    if ":" not in last:
        names = dict.fromkeys(f"{term.name}:" for term in known if term.name.lower().startswith(wanted))
        found = [*names, *(text for text in found if wanted)]
    return [f"{head}{text}" for text in found[:most]]


def _job_id(word: str) -> str:
    try:
        return str(UUID(word))
    except ValueError:
        raise LineRefused(
            f"{word[:40]!r} is no filter: write a name and a value, such as tool:weather or args.city:London."
        ) from None


def _refuse_unknown(name: str, value: str) -> None:
    if name not in NAMES and not (name.startswith(ARGS) and name != ARGS):
        raise LineRefused(f"There is no filter {name[:40]!r}: there are {', '.join(NAMES)}, and args.<name>.")
    if not value:
        raise LineRefused(f"The filter {name[:40]} needs a value, such as {name[:40]}:something.")
