"""The guard of a call: what the caller's page does to the conversation, and what is done about it. Pure.

On a WebRTC call the page is a full peer of the Realtime API: on its data channel it may send any client event. The
gateway's sideband is shown what came of each. What is not the gateway's, not the model's and not allowed by the page's
policy is a finding:

    session          the session is not as the gateway set it: instructions, tools, voice …
    forged_output    a function's output that the gateway did not send
    forged_item      a call, a message of the model or the system, or an item of another kind
    message          a message of the user, where the policy lets the page create none
    deleted          an item was deleted
    out_of_band      a response outside the conversation
    response         a response that neither the gateway nor a turn of the user asked for, where the policy forbids it

By the agent's `guard` a finding is undone ("mend"), ends the call ("hang_up"), or is only noted ("watch"). A page that
goes on after `MENDS` of them is hung up, too. The conversation never hears of what was forged, whatever is done.
docs/security.md has the events that a page may send, one by one, and what the guard cannot see.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.close_codes import ENDED
from gateway.conversation.actions import Action, Close, Event, Guarded, KeepMoments, SendToModel
from gateway.conversation.client_session import merged, shows
from gateway.conversation.event_names import (
    CANCEL_RESPONSE,
    CREATE_ITEM,
    CREATE_RESPONSE,
    DELETE_ITEM,
    SHOWN_FIRST,
    UPDATE_SESSION,
)
from gateway.conversation.turn_taking.filler import mark_of
from gateway.upstream.events import (
    ErrorReported,
    Item,
    ItemDeleted,
    ItemShown,
    ModelEvent,
    OutputItemFinished,
    OutputItemStarted,
    Response,
    ResponseFinished,
    ResponseStarted,
    SessionUpdated,
    UserStayedSilent,
    UserTurnCommitted,
)
from gateway.upstream.quirks import USUAL, Quirks
from ringback.agents.agent import GuardMode
from ringback.agents.client_policy import ClientPolicy
from ringback.moments import Moment, MomentKind

MENDS = 20
"""Findings of one call that are undone: a page that goes on costs tokens with each. Then the call is hung up."""
TOLD = 100
"""Findings of one call that are noted, where they are only watched."""
MAX_DETAIL = 80
"""Characters of an id that the page may have chosen, in the audit log."""
KNOWN = 4_096
"""Items and responses that are remembered, of each kind: more than a conversation of an hour has."""
OUTPUTS = 64
"""Of the newest outputs, to be put back if the page deletes one."""
GUARDED = (
    *("instructions", "tools", "tool_choice", "model", "max_output_tokens", "output_modalities", "parallel_tool_calls"),
    *("prompt", "reasoning", "tracing", "truncation", "include", "temperature"),
)
"""Fields of a session that are guarded, beside those of `audio`."""
NOT_THE_MODELS = ("system", "developer")
"""Roles in which no model speaks."""
UNASKED: dict[str, Any] = {"prompt": None, "tracing": None, "include": []}
"""Fields that no server sets by itself, each with the value that takes it back: where the gateway has asked for none,
one that is shown is the page's."""
FOR_GOOD = ("model", "tracing")
"""Fields that cannot be changed once they are set."""
LOOSELY = frozenset({"instructions", "tools", "tool_choice", "max_output_tokens", "audio.output.voice"})
"""Fields that are compared with what was asked for, as long as the server has not shown how it writes them."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a page did. `mend` undoes it; without any it cannot be undone."""

    what: str
    detail: str
    mend: tuple[Event, ...] = ()
    answers: bool = False
    """It is in the answer to an update of the gateway, and stays: the conversation waits for that answer."""


