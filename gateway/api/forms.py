"""Reads a form, `multipart/form-data` (RFC 7578): flat, a few parts, and in time that grows with its length alone.

Python's `email` reads forms as well, but it follows parts within parts: a form of 36 KB that nests them holds the event
loop for seconds.
"""

from __future__ import annotations

import re

FORM = "multipart/form-data"
MAX_PARTS = 8
MAX_HEAD_BYTES = 1_024
"""Of one part: its name, and its type."""
BOUNDARY = re.compile(r';\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;",]{1,70}))\s*(?:;|$)', re.IGNORECASE)
NAME = re.compile(rb'(?im)^content-disposition:[ \t]*form-data[ \t]*;[^\r\n]*?\bname="?([A-Za-z0-9_.-]{1,64})"?')


def read_form(content_type: str, body: bytes) -> dict[str, bytes]:
    """Return the parts of a form by their names; of two that are alike the last.

    What a part's own type says is not followed: a form within a form is bytes.

    Args:
        content_type: the request's, which names the boundary.

    Raises:
        ValueError: it is no form, or has too many parts; one clause says why.
    """
    boundary = BOUNDARY.search(content_type)
    if boundary is None:
        raise ValueError("its type names no boundary")
    delimiter = b"\r\n--" + (boundary[1] or boundary[2]).encode("latin-1", "replace")
    before, *parts = (b"\r\n" + body).split(delimiter, MAX_PARTS + 1)
    if not parts or before.strip():
        raise ValueError("it does not begin with its boundary")
    named: dict[str, bytes] = {}
    for part in parts:
        if part.startswith(b"--"):
            return named
        head, separator, content = part.partition(b"\r\n\r\n")
        name = NAME.search(head) if separator and len(head) <= MAX_HEAD_BYTES else None
        if name is None:
            raise ValueError("a part has no name")
        named[name[1].decode()] = content
    raise ValueError(f"it has more than {MAX_PARTS} parts, or no end")
