"""The stack of a test: its gateways, what they have written, and the provider that the test plays."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import psycopg

from tests.core_clock import CoreClock
from tests.guarantees.toolbox.bakery import FIRST, Bakery
from tests.line import GATEWAYS, PLACED, TOKEN, Event, eventually
from tests.local_http import LOCAL
from tests.played import OFFER, PlayedCall, Provider
from tests.proxy import Proxy
from tests.servers import in_dialect

SDP = "application/sdp"
BACKENDS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"


@dataclass(frozen=True)
class CallLine(Bakery):
    """Two gateways, a worker, and the provider."""

    provider: Provider
    postgres: Proxy | None = None
    """Between the second gateway and Postgres, where the stack has it."""

    def mend(self) -> None:
        """Make the stack whole: gateways that were killed are started again."""
        if self.postgres is not None:
            self.postgres.heal()
        self.provider.calm()
        self.line.make_whole()
        self.tidy()

    def asks(
        self, body: str | bytes = OFFER, *, on: str = FIRST, kind: str = SDP, token: str = TOKEN, **query: str
    ) -> httpx.Response:
        """Ask a gateway for a call."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        return LOCAL.post(f"{self.line.url_of(on)}/v1/realtime/calls", content=body, headers=headers, params=query)

    def call(self, *, on: str = FIRST, **query: str) -> tuple[str, PlayedCall]:
        """Place a call, and wait until the gateway is beside it; returns the session's id, and the call."""
        answer = self.asks(on=on, **query)
        assert answer.status_code == 201, answer.text
        call = self.provider.only
        self.provider.attended(call)
        eventually(lambda: call.sent("session.update"), "the gateway to assert the session")
        return answer.headers["location"].rpartition("/")[2], call

    def session(self, session_id: str, on: str = FIRST) -> Event:
        """The session, as the history shows it."""
        found: Event = self.line.get(f"/v1/sessions/{session_id}", on=on)
        return found

    def clock(self) -> CoreClock:
        """Return a clock that stands still while a gateway, or its Postgres, waits for a core."""
        backends = filter(_is_postgres, [pid for (pid,) in self.rows(BACKENDS)])
        return CoreClock([*(self.line.pids[gateway] for gateway in GATEWAYS), *backends])

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        with psycopg.connect(in_dialect(self.line.database, "postgresql")) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def says(self, words: str, on: str = FIRST) -> None:
        """Wait until these words are in a gateway's log."""
        eventually(lambda: words in (self.line.logs / f"{on}.log").read_text(), f"{on} to say {words!r}")

    def ended(self, session_id: str, on: str = FIRST) -> str:
        """Wait until the session is over; returns why."""
        eventually(lambda: self.session(session_id, on)["state"] == "ended", "the session to end")
        return str(self.session(session_id, on)["end_reason"])

    def placed(self, session_id: str, on: str = FIRST) -> list[Event]:
        """Wait until the results of a session's calls are with the conversation; returns the calls."""

        def look() -> list[Event]:
            jobs: list[Event] = self.line.get(f"/v1/jobs?session={session_id}", on=on)["data"]
            return jobs if jobs and all(job["delivery"] in PLACED for job in jobs) else []

        found: list[Event] = eventually(look, "the results to be with the conversation")
        return found


def _is_postgres(pid: int) -> bool:
    """Whether the process of this machine that has this id is one: the server may run on another machine."""
    with suppress(psutil.Error):
        return psutil.Process(pid).name() == "postgres"
    return False
