"""Conversion of an HTTP API's answer to a result or an error. Decides only; does no I/O.

2xx                 a result: JSON as data, text as text, other types described
3xx                 refused: no redirect is followed
408, 425, 429       refused for now: the call was not executed, and may be retried
any other 4xx       refused, with the words of the API, for the model to act on
5xx                 unknown: retried, unless the operation must not run twice
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ringback.jobs.states import Effect
from workers.execution.results import MAX_RESULT_BYTES
from workers.remote_tools.failures import lost, refused

MAX_BODY_BYTES = MAX_RESULT_BYTES
"""As much as a result may have."""
TRY_AGAIN = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of an API. `body` is unpacked, and cut at MAX_BODY_BYTES if `truncated`."""

    status: int
    content_type: str
    charset: str
    body: bytes
    truncated: bool = False

    @property
    def is_json(self) -> bool:
        return self.content_type.endswith(("/json", "+json"))

    @property
    def text(self) -> str:
        try:
            return self.body.decode(self.charset, "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")


def result_of(answer: Answer, api: str, effect: Effect) -> Any:
    """Return the result.

    Raises:
        ToolError: the API refused, or its answer cannot be converted.
        ConnectionLost: it failed during a call that must not run twice.
    """
    if answer.status < 300:
        return _data(answer, api)
    code = f"http_{answer.status}"
    words = answer.text if answer.is_json or answer.content_type.startswith("text/") else ""
    said = f"{api} answered {answer.status}: {words or 'it gave no reason'}"
    if answer.status < 400:
        raise refused(f"{api} redirects to another address ({answer.status}), which is not followed.", code)
    if answer.status < 500:
        raise refused(said, code, retryable=answer.status in TRY_AGAIN)
    raise lost(effect, f"{api} failed ({answer.status}). Say so, and offer to try again later.", code)


def _data(answer: Answer, api: str) -> Any:
    if answer.truncated:
        raise refused(
            f"The call was carried out, but {api} answered more than {MAX_BODY_BYTES} bytes. "
            "Ask for less if it can be asked for less; otherwise do not call it again.",
            "result_too_large",
        )
    if not answer.body:
        return {"status": answer.status}
    if answer.is_json:
        try:
            return json.loads(answer.body)
        except ValueError as problem:
            sentence = f"The call was carried out, but {api} answered what is no JSON. Do not repeat it."
            raise refused(sentence, "bad_result") from problem
    if answer.content_type.startswith("text/"):
        return answer.text
    kind = answer.content_type or "something without a type"
    return {"status": answer.status, "answer": f"[{kind}, {len(answer.body)} bytes: it cannot be told here]"}