@dataclass(slots=True)
class Guard:
    """Guard of one call, in one epoch. It is told each event that the gateway sends, and hears each of the server.

    Args:
        mode: what is done about a finding.
        policy: what the page may do.
        placed: the session that the call was placed with.
        epoch: for the moments.
        new_id: makes an event id of the gateway, told what for.
        quirks: how the provider's servers show a tool.
    """

    mode: GuardMode
    policy: ClientPolicy
    placed: Event
    epoch: int
    new_id: Callable[[str], str]
    quirks: Quirks = USUAL
    reference: Event | None = None
    """The session as the server showed it after the gateway's last update."""
    findings: int = 0
    _updates: deque[tuple[str, Event]] = field(default_factory=deque)
    """The gateway's updates that the server has not answered."""
    _creates: deque[str] = field(default_factory=deque)
    _active: set[str] = field(default_factory=set)
    """Responses of the conversation that have begun and not ended."""
    _turns: int = 0
    """Turns of the user that no response has answered yet: the server begins one by itself."""
    _ours: dict[str, None] = field(default_factory=dict)
    _outputs: dict[str, Event] = field(default_factory=dict)
    _models: dict[str, None] = field(default_factory=dict)
    _foreign: dict[str, None] = field(default_factory=dict)
    """Items and responses of the page that the conversation does not hear of."""
    _deleting: dict[str, None] = field(default_factory=dict)

    def expects(self, outputs: Mapping[str, Event | None]) -> None:
        """Note outputs that the gateway before this one may have sent, by id; None: in words that are not known."""
        for item_id, item in outputs.items():
            _keep(self._ours, item_id)
            if item is not None:
                _keep(self._outputs, item_id, item, OUTPUTS)

    def sent(self, event: Event) -> None:
        """Note an event that the gateway sends: what comes of it is no finding."""
        match event["type"]:
            case kind if kind == UPDATE_SESSION:
                self._updates.append((event["event_id"], event["session"]))
                self.placed = merged(self.placed, event["session"])
            case kind if kind == CREATE_ITEM:
                item = event["item"]
                _keep(self._ours, str(item.get("id")))
                if item["type"] == "function_call_output":
                    _keep(self._outputs, str(item.get("id")), item, OUTPUTS)
            case kind if kind == DELETE_ITEM:
                _keep(self._deleting, event["item_id"])
            case kind if kind == CREATE_RESPONSE:
                self._creates.append(event["event_id"])

    def hear(self, event: ModelEvent, now: float) -> tuple[bool, list[Action]]:
        """Return whether the conversation may hear of the event, and what is done about it."""
        finding = self._judge(event)
        if finding is None:
            return not self._is_foreign(event), []
        self.findings += 1
        return not self._hides(event, finding), self._answer(finding, now)

    # — what is done —

    def _answer(self, finding: Finding, now: float) -> list[Action]:
        if self.mode == "watch" and self.findings > TOLD:
            return []
        hangs_up = self.mode == "hang_up" or (self.mode == "mend" and self.findings > MENDS)
        mends = self.mode == "mend" and not hangs_up
        did = "hung_up" if hangs_up else "mended" if mends and finding.mend else "watched"
        moment = Moment(MomentKind.GUARDED, now, self.epoch, detail=f"{finding.what}: {did}")
        told: list[Action] = [Guarded(finding.what, did, finding.detail), KeepMoments([moment])]
        if hangs_up:
            return [*told, Close(ENDED["guarded"], "guarded")]
        return [*told, *(SendToModel(each) for each in finding.mend if mends)]

    def _hides(self, event: ModelEvent, finding: Finding) -> bool:
        """Return True for what would mislead the conversation: it believes what the server shows."""
        if finding.what in ("session", "forged_output", "forged_item"):
            return not finding.answers
        return finding.what == "message" and self.mode == "mend"

    def _is_foreign(self, event: ModelEvent) -> bool:
        if isinstance(event, ResponseStarted | ResponseFinished):
            return False  # what it costs is counted
        item_id = event.item.id if event.item is not None else event.item_id
        return str(item_id) in self._foreign or str(event.response_id) in self._foreign

    # — what is found —

    def _judge(self, event: ModelEvent) -> Finding | None:
        match event:
            case SessionUpdated(session=session):
                return self._session(session)
            case ItemShown(item=item) if event.raw.get("type") in SHOWN_FIRST:
                return self._item(item, event.raw["item"].get("output"))
            case ItemDeleted():
                return self._deleted(str(event.item_id))
            case OutputItemStarted(item=item) | OutputItemFinished(item=item):
                _keep(self._models, str(item.id))
            case ResponseStarted(response=response):
                return self._response(response)
            case ResponseFinished(response=response):
                self._active.discard(str(response.id))
            case UserTurnCommitted() | UserStayedSilent():
                self._turns += 1
            case ErrorReported(error=error):
                self._refused(str(error.event_id))
        return None

    def _refused(self, event_id: str) -> None:
        """Forget an event of the gateway that the server refused: nothing comes of it."""
        self._updates = deque(each for each in self._updates if each[0] != event_id)
        self._creates = deque(each for each in self._creates if each != event_id)

    def _session(self, shown: Event) -> Finding | None:
        if self._updates:
            changed = self._changed(shown, self._updates[0][1])
            if not changed:
                self._updates.popleft()
                self.reference = shown
                return None
        else:
            changed = self._changed(shown, {})
        allowed = [name for name in changed if _is_allowed(name, self.policy.session)]
        foreign = sorted(set(changed) - set(allowed))
        if not foreign:
            return None
        mend = self._reasserted(foreign)
        if self.mode != "watch" and mend:
            return Finding("session", ", ".join(foreign), mend)
        answers = self.reference is None and bool(self._updates)
        if answers:
            self._updates.popleft()
        self.reference = shown  # it stays so, and is no news with the next update
        return Finding("session", ", ".join(foreign), answers=answers)

    def _changed(self, shown: Event, update: Event) -> list[str]:
        """Return the guarded fields that are neither as they were nor as the gateway's update has them."""
        before, set_now = _fields(self.reference or {}), _fields(update)
        asked, now = _fields(self.placed), _fields(shown)
        changed = []
        for name, value in now.items():
            if name in before and name not in set_now:
                is_same = value == before[name]
            elif name in asked and (name in LOOSELY or name in set_now):
                is_same = self._is_alike(name, value, asked[name])
            elif name in UNASKED and name not in asked:
                is_same = not value
            else:
                is_same = True  # the server's own value, shown for the first time
            if not is_same:
                changed.append(name)
        return changed

    def _is_alike(self, name: str, shown: Any, asked: Any) -> bool:
        """Compare a field with what was asked for: servers fold white space, and write tools in their own way."""
        if name == "instructions":
            return str(shown or "").split() == str(asked or "").split()
        if name == "tools":
            return (not shown and not asked) or self._has_tools(shown, asked)
        return shown is None or shows(shown, asked)

    def _has_tools(self, shown: Any, asked: Any) -> bool:
        """Return True if these are the tools that were asked for, by name, and by words as far as they are shown."""
        theirs, ours = self._by_name(shown), self._by_name(asked)
        return theirs.keys() == ours.keys() and all(_has_words(theirs[name], ours[name]) for name in ours)

    def _by_name(self, tools: Any) -> dict[str, Event]:
        return {self.quirks.tool_name(tool): tool for tool in tools or () if isinstance(tool, dict)}

    def _reasserted(self, names: Iterable[str]) -> tuple[Event, ...]:
        """Return the update that sets these fields as they were; the model of a session cannot be changed."""
        asked, before = _fields(self.placed), _fields(self.reference or {})
        session: Event = {"type": "realtime"}
        for name in names:
            known = {**UNASKED, **before, **asked}
            if name in FOR_GOOD or name not in known:
                continue
            value: Any = known[name]
            for part in reversed(name.split(".")):
                value = {part: value}
            session = merged(session, value)
        if len(session) == 1:
            return ()
        return ({"type": UPDATE_SESSION, "event_id": self.new_id("guard"), "session": session},)

    def _item(self, item: Item, output: Any) -> Finding | None:
        item_id, kind = str(item.id), str(item.type)
        ours = self._outputs.get(item_id)
        is_swapped = ours is not None and output != ours["output"]  # it was deleted, and another has its id
        if not is_swapped and (item_id in self._ours or item_id in self._models or item_id in self._foreign):
            return None
        what = self._forged(item)
        if what is None:
            return None
        mend = [{"type": DELETE_ITEM, "event_id": self.new_id("guard"), "item_id": item_id}]
        if is_swapped:
            mend.append(self._again(ours))
        else:
            _keep(self._foreign, item_id)
        return Finding(what, f"{kind} {item.role or item.call_id or ''}".strip()[:MAX_DETAIL], tuple(mend))

    def _again(self, output: Event | None) -> Event:
        return {"type": CREATE_ITEM, "event_id": self.new_id("guard"), "item": output}

    def _forged(self, item: Item) -> str | None:
        """Return what an item is that is neither the gateway's nor known as the model's; None: it may be there."""
        if item.type == "function_call_output":
            return "forged_output"
        if item.type == "message" and item.role == "user":
            typed = any(isinstance(part, dict) and part.get("type") != "input_audio" for part in item.content or ())
            may_type = CREATE_ITEM in self.policy.events and "user" in self.policy.roles
            return None if may_type or not typed else "message"
        if item.type == "message" and CREATE_ITEM in self.policy.events and item.role in self.policy.roles:
            return None
        if item.type == "function_call" or (item.type == "message" and item.role not in NOT_THE_MODELS):
            begins = item.status != "completed" and self._active  # not every server names it in its response first
            return None if begins else "forged_item"
        if item.type == "message":
            return "forged_item"
        return "forged_item" if item.type == "mcp_approval_response" else None

    def _deleted(self, item_id: str) -> Finding | None:
        self._foreign.pop(item_id, None)  # the next item of that id is another
        if item_id in self._deleting:
            del self._deleting[item_id]
            return None
        self._ours.pop(item_id, None)
        if DELETE_ITEM in self.policy.events:
            return None
        output = self._outputs.get(item_id)
        if output is None:
            return Finding("deleted", item_id[:MAX_DETAIL])
        return Finding("deleted", f"output {item_id}"[:MAX_DETAIL], (self._again(output),))

    def _response(self, response: Response) -> Finding | None:
        response_id = str(response.id)
        mark = mark_of(response)
        if mark in self._creates:
            self._creates.remove(str(mark))
            if not response.is_out_of_band:
                self._active.add(response_id)
            return None
        if response.is_out_of_band:
            if "input" in self.policy.response:
                return None
            _keep(self._foreign, response_id)
            return Finding("out_of_band", response_id[:MAX_DETAIL], self._cancelled(response_id))
        self._active.add(response_id)
        if self._creates:
            self._creates.popleft()
        elif self._turns:
            self._turns = 0
        elif CREATE_RESPONSE not in self.policy.events:
            return Finding("response", response_id[:MAX_DETAIL], self._cancelled(response_id))
        return None

    def _cancelled(self, response_id: str) -> tuple[Event, ...]:
        return ({"type": CANCEL_RESPONSE, "event_id": self.new_id("guard"), "response_id": response_id},)


