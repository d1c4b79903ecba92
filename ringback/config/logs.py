"""Log lines that a client cannot forge and that hold no secret.

Text from outside gets into logs: a name in an error, an address, the text of an exception. So each record is one line:
control characters are written as escapes, the lines of a traceback are indented, and a record's length is bounded. Text
that looks like a credential is masked, as the message of any library may hold one; so are card numbers.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterable
from types import TracebackType

from ringback.privacy.redaction import Redaction

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
_MASKS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\b(?i:bearer)\s+[^\s\"',;]+"), f"Bearer {MASK}"),
    (
        re.compile(r"(?i)\b((?:proxy-)?authorization|(?:x-)?api-key|set-cookie|cookie)(\W{1,6})[^'\"\r\n]{4,}"),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"openai-insecure-api-key\.[^\s,\"']+"), f"openai-insecure-api-key.{MASK}"),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*"), f"eyJ{MASK}"),
    (re.compile(r"\b(sk|pk|rk|ek|rb|whsec)([-_])[\w-]{8,}"), rf"\1\2{MASK}"),
    (re.compile(r"(://[^\s/:@]*:)[^\s/@]+@"), rf"\1{MASK}@"),
    (
        re.compile(r"(?i)([?&](?:[a-z_-]*token|api[_-]?key|key|[a-z_-]*secret|password|authorization|ek)=)[^&\s\"'#]+"),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?i)\b(pass(?:word|wd)?=)[^\s\"'&]+"), rf"\1{MASK}"),
)
_SHAPES = [Redaction(("card",))]


def clean(text: str, most: int = MAX_LINE_CHARS) -> str:
    """Return the text on one line, without credentials, and about `most` characters long at most."""
    left_out = len(text) - most
    read = text if left_out <= MARGIN else text[: most + MARGIN]
    read = masked(_CONTROL.sub(_escape, read))
    return read if left_out <= 0 or len(read) <= most else f"{read[:most]}… [cut: {left_out} more characters]"


def masked(text: str) -> str:
    """Return the text with credentials and card numbers masked."""
    for pattern, instead in _MASKS:
        text = pattern.sub(instead, text)
    return _SHAPES[0].text(text)


def leave_out(kinds: Iterable[str]) -> None:
    """Mask these shapes too (`ringback.privacy.redaction.KINDS`) in every line of this process. Cards always are."""
    _SHAPES[0] = Redaction(tuple({"card", *kinds}))


def name_process() -> None:
    """Write this process's id into each of its lines, as several processes write one log. Ids of rows hold it too."""
    SafeFormatter.process_id = f" [{os.getpid()}]"


class SafeFormatter(logging.Formatter):
    """Formatter for every handler of every process."""

    process_id = ""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and below it the traceback if there is one."""
        try:
            record.message = record.getMessage()
        except Exception as problem:  # logging itself would print the values unmasked
            record.message = f"{record.msg} (not written in full: {type(problem).__name__})"
        record.process_id = self.process_id
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        lines = [clean(self.formatMessage(record))]
        if record.exc_info:
            lines += _indented(self.formatException(record.exc_info))
        if record.stack_info:
            lines += _indented(self.formatStack(record.stack_info))
        return "\n".join(lines)


def configure(level: int = logging.INFO, line: str = LINE) -> None:
    """Write this process's log to standard error, in this format. A level that is already set stays.

    An uncaught exception is written in the same format.
    """
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler(sys.stderr))
        root.setLevel(level)
    for handler in root.handlers:
        if getattr(handler, "stream", None) is sys.stderr:
            handler.setFormatter(SafeFormatter(line))
    sys.excepthook = _uncaught


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
