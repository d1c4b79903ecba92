"""Call that a running tool serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Any


def _nobody_listens(_note: str) -> None:
    """Ignore what a call reports that a test has made."""


@dataclass(frozen=True, slots=True)
class Call:
    """Call: who asked, and under which key. A tool gets it if it declares a parameter of this type.

    Args:
        job_id: the job, a UUID as text.
        session_id: the conversation that asked, a UUID as text.
        call_id: the model's id of this call (Realtime API, `function_call` item).
        user: who is talking, as the gateway authenticated them; never what the model says.
        claims: other facts that the gateway knows of them, such as a name or a role; never what the model says.
        attempt: 1 for the first run, 2 after one retry, and so on.
        deadline: when the caller stops waiting (UTC).
        arguments: the arguments as the model gave them, already checked against the schema.
        rerun_of: of a run that an operator asked for, with no listener: the job that it repeats; empty otherwise.
    """

    job_id: str = "00000000-0000-0000-0000-000000000000"
    session_id: str = "00000000-0000-0000-0000-000000000000"
    call_id: str = "call_by_hand"
    user: str = "somebody"
    claims: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 1
    deadline: datetime | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    rerun_of: str = ""
    _report: Callable[[str], None] = _nobody_listens
    _summarize: Callable[[str], None] = _nobody_listens
    _cancelled: Event = field(default_factory=Event)

    @property
    def idempotency_key(self) -> str:
        """Return the key, which is the same for every attempt of one call and differs for every other: pass it on.

        A rerun has the key of the call that it repeats: what an idempotent service has done, it does not do again.
        """
        return self.rerun_of or self.job_id

    @property
    def cancelled(self) -> bool:
        """Return true once this call is cancelled; a long tool checks it between steps."""
        return self._cancelled.is_set()

    def progress(self, note: str) -> None:
        """Report progress in a few words such as "asked the warehouse". It is kept in the job's history."""
        self._report(note)

    def summary(self, text: str) -> None:
        """Tell in one line what this call came to, such as "order A-1042: in Graz, due on Friday". The last one counts.

        Operators read it in the history, in lists too. It is cut at 200 bytes, and redacted like a result; the model
        and the caller do not hear it.
        """
        self._summarize(text)