def _fields(session: Event) -> dict[str, Any]:
    """Return the guarded fields of a session by dotted names, as a policy names them."""
    found = {name: session[name] for name in GUARDED if name in session}
    audio = session.get("audio")
    for side in ("input", "output"):
        part = audio.get(side) if isinstance(audio, dict) else None
        if isinstance(part, dict):
            found.update({f"audio.{side}.{name}": value for name, value in part.items()})
    return found


def _has_words(shown: Event, asked: Event) -> bool:
    """Return True if a tool is described as it was asked for; a server may fold white space, and add to a schema."""
    shown = shown.get("function") or shown
    if asked.get("type") != "function":
        return True
    words, ours = str(shown.get("description") or "").split(), str(asked.get("description") or "").split()
    return (not words or words == ours) and (
        not shown.get("parameters") or shows(shown["parameters"], asked.get("parameters"))
    )


def _is_allowed(name: str, allowed: Iterable[str]) -> bool:
    """Return True if a policy opens this field. One that it opens a part of counts, too."""
    return any(each == name or each.startswith(f"{name}.") for each in allowed)


def _keep(known: dict[str, Any], key: str, value: Any = None, most: int = KNOWN) -> None:
    """Remember the key, and forget the oldest."""
    known[key] = value
    while len(known) > most:
        del known[next(iter(known))]
