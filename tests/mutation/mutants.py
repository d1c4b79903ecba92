"""The guards, each taken away by a change of a text that stands once in its file."""

from __future__ import annotations

from tests.mutation.at_one_time import AT_ONE_TIME
from tests.mutation.at_the_door import AT_THE_DOOR
from tests.mutation.budgets import BUDGET_GUARDS
from tests.mutation.calls import CALL_GUARDS
from tests.mutation.heard import HEARD
from tests.mutation.joined_and_late import JOINED_AND_LATE
from tests.mutation.mutant import Change, Mutant, gone
from tests.mutation.operators import OPERATORS
from tests.mutation.recorded_voices import RECORDED_VOICES
from tests.mutation.strangers import STRANGERS
from tests.mutation.turn_taking import TURN_TAKING
from tests.mutation.what_clients_say import WHAT_CLIENTS_SAY
from tests.mutation.whose_data import WHOSE_DATA

JOBS, SWEEPS = "ringback/statements/jobs/transitions.py", "ringback/statements/jobs/sweeps.py"
ADMISSION = "ringback/statements/jobs/admission.py"
PROCESSES, SESSIONS = "ringback/statements/processes.py", "ringback/statements/sessions/lifecycle.py"
ITEMS, DELIVERIES = "ringback/statements/sessions/items.py", "ringback/statements/jobs/deliveries.py"
MIGRATION, DEEDS = "migrations/versions/0001_the_line.py", "gateway/session/effects.py"

T_JOBS, T_SWEEPS = "tests/integration/statements/test_transitions.py", "tests/integration/statements/test_sweeps.py"
T_EPOCHS, T_ONCE = "tests/integration/statements/test_epochs.py", "tests/integration/statements/test_at_once.py"
T_LOST, T_BACK = "tests/integration/statements/test_lost.py", "tests/integration/statements/test_deliveries.py"
T_EARLY = "tests/integration/workers/test_early_messages.py"
T_PUBLISHED = "tests/unit/gateway/session/test_calls_published.py"
T_RECORDER = "tests/integration/gateway/test_delivery_recorder.py"
GATES, GATING = "ringback/statements/jobs/gates.py", "workers/execution/tool_limits.py"
T_GATES, T_LIMITS = "tests/integration/statements/test_gates.py", "tests/integration/workers/test_gates.py"

OURS = "is_ours(session_id, gateway_id, epoch)"
ANY_EPOCH = "is_ours(session_id, gateway_id, sessions.c.epoch)"
SHARE = ".with_for_update(read=True, of=sessions)"

