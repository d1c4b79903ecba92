"""Queries and pages of the history: which rows, how many, and after which row.

Lists are ordered by (created_at, id), newest first, and cut by *keyset*: a page says after which row it begins, never
how many rows to skip. So no row is lost or repeated while new jobs arrive, and the thousandth page costs what the
first one does. The API and the command line use the same models, and so refuse with the same sentences.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from ringback.jobs.states import Approval, JobState

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
"""Rows of one page; a page of jobs stays under 100 kB."""
MAX_NAME = 200
"""Characters of a name in a filter: no tool, queue or agent has a longer one."""
MAX_AGO = timedelta(days=3_660)
"""Ten years: older than any row, and a time that Postgres can calculate with."""
MIN_PREFIX = 6
"""Characters of an id's beginning: fewer rarely name one row only."""
MAX_QUOTE = 40
"""Characters of a refused value that the error repeats."""

SessionState = Literal["open", "draining", "detached", "ended"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CURSOR = struct.Struct(">q16s")  # Microseconds since 1970, as exact as Postgres keeps them, and the id.
_AGO = re.compile(r"([0-9]{1,9})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_HEX = re.compile(rf"[0-9a-f]{{{MIN_PREFIX},32}}")

R = TypeVar("R")
T = TypeVar("T")


class Position(NamedTuple):
    """Position of a row in its list."""

    created_at: datetime
    id: UUID


def cursor(position: Position) -> str:
    """Return the position as 32 characters that need no escaping in a URL."""
    microseconds = (position.created_at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(_CURSOR.pack(microseconds, position.id.bytes)).decode()


def position(cursor: str) -> Position:
    """Return the position that `cursor` encoded.

    Raises:
        ValueError: `cursor` never returned this text.
    """
    packed = base64.b64decode(cursor, altchars=b"-_", validate=True)
    if len(packed) != _CURSOR.size:
        raise ValueError("a cursor has 32 characters")
    microseconds, id_bytes = _CURSOR.unpack(packed)
    try:
        return Position(_EPOCH + timedelta(microseconds=microseconds), UUID(bytes=id_bytes))
    except OverflowError:
        raise ValueError("no such time") from None


def cut(rows: Sequence[R], limit: int) -> tuple[Sequence[R], str | None]:
    """Return one page of `limit + 1` rows, and the cursor of the next page; None if this is the last.

    The row over the limit is never shown: it only proves that there is a next page.
    """
    if len(rows) <= limit:
        return rows, None
    last: Any = rows[limit - 1]
    return rows[:limit], cursor(Position(last.created_at, last.id))


def since(text: object) -> datetime | timedelta:
    """Parse a time, or how long ago by the database's clock.

    Args:
        text: ISO 8601, in UTC if it names no zone, or a whole number of s, m, h, d or w.

    Raises:
        ValueError: neither of the two, or too far away.
    """
    if not isinstance(text, str):  # of a body, which may hold any JSON
        raise ValueError("a time is a text")
    try:
        if ago := _AGO.fullmatch(text):
            return _reachable(timedelta(**{_UNITS[ago[2]]: int(ago[1])}))
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError:
        raise ValueError("no such time") from None


class Document(BaseModel):
    """Document of the history. Pydantic builds its validator when the first one is made: a command makes few kinds."""

    model_config = ConfigDict(defer_build=True)


class Page(Document, Generic[T]):
    """Part of a list, newest first. Pass `next` as `after` to get the part that follows."""

    object: Literal["list"] = "list"
    data: list[T]
    has_more: bool
    next: str | None


class Listing(Document, Generic[T]):
    """A whole list."""

    object: Literal["list"] = "list"
    data: list[T]


class IdRange(NamedTuple):
    """Range of ids: one id, or all with one prefix. Postgres finds a range by the index."""

    first: UUID
    last: UUID

    @classmethod
    def only(cls, id: UUID) -> IdRange:  # noqa: A002 - it is one
        return cls(id, id)

    @classmethod
    def beginning(cls, prefix: str) -> IdRange:
        """Return the range of ids that begin with `prefix`; dashes and capitals do not matter.

        Raises:
            ValueError: it is not the beginning of a UUID, or is too short.
        """
        digits = prefix.strip().replace("-", "").lower()
        if not _HEX.fullmatch(digits):
            raise ValueError(f"an id, or at least its first {MIN_PREFIX} characters")
        return cls(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f")))


def _reachable(ago: timedelta) -> timedelta:
    if ago > MAX_AGO:
        raise ValueError("too long ago")
    return ago


def printable(text: str) -> str:
    """Return the text, if Postgres can look for it; raise ValueError."""
    if not text.isprintable():
        raise ValueError("Postgres takes no NUL, and no name has a line break")
    return text


def _written(since: datetime | timedelta) -> str:
    """Return a text that `since` parses."""
    return since.isoformat() if isinstance(since, datetime) else f"{since // timedelta(seconds=1)}s"


def _cursor(text: str) -> str:
    position(text)
    return text


def _split(given: Any) -> Any:
    """Split at commas: `a,b` means the same as `a` and `b` given one by one."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ValueError("one text, or a list of them")
    return [part.strip() for text in texts for part in text.split(",")]


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(printable)]
Since = Annotated[
    datetime | timedelta,
    PlainValidator(since),
    PlainSerializer(_written, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string"}),
]
After = Annotated[str, AfterValidator(_cursor)]


class Query(BaseModel):
    """A query. A field's description says what a value must be; an error repeats it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="wrap")
    @classmethod
    def _say_what_it_must_be(cls, given: Any, check: ValidatorFunctionWrapHandler, field: ValidationInfo) -> Any:
        try:
            return check(given)
        except ValueError:
            asked = cls.model_fields[str(field.field_name)]
            about = {"name": asked.alias or field.field_name, "wanted": asked.description, "given": _quoted(given)}
            raise PydanticCustomError("invalid_value", "{name} must be {wanted}, not {given}.", about) from None


class PageQuery(Query):
    """Parameters of every list."""

    since: Since | None = Field(
        None, description="a time such as 2026-01-31T12:00:00Z, or how long ago: 15m, 2h, 1d (up to ten years)"
    )
    until: Since | None = Field(None, description="a time, or how long ago, as for `since`: rows made before it")
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description=f"a whole number from 1 to {MAX_LIMIT}")
    after: After | None = Field(None, description="the `next` of the page before")


class JobQuery(PageQuery):
    """Filters for jobs: a job must fit all of them."""

    session: UUID | None = Field(None, description="a session's id")
    tool: Name | None = Field(None, description="a tool's name")
    state: Annotated[tuple[JobState, ...], BeforeValidator(_split)] = Field(
        (), description=f"one or more of {', '.join(JobState)}"
    )
    queue: Name | None = Field(None, description="a queue's name")
    approval: Approval | None = Field(None, description=f"one of {', '.join(Approval)}")


class SessionQuery(PageQuery):
    """Filters for sessions: a session must fit all of them."""

    state: Annotated[tuple[SessionState, ...], BeforeValidator(_split)] = Field(
        (), description="one or more of open, draining, detached, ended"
    )
    agent: Name | None = Field(None, description="an agent's name")
    user: Name | None = Field(None, description="a user's name")


_PYDANTICS = re.compile(r"^[A-Z][a-z]+ should ")
"""How pydantic's sentences begin, which do not name the parameter."""


class QueryRejected(NamedTuple):
    """Why a query is refused: the parameter, a code (both as in OpenAI's errors), and one sentence."""

    param: str
    code: str
    message: str


def refusal(errors: Sequence[Mapping[str, Any]]) -> QueryRejected:
    """Return the first of pydantic's errors about a query, or a body, as a sentence about one parameter."""
    first = errors[0]
    where, *path = first["loc"]
    param = ".".join(map(str, path)) if where == "body" else str(first["loc"][-1])
    if where == "body" and (not path or first["type"] == "json_invalid"):
        return QueryRejected("body", "invalid_value", "The body must be one JSON object.")
    if first["type"] == "extra_forbidden":
        what = "request" if where == "body" else "list"
        return QueryRejected(param, "unknown_parameter", f"{param} is not a parameter of this {what}: leave it out.")
    reason = str(first["msg"]).removeprefix("Value error, ")
    return QueryRejected(param, "invalid_value", _PYDANTICS.sub(f"{param} must ", reason))


def _quoted(given: Any) -> str:
    text = given if isinstance(given, str) else ",".join(map(str, given)) if isinstance(given, list) else str(given)
    return repr(text if len(text) <= MAX_QUOTE else f"{text[:MAX_QUOTE]}…")
