"""What one virtual client asks, hears and remembers: no I/O. The checker reads it when the run is over."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.evidence import Refusal
from tests.chaos.ledger import CANARY, canary

TOOLS = ("look_up", "reckon", "book", "charge", "dispense", "stumble", "ponder", "deliver")
WEIGHTS = (6, 4, 4, 4, 3, 2, 1, 1)
MOST_CALLS = 8
"""Calls of one question; more than one response of the model's makes."""
ACTIVE = "conversation_already_has_active_response"

Event = dict[str, Any]


@dataclass
class Story:
    """What one client did and heard. `number` stands in everything that it asks for."""

    number: int
    sessions: list[str] = field(default_factory=list)
    """Ids of its sessions, in order."""
    is_in: bool = False
    """The gateway has let us in, on the connection that there is now."""
    lost_at: float | None = None
    token: str | None = None
    resumes: str = ""
    """The session that the token is for: it comes first, before that session greets."""
    epoch: int = 0
    begun: int = 0
    resumed: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    """Tokens that were not taken."""
    back_after: list[float] = field(default_factory=list)
    """Seconds from the end of a connection until a resumed session was heard of."""
    rebuilt: int = 0
    asked: int = 0
    answered: int = 0
    is_owed: bool = False
    """Our response.create met another's response: it is due again when that one is over."""
    waiting: set[str] = field(default_factory=set)
    """Canaries of the last question that nobody spoke of yet."""
    foreign: set[str] = field(default_factory=set)
    """Canaries of others: none may ever be heard."""
    double: list[str] = field(default_factory=list)
    """Sessions that two gateways gave to us for one token."""
    closes: dict[int, int] = field(default_factory=dict)
    last_words: bool | None = None
    """Whether the question that was asked in the calm was answered."""

    def hear(self, frame: str) -> Event:
        """One frame, as it came."""
        self.foreign |= {match.group() for match in CANARY.finditer(frame) if int(match[1]) != self.number}
        event: Event = json.loads(frame)
        kind = event["type"]
        if kind == "session.created":
            self._came_in(event["session"]["id"])
        elif kind == "ringback.session.resumable":
            self.token, self.epoch, self.resumes = event["token"], event["epoch"], event["session_id"]
        elif kind == "ringback.session.rebuilt":
            self.rebuilt += 1
            self.epoch = event["epoch"]
        elif kind == "error" and event["error"].get("code") == ACTIVE:
            self.is_owed = True
        elif kind == "response.done":
            self._listen(event)
        return event

    def _came_in(self, session: str) -> None:
        self.is_in = True
        if session in self.sessions[-1:] and self.lost_at is not None:
            self.back_after.append(time.time() - self.lost_at)
        elif session not in self.sessions[-1:]:
            self.sessions.append(session)
        self.lost_at = None

    def ask(self, chance: random.Random) -> Event:
        """The next question, as a typed message."""
        self.asked += 1
        count = chance.choice((1, 2, 3, 4, 6, MOST_CALLS))
        tools = chance.choices(TOOLS, WEIGHTS, k=count)
        calls = [(tool, canary(self.number, self.asked, place)) for place, tool in enumerate(tools)]
        self.waiting = {asked for _, asked in calls}
        return self.words(ask=self.asked, calls=calls)

    def words(self, **said: Any) -> Event:
        """A typed message that the fake model understands."""
        content = [{"type": "input_text", "text": json.dumps({"client": self.number, **said})}]
        return {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}}

    def token_refused(self) -> None:
        self.refusals.append(Refusal(time.time(), self.resumes, self.epoch))
        self.token = self.lost_at = None

    def closed(self, code: int) -> None:
        self.is_in = self.is_owed = False
        self.lost_at = self.lost_at or time.time()
        self.closes[code] = self.closes.get(code, 0) + 1

    def _listen(self, event: Event) -> None:
        spoken = {match.group() for match in CANARY.finditer(json.dumps(event["response"].get("output")))}
        was, self.waiting = self.waiting, self.waiting - spoken
        if was and not self.waiting:
            self.answered += 1
