"""Rows for the gallery: calls in every state, talks that are told in moments, usage and acts; texts of odd lengths."""

from __future__ import annotations

import math
from array import array
from typing import Any
from uuid import UUID, uuid4

from playwright.sync_api import Page, expect
from sqlalchemy import text

from gateway.auth.tokens import Kind, digest, new
from ringback.jobs import outcomes
from ringback.recordings.audio import Codec, Format, Piece, Voice, loudness
from ringback.statements import recordings
from ringback.statements.identity import credentials
from ringback.statements.jobs import transitions
from ringback.statements.operators import acts
from ringback.statements.operators.audit import Operator
from tests.browser.stack_of_ones_own import PATIENCE_MS
from tests.integration.statements.test_history import Line

ADA = Operator("default", "ada", "key:0d6e1d9c-7a53-4a54-a9c1-5ad6ab9f3a11", "the carrier answers with wrong orders")
LONG_NAME = "reconcile_the_quarterly_inventory_of_every_warehouse"
LONG_WORD = "Donaudampfschifffahrtsgesellschaftskapitaen" * 2
TRACE = """Traceback (most recent call last):
  File "/srv/tools/orders.py", line 41, in order_status
    return ORDERS[order_id]
           ~~~~~~^^^^^^^^^^
KeyError: 'Z-9'
"""
FAILURE = {"attempt": 1, "type": "KeyError", "at": "orders.py:41", "trace": TRACE}
MOMENT = text(
    "INSERT INTO moments (session_id, epoch, number, at, kind, response_id, ms, detail) SELECT id, :epoch, :number, "
    "created_at + make_interval(secs => :after), :kind, :response, :ms, :detail FROM sessions WHERE id = :session"
)
SAID = text(
    "INSERT INTO items (session_id, position, item_id, role, content, epoch, created_at) SELECT id, :number, :item, "
    ":role, jsonb_build_array(jsonb_build_object('type', 'text', 'text', CAST(:words AS text))), 1, "
    "created_at + make_interval(secs => :after) FROM sessions WHERE id = :session"
)
EARLIER = text("UPDATE sessions SET created_at = clock_timestamp() - make_interval(secs => :ago) WHERE id = :session")
ENDED = text(
    "UPDATE sessions SET state = 'ended', end_reason = :why, ended_at = created_at + make_interval(secs => :length), "
    "epoch = :epoch WHERE id = :session"
)
LIVED = text(
    "UPDATE jobs SET created_at = s.created_at + make_interval(secs => :asked), "
    "started_at = s.created_at + make_interval(secs => :began), "
    "finished_at = s.created_at + make_interval(secs => :ended), delivery = 'heard', delivered_epoch = 1, "
    "spoken_at = s.created_at + make_interval(secs => :ended + 0.4), heard_by = 'report', "
    "heard_at = s.created_at + make_interval(secs => :ended + 1.6), audio_ms = 3000, played_ms = 3000 "
    "FROM sessions AS s WHERE s.id = jobs.session_id AND jobs.id = :job"
)
USED = text(
    "INSERT INTO usage_days (tenant, user_id, day, agent, model, responses, input_tokens, output_tokens, micros) "
    "SELECT 'default', who, current_date - back, 'demo', 'gpt-realtime-2.1', 40 + back * 7, 1500000 + back * 90000, "
    "80000 + back * 4000, 2500000 + back * 410000 FROM generate_series(0, 9) AS back, "
    "unnest(ARRAY['ada', 'eve@a-company-with-a-long-name.example', '']) AS who"
)
WAITED = [
    (0.0, "client_came", None, None, "new"),
    (0.1, "epoch_began", None, None, "first"),
    (1.0, "user_began", None, None, None),
    (3.0, "user_ended", None, None, "heard"),
    (17.0, "response_spoke", "r1", None, "audio"),
    (17.8, "response_ended", "r1", 6_000.0, "completed"),
    (20.5, "barge_in", None, 2_500.0, None),
    (20.5, "user_began", None, None, None),
    (20.6, "response_played", "r1", 3_500.0, "truncate"),
    (23.0, "user_ended", None, None, "heard"),
    (24.1, "response_spoke", "r2", None, "audio"),
    (24.6, "response_ended", "r2", 2_500.0, "cancelled"),
    (31.0, "client_left", None, None, "gateway_lost"),
    (31.0, "epoch_ended", None, None, "upstream_closed"),
    (35.0, "client_came", None, None, "resumed"),
    (35.2, "epoch_began", None, None, "upstream_closed"),
    (37.0, "user_typed", None, None, None),
    (38.2, "response_spoke", "r3", None, "audio"),
    (38.9, "response_ended", "r3", 4_000.0, "completed"),
]
"""What happened in the talk in which the caller waited 14 s: seconds, kind, response, milliseconds, detail."""
KILLED = [
    (0.0, "client_came", None, None, "new"),
    (0.1, "epoch_began", None, None, "first"),
    (1.0, "user_began", None, None, None),
    (3.0, "user_ended", None, None, "heard"),
    (5.0, "response_spoke", "r1", None, "audio"),
    (5.4, "response_ended", "r1", 5_500.0, "completed"),
    (27.0, "user_began", None, None, None),
    (36.0, "client_came", None, None, "resumed"),
    (36.2, "epoch_began", None, None, "gateway_lost"),
    (38.0, "response_spoke", "r2", None, "audio"),
    (38.6, "response_ended", "r2", 3_500.0, "completed"),
]
"""What happened in the talk whose gateway was killed: what it had not written is not known."""
WORDS = [
    (3.2, "user", "Where is my order A-1042, and what is the weather where it is now?"),
    (17.2, "assistant", "Your order A-1042 is in Graz. It should arrive today before six in the evening."),
    (23.1, "user", f"Stop. I meant the other one: {LONG_WORD}"),
    (24.4, "assistant", "Which one is that?"),
    (37.0, "user", "<b>Never mind</b>"),
    (38.5, "assistant", "Call again whenever you like."),
]


