"""Log lines that a client cannot forge and that hold no secret.

Text from outside gets into logs: a name in an error, an address, the text of an exception. So each record is one line:
control characters are written as escapes, the lines of a traceback are indented, and a record's length is bounded. Text
that looks like a credential is masked, as the message of any library may hold one; so are card numbers.

With RINGBACK_LOG_FORMAT=json each record is one JSON object, masked in the same way. It names the session and the job
that its code works for (`bind`), and the trace, where traces are on.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from ringback.config.setting_names import DOTENV
from ringback.privacy.redaction import Redaction

FORMAT = "RINGBACK_LOG_FORMAT"

LINE = "%(asctime)s%(process_id)s %(levelname)-7s %(name)s: %(message)s"
MAX_LINE_CHARS = 4_000
"""Most characters of a record's line: a longer one holds a payload."""
MAX_TRACE_CHARS = 16_000
"""Most characters of a traceback: some hundred frames."""
MASK = "…"
MARGIN = 512
"""Characters read beyond the end: a credential must be seen whole to be masked."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_ESCAPES = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_MASKS: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = (
    (("bearer",), re.compile(r"\b(?i:bearer)\s+[^\s\"',;]+"), f"Bearer {MASK}"),
    (
        ("authorization", "api-key", "cookie"),
        re.compile(r"(?i)\b((?:proxy-)?authorization|(?:x-)?api-key|set-cookie|cookie)(\W{1,6})[^'\"\r\n]{4,}"),
        rf"\1\2{MASK}",
    ),
    (("api-key",), re.compile(r"openai-insecure-api-key\.[^\s,\"']+"), f"openai-insecure-api-key.{MASK}"),
    (("eyj",), re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*"), f"eyJ{MASK}"),
    (
        ("k-", "k_", "rb-", "rb_", "whsec"),
        re.compile(r"\b(sk|pk|rk|ek|rb|whsec)([-_])[\w-]{8,}"),
        rf"\1\2{MASK}",
    ),
    (("://",), re.compile(r"(://[^\s/:@]*:)[^\s/@]+@"), rf"\1{MASK}@"),
    (
        ("?", "&"),
        re.compile(r"(?i)([?&](?:[a-z_-]*token|api[_-]?key|key|[a-z_-]*secret|password|authorization|ek)=)[^&\s\"'#]+"),
        rf"\1{MASK}",
    ),
    (("pass",), re.compile(r"(?i)\b(pass(?:word|wd)?=)[^\s\"'&]+"), rf"\1{MASK}"),
)
"""What a credential looks like, and what is written instead; before it, words of which each such text has one, in lower
case: to look for them takes a tenth of the time.
"""
_SHAPES = [Redaction(("card",))]
_session: ContextVar[str | None] = ContextVar("session", default=None)
_job: ContextVar[str | None] = ContextVar("job", default=None)
TraceIds = Callable[[], tuple[str, str] | None]
"""Returns the ids of the trace and the span that its caller runs in, in hexadecimal; None outside of any."""
_trace_ids: list[TraceIds] = []


def clean(text: str, most: int = MAX_LINE_CHARS) -> str:
    """Return the text on one line, without credentials, and about `most` characters long at most."""
    left_out = len(text) - most
    read = text if left_out <= MARGIN else text[: most + MARGIN]
    read = masked(_CONTROL.sub(_escape, read))
    return read if left_out <= 0 or len(read) <= most else f"{read[:most]}… [cut: {left_out} more characters]"


def masked(text: str) -> str:
    """Return the text with credentials and card numbers masked."""
    in_lower_case = text.lower() if text.isascii() else None  # "ſ" fits a pattern's "s" too
    for words, pattern, instead in _MASKS:
        if in_lower_case is None or any(word in in_lower_case for word in words):
            text = pattern.sub(instead, text)
    return _SHAPES[0].text(text)


def leave_out(kinds: Iterable[str]) -> None:
    """Mask these shapes too (`ringback.privacy.redaction.KINDS`) in every line of this process. Cards always are."""
    _SHAPES[0] = Redaction(tuple({"card", *kinds}))


def bind(*, session: object = None, job: object = None) -> None:
    """Name this session or job in each line of the present task, or context, from now on, and of those it starts.

    Text lines stay as they are. A thread that is used again runs each job in a copy of its context.
    """
    if session is not None:
        _session.set(str(session))
    if job is not None:
        _job.set(str(job))


def name_traces(trace_ids: TraceIds) -> None:
    """Have JSON lines name the trace that they are written in."""
    _trace_ids[:] = [trace_ids]


def name_process() -> None:
    """Write this process's id into each of its lines, as several processes write one log. Ids of rows hold it too."""
    SafeFormatter.process_id = f" [{os.getpid()}]"


class SafeFormatter(logging.Formatter):
    """Formatter for every handler of every process."""

    process_id = ""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and below it the traceback if there is one."""
        record.message = _message_of(record)
        record.process_id = self.process_id
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        lines = [clean(self.formatMessage(record))]
        if record.exc_info:
            lines += _indented(self.formatException(record.exc_info))
        if record.stack_info:
            lines += _indented(self.formatStack(record.stack_info))
        return "\n".join(lines)


class JsonFormatter(SafeFormatter):
    """Formatter that writes one JSON object a line: `time` (UTC), `level`, `logger`, `message`, `process`, and more.

    More is `session`, `job`, `trace_id`, `span_id` and `traceback`, each where there is one.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        traces = [ids() for ids in _trace_ids]
        trace_id, span_id = (traces[0] if traces else None) or (None, None)
        trace = _indented(self.formatException(record.exc_info)) if record.exc_info else []
        trace += _indented(self.formatStack(record.stack_info)) if record.stack_info else []
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": clean(record.name),
            "message": clean(_message_of(record)),
            "process": record.process,
            "session": _session.get(),
            "job": _job.get(),
            "trace_id": trace_id,
            "span_id": span_id,
            "traceback": "\n".join(trace) or None,
        }
        return json.dumps({name: value for name, value in fields.items() if value is not None}, ensure_ascii=False)


def configure(level: int = logging.INFO, line: str = LINE) -> None:
    """Write this process's log to standard error, in this format. A level that is already set stays.

    An uncaught exception is written in the same format.
    """
    root, is_json = logging.getLogger(), _wants_json()
    if is_json:
        logging.captureWarnings(True)  # else Python writes them to standard error itself
    if not root.handlers:
        root.addHandler(logging.StreamHandler(sys.stderr))
        root.setLevel(level)
    for handler in root.handlers:
        if getattr(handler, "stream", None) is sys.stderr:
            handler.setFormatter(JsonFormatter() if is_json else SafeFormatter(line))
    sys.excepthook = _uncaught


def _wants_json() -> bool:
    """Read the format before any settings class: what they complain of is written in it too."""
    said = os.environ.get(FORMAT)
    if said is None and Path(DOTENV).is_file():
        from dotenv import dotenv_values

        said = dotenv_values(DOTENV).get(FORMAT)
    return said == "json"


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as problem:  # logging itself would print the values unmasked
        return f"{record.msg} (not written in full: {type(problem).__name__})"


def _uncaught(kind: type[BaseException], problem: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, problem, trace)
    else:
        logging.getLogger(__name__).critical("the process ends", exc_info=(kind, problem, trace))


def _indented(trace: str) -> list[str]:
    lines = [f"  {clean(line)}" for line in trace[-MAX_TRACE_CHARS:].splitlines()]
    return lines if len(trace) <= MAX_TRACE_CHARS else ["  … [cut]", *lines]


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    return _ESCAPES.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