MUTANTS = [
    gone("the token, in all that the holder writes", T_JOBS, JOBS, " & (jobs.c.token == token)"),
    Mutant(
        "the token, in finish alone",
        T_JOBS,
        (
            Change(
                JOBS,
                "_held(job_id, token)",
                "(jobs.c.id == job_id) & (jobs.c.state == JobState.RUNNING)",
                "def finish(",
            ),
        ),
    ),
    Mutant(
        "the token, in retry alone",
        T_JOBS,
        (
            Change(
                JOBS, "_held(job_id, token)", "(jobs.c.id == job_id) & (jobs.c.state == JobState.RUNNING)", "def retry("
            ),
        ),
    ),
    gone(
        "the epoch, in admit",
        T_EPOCHS,
        ADMISSION,
        OURS,
        ANY_EPOCH,
        "def _session(",
    ),
    gone("the epoch, in read_ready", T_EPOCHS, DELIVERIES, OURS, ANY_EPOCH, "def read_ready("),
    gone(
        "the epoch, in mark and keep",
        T_EPOCHS,
        SESSIONS,
        "is_ours(claimed.c.id, gateway_id, claimed.c.epoch)",
        "is_ours(claimed.c.id, gateway_id, sessions.c.epoch)",
    ),
    gone("the epoch, in replay", T_EPOCHS, ITEMS, OURS, ANY_EPOCH, "def replay("),
    gone(
        "the epoch that a result was sent into, in mark",
        T_BACK,
        DELIVERIES,
        " & (jobs.c.delivered_epoch == mine.c.epoch)",
    ),
    gone("the epoch, in next_epoch", T_EPOCHS, SESSIONS, OURS, ANY_EPOCH, "def next_epoch("),
    gone("the epoch, in end_session", T_EPOCHS, SESSIONS, OURS, ANY_EPOCH, "def end_session("),
    gone(
        "admit waits for an epoch that begins",
        T_ONCE,
        ADMISSION,
        "mine.with_for_update(read=True, of=sessions, skip_locked=may_skip)",
        "mine",
    ),
    gone("mark and keep wait for an epoch that begins", T_ONCE, SESSIONS, SHARE, "", "def held("),
    gone("the lease, in read_ready", T_BACK, DELIVERIES, ", is_alive(gateway_id))\n", ")\n"),
    gone(
        "what was given is not read again",
        T_BACK,
        DELIVERIES,
        "            jobs.c.id != all_(type_coerce(given, ARRAY(Uuid))),\n",
        "",
        "def _ready(",
    ),
    gone(
        "the session, in mark", T_BACK, DELIVERIES, "            jobs.c.session_id.is_not_distinct_from(mine.c.id),\n"
    ),
    gone(
        "what is marked is what was ready",
        T_BACK,
        DELIVERIES,
        "is_now(jobs.c.delivery, Delivery.READY)\n",
        "(jobs.c.delivery != Delivery.NONE)\n",
        "def mark(",
    ),
    gone(
        "what was given is recorded before an epoch begins",
        T_RECORDER,
        DEEDS,
        "            await self.deliveries.write(self._session.link)\n",
        "            pass\n",
        "async def settle(",
    ),
    gone(
        "a record that failed is tried again by the next look",
        T_RECORDER,
        "gateway/session/delivery_recorder.py",
        "            self._write_soon(link)\n        session_id",
        "            pass\n        session_id",
        "async def ready(",
    ),
    Mutant(
        "one job for one call",
        T_JOBS,
        (
            Change(MIGRATION, "    CONSTRAINT uq_jobs_session_id_call_id UNIQUE (session_id, call_id),\n", ""),
            Change(ADMISSION, '(index_elements=["session_id", "call_id"])', "()"),
        ),
    ),
    gone(
        "replay or live: what is replayed is marked",
        T_EPOCHS,
        ITEMS,
        "            delivered_epoch=epoch,\n",
        "",
        "def replay(",
    ),
    gone(
        "replay or live: only what is over is replayed",
        T_EPOCHS,
        ITEMS,
        "jobs.c.state.in_(sorted(TERMINAL)),",
        "",
        "def replay(",
    ),
    gone(
        "replay or live: what is live is only what is ready",
        T_BACK,
        DELIVERIES,
        "jobs.c.delivery == Delivery.READY,\n            jobs.c.id != ",
        "jobs.c.state == 'succeeded',\n            jobs.c.id != ",
        "def _ready(",
    ),
    gone(
        "a message that comes before its row waits for it",
        T_EARLY,
        "workers/execution/claim.py",
        "for pause in EARLY_PAUSES:",
        "for pause in EARLY_PAUSES[:0]:",
    ),
    gone(
        "a row that comes as its worker looks is claimed",
        T_EARLY,
        "workers/execution/claim.py",
        "return Early()  #",
        "return None  #",
    ),
    gone(
        "a call whose row came late is published again",
        T_PUBLISHED,
        DEEDS,
        " or time.monotonic() - published_at > EARLY_SECONDS",
    ),
    gone(
        "a row that waits for another comes before its message",
        T_PUBLISHED,
        DEEDS,
        " or not self._gateway.admissions.is_idle",
    ),
    gone(
        "a call that waits for a yes is not published",
        T_PUBLISHED,
        "gateway/conversation/actions.py",
        " or job.needs_approval",
    ),
    gone("the effect barrier begins once", T_JOBS, JOBS, "jobs.c.effect_started.is_(False), ", "", "def begin_effect("),
    gone(
        "the effect barrier stops for a cancellation",
        T_JOBS,
        JOBS,
        "jobs.c.cancel_requested.is_(False))",
        "jobs.c.id.is_not(None))",
        "def begin_effect(",
    ),
    gone(
        "an effect that may have happened is unknown, in a rescue",
        T_SWEEPS,
        SWEEPS,
        "(begun, JobState.UNKNOWN),",
        "",
        "def take_back_lost(",
    ),
    gone(
        "an effect that may have happened is unknown, handed back",
        T_EPOCHS,
        JOBS,
        "(begun, JobState.UNKNOWN), ",
        "",
        "def hand_back(",
    ),
    gone("sweepers skip what others hold", T_SWEEPS, SWEEPS, "of=table, skip_locked=True", "of=table"),
    gone(
        "lose_workers skips what others hold",
        T_LOST,
        PROCESSES,
        ".with_for_update(skip_locked=True)",
        ".with_for_update()",
    ),
    gone(
        "publish_again skips what others hold", T_LOST, SWEEPS, "with_for_update(skip_locked=True)", "with_for_update()"
    ),
    gone("rows are locked in id order, in replay", T_ONCE, ITEMS, "        .order_by(jobs.c.id)\n", "", "def replay("),
    gone(
        "rows are locked in id order, in mark",
        T_ONCE,
        DELIVERIES,
        "        .order_by(jobs.c.id)\n",
        "        .order_by(jobs.c.id.desc())\n",
        "def mark(",
    ),
    gone("only who is steady takes jobs back", T_LOST, SWEEPS, ", is_steady(sweeper_id)", "", "def lost_jobs("),
    gone(
        "only who is steady lets sessions go",
        T_LOST,
        SWEEPS,
        ", is_steady(sweeper_id)",
        "",
        "def lost_sessions(",
    ),
    gone(
        "only who is steady loses workers",
        T_LOST,
        PROCESSES,
        "        is_steady(sweeper_id),\n",
        "",
        "def lost_workers(",
    ),
    gone("a resume token is used up", T_EPOCHS, SESSIONS, "            resume_hash=new_hash,\n", ""),
    gone("a resume token is its user's", T_EPOCHS, SESSIONS, "        & (sessions.c.user_id == user_id)\n", ""),
    gone(
        "a resume token runs out",
        T_EPOCHS,
        SESSIONS,
        '        & ((sessions.c.state != "detached") | (sessions.c.resume_until > now()))\n',
        "",
    ),
    gone(
        "a resumption begins an epoch",
        T_EPOCHS,
        SESSIONS,
        "epoch=sessions.c.epoch + 1,",
        "epoch=sessions.c.epoch,",
        "def resume(",
    ),
    gone(
        "a retry waits its backoff",
        T_JOBS,
        JOBS,
        "            jobs.c.not_before.is_(None) | (jobs.c.not_before <= now()),\n",
        "",
    ),
    gone(
        "a call that is cancelled is not claimed",
        T_JOBS,
        JOBS,
        "            jobs.c.cancel_requested.is_(False),\n",
        "",
        "def claim(",
    ),
    gone(
        "a call past its deadline is not claimed",
        T_JOBS,
        JOBS,
        "            jobs.c.deadline_at > now(),\n",
        "",
        "def claim(",
    ),
    gone(
        "a pending job is claimed once",
        T_JOBS,
        JOBS,
        "            is_now(jobs.c.state, JobState.PENDING),\n",
        "",
        "def claim(",
    ),
    gone(
        "no answer is ready in a session that is over",
        T_JOBS,
        JOBS,
        '(sessions.c.state == "ended", Delivery.HISTORY_ONLY)',
        '(sessions.c.state == "nowhere", Delivery.HISTORY_ONLY)',
    ),
    gone(
        "what must not run twice is not tried again",
        T_JOBS,
        JOBS,
        "            (jobs.c.effect != Effect.AT_MOST_ONCE) | jobs.c.effect_started.is_(False),\n",
        "",
        "def retry(",
    ),
    gone(
        "a limit counts what runs after it has its lock",
        T_LIMITS,
        GATING,
        "            gate, now = _locked(connection, asked.tool, limits)\n"
        "            load = _load(connection, job_id, asked.tool, limits)\n",
        "            load = _load(connection, job_id, asked.tool, limits)\n"
        "            gate, now = _locked(connection, asked.tool, limits)\n",
    ),
    gone(
        "a limit keeps the order of arrival",
        T_LIMITS,
        "ringback/tools/gate.py",
        "load.running + load.ahead",
        "load.running",
    ),
    gone(
        "a limit is asked before a claim",
        T_GATES,
        JOBS,
        "wanted.is_(None) | (jobs.c.tool == any_(wanted)), ",
    ),
    gone(
        "a limit puts off only what might begin",
        T_GATES,
        GATES,
        "jobs.c.id == job_id, is_due())\n        .values",
        "jobs.c.id == job_id)\n        .values",
        "def postpone(",
    ),
    gone("a limit wakes no retry", T_GATES, GATES, "return jobs.c.put_off, ", "return "),
    gone(
        "a limit wakes one for each that ends",
        T_GATES,
        GATES,
        ".with_for_update(skip_locked=True)",
        ".with_for_update()",
    ),
    gone(
        "a limit is waited for within the deadline",
        T_LIMITS,
        "ringback/tools/gate.py",
        " if turn < seconds_left else TooLong(turn)",
    ),
    gone(
        "a limit: only the probe says how a tool is that is left alone",
        "tests/unit/ringback/tools/test_gate.py",
        "ringback/tools/gate.py",
        " or (is_open and not is_probe)",
    ),
    *AT_ONE_TIME,
    *JOINED_AND_LATE,
    *HEARD,
    *CALL_GUARDS,
    *OPERATORS,
    *RECORDED_VOICES,
    *STRANGERS,
    *AT_THE_DOOR,
    *WHAT_CLIENTS_SAY,
    *BUDGET_GUARDS,
    *WHOSE_DATA,
    *TURN_TAKING,
]