def fill(rows: Line) -> dict[str, str]:
    """Write the rows; return the pages that show one of them, by name."""
    waited = talk_with_a_wait(rows)
    live = rows.open()
    force(rows, EARLIER.bindparams(session=live, ago=42))
    tell(rows, live, WAITED[:6])
    running = rows.ask(live, "order_status", {"order_id": "A-1042"})
    rows.claim(running)
    (slow,) = rows.run(text("SELECT id FROM jobs WHERE session_id = :s AND tool = 'order_status'").bindparams(s=waited))
    rows.run(USED)
    return {
        "session-past": f"/sessions/{waited}",
        "session-live": f"/sessions/{live}",
        "session-recorded": f"/sessions/{recorded_talk(rows)}",
        "job-done": f"/jobs/{slow.id}",
    } | {name: f"/jobs/{job}" for name, job in calls(rows, live).items()}


def talk_with_a_wait(rows: Line) -> UUID:
    """Write a talk of 45 s, in which the caller waits, talks over the answer, and loses the connection."""
    session = rows.open()
    force(rows, EARLIER.bindparams(session=session, ago=600))
    tell(rows, session, WAITED)
    for number, (after, role, words) in enumerate(WORDS):
        said = SAID.bindparams(
            session=session, number=10 * number, item=f"i{number}", role=role, words=words, after=after
        )
        rows.run(said)
    for tool, asked, began, ended in (("weather", 3.4, 3.5, 3.9), ("order_status", 3.4, 9.4, 16.2)):
        job = rows.ask(session, tool, {"order_id": "A-1042", "city": "Graz"}, position=int(10 * asked - 30))
        rows.finish(job, rows.claim(job), outcomes.succeeded({"status": "in Graz", "eta": "today before six"}))
        force(rows, LIVED.bindparams(job=job, asked=asked, began=began, ended=ended))
    force(rows, ENDED.bindparams(session=session, why="client_closed_1000", length=45, epoch=2))
    return session


