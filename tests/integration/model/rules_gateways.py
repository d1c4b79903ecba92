"""What gateways do, and clients and the Realtime API to them; each acts on what it believes."""

from __future__ import annotations

from hashlib import sha256
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from ringback.jobs.outcomes import failed
from ringback.jobs.states import HeardBy
from ringback.statements.jobs import admission, approvals, deliveries, transitions
from ringback.statements.jobs.admission import NewJob
from ringback.statements.jobs.deliveries import Told
from ringback.statements.sessions import items, lifecycle
from ringback.statements.sessions.items import Message
from tests.integration.model.story import GATEWAYS, TOOLS, Conversation, Story

some = st.integers(0, 7)
REFUSED = failed("invalid_arguments", "No.")


def believes(machine: Any) -> bool:
    return bool(machine.conversations)


def has_jobs(machine: Any) -> bool:
    return bool(machine.expected.jobs)


class GatewayRules(Story):
    """admit, deliver, mark, rebuild, resume, end."""

    @precondition(believes)
    @rule(
        which=some,
        tool=some,
        what=st.sampled_from(["published", "published", "not published", "refused"]),
        beside=st.sampled_from(["runs", "runs", "joins", "asks"]),
    )
    def admit(self, which: int, tool: int, what: str, beside: str = "runs") -> None:
        """A call that joins another, or asks, is announced to workers all the same: they must leave it."""
        each, announced = self.pick(self.conversations, which), self.pick(TOOLS, tool)
        job, call, position = UUID(int=self.number() << 64), f"call_{self.number()}", each.position + 1
        waits = {} if what == "refused" else self.waiting(each, beside, tool)
        new = NewJob(
            job, each.session, call, "resp_1", announced.name, {}, announced, f"item_{call}", position, **waits
        )
        found = self.real.ids(admission.admit(new, each.gateway, each.epoch, REFUSED if what == "refused" else None))
        owner = each.session, each.gateway, each.epoch
        asks, first = new.needs_approval, new.joined_to
        assert found == self.expected.admit(job, *owner, call, announced, position, joined_to=first, asks=asks)
        self.count("admit", found)
        if found:
            each.position = position
            each.calls.add(job)
            if what == "refused":
                self.expected.refuse(job)
            elif what == "published":  # else its gateway died in between
                self.messages.append(job)

    def waiting(self, each: Conversation, beside: str, which: int) -> dict[str, Any]:
        """What a call waits for, as fields of NewJob."""
        others = [name for name, row in self.expected.jobs.items() if row.session == each.session]
        if beside == "joins" and others:
            return {"joined_to": self.pick(others, which)}
        return {"needs_approval": True} if beside == "asks" else {}

    @precondition(has_jobs)
    @rule(job=some, approved=st.booleans(), is_asked=st.sampled_from([True, True, False]))
    def decide(self, job: int, approved: bool, is_asked: bool) -> None:
        """By a user who is asked about it, or by somebody who meant another one."""
        asking = [name for name, row in self.expected.jobs.items() if row.approval == "requested"]
        name = self.pick(asking if asking and is_asked else list(self.expected.jobs), job)
        moved = self.real.ids(approvals.decide(name, "default", approved))
        assert moved == self.expected.decide(name, approved)
        self.count("decide", moved)

    @precondition(lambda self: believes(self) and has_jobs(self))
    @rule(which=some, job=some)
    def the_event_of_a_call_comes_again(self, which: int, job: int) -> None:
        each = self.pick(self.conversations, which)
        known = self.pick(list(self.expected.jobs.values()), job)
        again = NewJob(UUID(int=self.number() << 64), known.session, known.call_id, None, "look", {}, TOOLS[0])
        assert self.real.ids(admission.admit(again, each.gateway, each.epoch)) == set()
        self.seen["refused: repeated call"] += 1

    @precondition(believes)
    @rule(which=some)
    def keep_a_message(self, which: int) -> None:
        each = self.pick(self.conversations, which)
        position, item = each.position + 1, f"said_{self.number()}"
        said = Message(position, item, "user", [{"type": "input_text", "text": "hello"}])
        moved = self.real.count(items.save(each.session, each.gateway, each.epoch, [said]))
        assert moved == self.expected.keep(each.session, each.gateway, each.epoch, position, item)
        each.position += moved

    @precondition(believes)
    @rule(which=some, then=st.sampled_from(["write", "write", "wait", "die"]))
    def deliver(self, which: int, then: str) -> None:
        """Read what is ready and write it to the conversation; a gateway that dies between the two leaves it ready."""
        each = self.pick(self.conversations, which)
        held, given = (each.session, each.gateway, each.epoch), [*each.unwritten, *each.unmarked]
        found = self.real.ids(deliveries.read_ready(*held, given=given))
        assert found == self.expected.read_ready(*held, given)
        is_old = self.expected.sessions[each.session].epoch != each.epoch
        self.count("take of an old epoch" if is_old else "take", found)
        each.unwritten += sorted(found)
        if then == "write":
            each.write()
        elif then == "die":
            self.cut_off(each)

    @precondition(lambda self: any(each.unwritten for each in self.conversations))
    @rule()
    def write_late(self) -> None:
        for each in self.conversations:
            each.write()

    @precondition(lambda self: any(each.unmarked or each.unechoed for each in (*self.conversations, *self.over)))
    @rule(echoes=st.booleans(), is_heard=st.sampled_from([True, True, False]))
    def mark(self, echoes: bool, is_heard: bool) -> None:
        """What was given is recorded behind the send, alone or with its echoes, in conversations that are over too.

        Args:
            echoes: the server has echoed all that it was sent.
            is_heard: the gateway hears that it is recorded; else it records the same once more.
        """
        for each in (*self.conversations, *self.over):
            echoed = each.unechoed if echoes else []
            given = {*each.unmarked, *echoed}
            marking = each.session, each.gateway, each.epoch, given, echoed
            moved = self.real.count(deliveries.mark(*marking))
            assert moved == self.expected.mark(*marking)
            if given:
                is_old = self.expected.sessions[each.session].epoch != each.epoch
                self.count("mark of an old epoch" if is_old else "mark", moved)
            if is_heard:
                each.unmarked = []
                each.unechoed = [] if echoes else each.unechoed

    @precondition(lambda self: any(each.unmarked for each in self.conversations))
    @rule(echoes=st.booleans())
    def drop_before_the_mark(self, echoes: bool) -> None:
        """The connection to the model ends between the send and its record."""
        self.upstream_drop(next(at for at, each in enumerate(self.conversations) if each.unmarked))
        self.mark(echoes, is_heard=True)

    @precondition(lambda self: any(each.outputs for each in (*self.conversations, *self.over)))
    @rule(which=some, job=some, is_heard=st.booleans())
    def tell(self, which: int, job: int, is_heard: bool) -> None:
        """The model tells a result, in a conversation that may be over, and the user hears it or not."""
        each = self.pick([each for each in (*self.conversations, *self.over) if each.outputs], which)
        name, held = self.pick(each.outputs, job), (each.session, each.gateway, each.epoch)
        now = self.expected.now / 1_000
        heard = (now, HeardBy.REPORT) if is_heard else ()
        told = Told(name, f"resp_{each.epoch}", now, now, *heard)
        moved = self.real.ids(deliveries.note_told(*held, [told], now))
        assert moved == self.expected.note_told(*held, name, told.answer_id, is_heard)
        is_old = self.expected.sessions[each.session].epoch != each.epoch
        self.count("tell of an old epoch" if is_old else "tell", moved)

    @precondition(believes)
    @rule(which=some)
    def upstream_drop(self, which: int) -> None:
        each = self.pick(self.conversations, which)
        (bumped,) = self.real.run(lifecycle.next_epoch(each.session, each.gateway, each.epoch))
        moved = self.expected.next_epoch(each.session, each.gateway, each.epoch)
        assert [row.epoch for row in bumped] == [each.epoch + 1] * moved
        self.count("next epoch", moved)
        if moved:
            self.cut_off(each)
            self.rebuilt(each.session, each.gateway, each.epoch + 1)

    @rule(gateway=st.sampled_from(GATEWAYS), is_used=st.sampled_from([False, False, True]))
    def resume(self, gateway: str, is_used: bool) -> None:
        """A client comes with its token: detached or taken over from a gateway that still believes to own it."""
        good = [row.resume_hash for row in self.expected.sessions.values() if row.resume_hash is not None]
        tokens = self.used_tokens if is_used else good
        if not tokens:
            return
        token, new = tokens[-1], sha256(b"token %d" % self.number()).digest()
        moving = lifecycle.resume(token, new, user_id="ada", gateway_id=gateway)
        (found,) = self.real.run(moving)
        session = self.expected.resume(token, new, gateway)
        assert [row.id for row in found] == ([] if session is None else [session])
        self.count("resume with a used token" if is_used else "resume", session)
        if session is not None:
            self.used_tokens.append(token)
            epoch = self.expected.sessions[session].epoch
            assert found[0].epoch == epoch
            self.rebuilt(session, gateway, epoch)

    @precondition(believes)
    @rule(which=some, how=st.sampled_from(["end", "detach", "detach", "drain"]))
    def part(self, which: int, how: str) -> None:
        each = self.pick(self.conversations, which)
        key = each.session, each.gateway, each.epoch
        if how == "drain":
            assert self.real.count(lifecycle.drain(each.gateway)) == self.expected.drain(each.gateway)
            return
        statement = lifecycle.end_session(*key, "client_left") if how == "end" else lifecycle.detach(*key)
        moved = self.real.count(statement)
        assert moved == (self.expected.end(*key) if how == "end" else self.expected.detach(*key))
        self.count(how, moved)
        if moved:
            self.cut_off(each)

    @precondition(has_jobs)
    @rule(job=some)
    def cancel(self, job: int) -> None:
        name = self.pick(list(self.expected.jobs), job)
        moved = self.real.ids(transitions.cancel(name, "default"))
        assert moved == self.expected.cancel(name)
        self.count("cancel", moved)

    def cut_off(self, each: Conversation) -> None:
        """Its upstream hears nothing more; what it has heard may still be echoed."""
        each.unwritten = []
        self.conversations.remove(each)
        self.over.append(each)