def key_with(rows: Line, *scopes: str) -> str:
    """Make a key of a user; return it."""
    key = new(Kind.KEY)
    made = credentials.create_key(uuid4(), digest(key), user="eve", tenant="default", scopes=scopes, seconds_valid=None)
    rows.run(made)
    return key


def sign_in(page: Page, url: str, key: str) -> None:
    """Sign in at the console, by the keyboard alone."""
    page.goto(f"{url}/console/sign-in")
    type_token(page, key)
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible(timeout=PATIENCE_MS)


def type_token(page: Page, token: str) -> None:
    """Type a token where the page has put the cursor: before that its first letters would be lost."""
    expect(page.locator("#token")).to_be_focused(timeout=PATIENCE_MS)
    page.keyboard.type(token)
    page.keyboard.press("Enter")


def recorded_talk(rows: Line) -> UUID:
    """Write a talk of 45 s with both voices, of which some was lost as its gateway was killed."""
    session = rows.open()
    force(rows, EARLIER.bindparams(session=session, ago=1_200))
    tell(rows, session, KILLED)
    lost = Piece(Voice.MODEL, 1, 9_000, 1_500, Codec.LOST, 0, b"", b"")
    heard = [(Voice.CALLER, 1_000, 2.0, 0.05), (Voice.MODEL, 5_000, 4.0, 0.03), (Voice.MODEL, 38_000, 3.5, 0.03)]
    rows.run(recordings.save(session, [*(hum(at, long, voice, pitch) for voice, at, long, pitch in heard), lost]))
    force(rows, ENDED.bindparams(session=session, why="client_closed_1000", length=45, epoch=2))
    return session


def hum(from_ms: int, seconds: float, voice: Voice, pitch: float) -> Piece:
    """A voice that swells, as a syllable does, four times a second."""
    count = int(24_000 * seconds)
    waves = (math.sin(at * pitch) * abs(math.sin(at * 4 * math.pi / 24_000)) for at in range(count))
    audio = array("h", [int(12_000 * wave) for wave in waves]).tobytes()
    return Piece(voice, 1, from_ms, int(seconds * 1_000), Codec.PCM, 24_000, audio, loudness(Format(), audio))


def force(rows: Line, statement: Any) -> None:
    """Run a statement that the triggers refuse, as no process may do what it does."""
    rows.run(text("SET session_replication_role = replica"))
    rows.run(statement)
    rows.run(text("SET session_replication_role = origin"))


def tell(rows: Line, session: UUID, moments: list[tuple[Any, ...]]) -> None:
    for number, (after, kind, response, ms, detail) in enumerate(moments):
        given = {"session": session, "epoch": 2 if after > 35 else 1, "number": number, "after": after, "kind": kind}
        rows.run(MOMENT.bindparams(**given, response=response, ms=ms, detail=detail))


def calls(rows: Line, live: UUID) -> dict[str, UUID]:
    """Write a call of each state; return those that a page of their own is looked at."""
    other = rows.open("a-front-desk-for-the-night-shift-of-a-large-hotel")
    failed = rows.ask(other, "order_status", {"order_id": "Z-9", "note": LONG_WORD})
    told = rows.claim(failed)
    rows.run(transitions.finish(failed, told, outcomes.failed("tool_failed", "The function failed."), failure=FAILURE))
    waiting = rows.ask(other, "transfer_money", {"to": "Eve", "amount": 250, "currency": "EUR"})
    force(rows, text("UPDATE jobs SET approval = 'requested' WHERE id = :job").bindparams(job=waiting))
    for state in ("timed_out", "dead", "unknown", "cancelled"):
        job = rows.ask(other, LONG_NAME, {"state": state, "list": list(range(60))})
        rows.finish(job, rows.claim(job), outcomes.failed("x", "y"))
        force(rows, text("UPDATE jobs SET state = :state WHERE id = :job").bindparams(state=state, job=job))
    rows.run(acts.rerun(ADA, [failed]))
    (again,) = rows.run(text("SELECT id FROM jobs WHERE rerun_of = :job").bindparams(job=failed))
    rows.run(acts.end_session(ADA, other))
    return {"job-failed": failed, "job-approval": waiting, "job-rerun": again.id}
