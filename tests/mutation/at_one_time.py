"""The guards of calls that come at one time: what is one statement for several, and what waits without a thread."""

from __future__ import annotations

from tests.mutation.mutant import gone

ADMISSION, DELIVERIES = "ringback/statements/jobs/admission.py", "ringback/statements/jobs/deliveries.py"
SESSIONS, CONTEXT = "ringback/statements/sessions/lifecycle.py", "gateway/session/context.py"
POOL, T_POOL = "workers/thread_pool.py", "tests/unit/workers/test_thread_pool.py"
T_TOGETHER, T_GATHERING = (
    "tests/integration/statements/test_calls_together.py",
    "tests/integration/gateway/test_calls_at_once.py",
)
T_RECORDER = "tests/unit/gateway/session/test_call_recorder.py"
T_BROUGHT = "tests/unit/gateway/session/test_brought_results.py"
T_GIVEN_UP = "tests/integration/workers/test_claims_given_up.py"
FINISHING, T_FINISHING = (
    "ringback/statements/jobs/finishing.py",
    "tests/integration/statements/test_outcomes_together.py",
)
WRITER, T_WRITER = "workers/storage/outcome_writer.py", "tests/unit/workers/storage/test_outcome_writer.py"
KEPT, T_KEPT = "ringback/postgres/kept.py", "tests/integration/postgres/test_kept_statements.py"

AT_ONE_TIME = [
    gone(
        "calls that are admitted together wait for no lock",
        T_TOGETHER,
        ADMISSION,
        "skip_locked=may_skip",
        "nowait=False",
    ),
    gone(
        "a joined call is admitted alone",
        T_TOGETHER,
        ADMISSION,
        "job.joined_to is not None",
        "False",
        "def goes_alone(",
    ),
    gone(
        "the epoch, in read_all_ready",
        T_TOGETHER,
        SESSIONS,
        "is_ours(claimed.c.id, gateway_id, claimed.c.epoch)",
        "is_ours(claimed.c.id, gateway_id, sessions.c.epoch)",
    ),
    gone("the lease, in read_all_ready", T_TOGETHER, DELIVERIES, ".where(is_alive(gateway_id)).cte(", ".cte("),
    gone(
        "a session reads its own results",
        T_TOGETHER,
        DELIVERIES,
        ".where(jobs.c.session_id == mine.c.id)",
        "",
        "def _read_all_ready(",
    ),
    gone("a call that is left out is admitted alone", T_GATHERING, CONTEXT, ", leaves_out=True"),
    gone(
        "a call that was tried before goes alone",
        T_RECORDER,
        "gateway/session/call_recorder.py",
        "            is_alone = True\n",
    ),
    gone("a call that waits keeps its place", T_POOL, POOL, "if waiting is None:", "if True:"),
    gone(
        "a pool that stops waits for calls that hold no thread",
        T_POOL,
        POOL,
        "            self._left.wait_for(lambda: not self.under_way)\n",
        "            pass\n",
    ),
    gone("a call that waits is told when its time is over", T_POOL, POOL, "if end < self.next_look:", "if False:"),
    gone(
        "a session that hangs up undoes no call of another",
        "tests/unit/gateway/storage/test_gathering.py",
        "gateway/storage/gathering.py",
        "if len(batch.of) == 1:",
        "if True:",
    ),
    gone(
        "a joined call follows the one that it joins",
        T_RECORDER,
        "gateway/session/call_recorder.py",
        "await self._on_their_way[joined].wait()",
        "pass",
    ),
    gone(
        "a call that is claimed as the worker leaves is not begun",
        "tests/integration/workers/test_execution.py",
        "workers/execution/runner.py",
        "if runtime.is_leaving.is_set():  # meanwhile",
        "if False:  # meanwhile",
    ),
    gone(
        "a claim that is executed late is looked for",
        T_GIVEN_UP,
        "workers/execution/claim.py",
        "    runtime.sweeper.give_up(job_id, token)\n",
    ),
    gone(
        "a claim that is given up is known by its token",
        T_GIVEN_UP,
        "ringback/statements/jobs/transitions.py",
        "            jobs.c.token == any_(type_coerce(tokens, ARRAY(Uuid))),\n",
    ),
    gone(
        "each claim of a job that was given up is looked for",
        T_GIVEN_UP,
        "workers/leases/sweeper.py",
        "(job_id in found and claims[job_id] == 1)",
        "job_id in found",
    ),
    gone(
        "a wait is forgotten though its clock could not start",
        T_POOL,
        POOL,
        "            waiting.add_done_callback(self._forget)  # first",
        "            # first",
    ),
    gone(
        "no command waits for a third pipeline of a silent Redis",
        "tests/integration/redis/test_gateway_redis.py",
        "gateway/storage/redis_client.py",
        "told: list[Answers] = [answers] * len(waiting)",
        "waiting, self._waiting, told = batch, rest + self._waiting, [answers] * len(batch)",
    ),
    gone(
        "a result of another epoch is read",
        T_BROUGHT,
        "gateway/session/session.py",
        "is_of_now = result.epoch == link.epoch == self.state.epoch",
        "is_of_now = link.epoch == self.state.epoch",
    ),
    gone(
        "a result is read while the session moves on",
        T_BROUGHT,
        "gateway/session/session.py",
        "result.epoch == link.epoch == self.state.epoch",
        "result.epoch == link.epoch",
    ),
    gone(
        "a result that the conversation has, or that calls have joined, is read",
        T_BROUGHT,
        "gateway/session/session.py",
        " and link.conversation.calls.awaits_alone(result.job_id)",
    ),
    gone(
        "a doorbell that brings nothing has the rows read",
        T_BROUGHT,
        "gateway/session/session.py",
        "not handle.must_read and ",
    ),
    gone(
        "a gateway whose lease may be over reads the rows",
        "tests/integration/redis/test_doorbell.py",
        "gateway/background/result_listener.py",
        " and not self._may_have_lost_sessions:",
        ":",
    ),
    gone(
        "a result is sealed for its session",
        "tests/unit/ringback/redis/test_sealed_results.py",
        "ringback/privacy/encryption.py",
        "    return session_id.bytes + column.encode()",
        "    return column.encode()",
    ),
    gone(
        "what is redacted in its row goes along with no doorbell",
        "tests/integration/workers/test_redacted_rows.py",
        "workers/execution/runner.py",
        "if sealed is None and outcome.state",
        "if outcome.state",
    ),
    gone(
        "some failed connections speak for all",
        "tests/unit/gateway/storage/test_connection_pool.py",
        "gateway/storage/connection_pool.py",
        "if self._failures >= FAILURES_AT_MOST:",
        "if False:",
    ),
    gone(
        "the rows that are owed have a bound",
        T_RECORDER,
        "gateway/session/call_recorder.py",
        "if self._owed >= MAX_OWED:",
        "if False:",
    ),
    gone(
        "of answers that are written together the one that was heard counts",
        "tests/integration/statements/test_heard.py",
        "ringback/statements/jobs/deliveries.py",
        "for each in _one_a_job(told)",
        "for each in told",
    ),
    gone(
        "an entry of the doorbell that is no text ends no gateway",
        "tests/integration/redis/test_doorbell.py",
        "gateway/background/result_listener.py",
        '            encoding_errors="replace",  # An entry',
        "            # An entry",
    ),
    gone(
        "what is asked for while an errand runs is done by another",
        "tests/unit/gateway/test_errand.py",
        "gateway/small_event.py",
        "            self.is_asked_for = False\n            await self._work()\n",
        "            await self._work()\n            self.is_asked_for = False\n",
    ),
    gone(
        "an errand runs as the one who has begun the session",
        "tests/unit/gateway/test_errand.py",
        "gateway/small_event.py",
        ", context=errands.context)",
        ")",
    ),
    gone(
        "what a client has shown to be let in is forgotten",
        "tests/unit/gateway/server/test_wire.py",
        "gateway/server/picows_socket.py",
        "        self.conn.parser = Protocol.parse(self.conn)",
        "        Protocol.parse(self.conn)",
    ),
    gone(
        "the clock is set behind what has come",
        "tests/unit/gateway/session/test_relay.py",
        "gateway/session/session.py",
        "            await self._effects.end_burst(link)  # once for all that has come\n",
    ),
    gone(
        "what passes overtakes nothing that is held",
        "tests/unit/gateway/session/test_client_bursts.py",
        "gateway/session/client_connection.py",
        "        if self._held:\n",
        "        if False:\n",
    ),
    gone(
        "what is held goes out before the connection closes",
        "tests/unit/gateway/session/test_client_bursts.py",
        "gateway/session/client_connection.py",
        "            await self.flush()\n        try:\n",
        "            pass\n        try:\n",
    ),
    gone(
        "what is held for a client waits for no server",
        "tests/unit/gateway/session/test_client_bursts.py",
        "gateway/session/effects.py",
        "        if not link.upstream.is_free:",
        "        if False:",
    ),
    gone(
        "a call's message leaves before the next event is decided on",
        "tests/unit/gateway/session/test_calls_published.py",
        "gateway/session/effects.py",
        'in "row", "message":',
        'in ("row",):',
    ),
    gone("outcomes that are written together wait for no lock", T_FINISHING, FINISHING, ", skip_locked=True"),
    gone(
        "the token, in finish_all",
        T_FINISHING,
        FINISHING,
        "finished(**dict(held.c))",
        "finished(**{**dict(held.c), 'token': jobs.c.token})",
    ),
    gone("an outcome that is left out is written alone", T_WRITER, WRITER, "job_id in batch.found or ", "True or "),
    gone(
        "an outcome that is refused takes no other with it",
        T_WRITER,
        WRITER,
        "len(runs) == 1 or is_cut(problem)",
        "True",
    ),
    gone("outcomes whose answer is lost are told so", T_WRITER, WRITER, " or is_cut(problem):", ":"),
    gone("a job has one outcome in a batch", T_WRITER, WRITER, "job_id in self.of or "),
    gone(
        "outcomes wait for the one under way",
        T_WRITER,
        WRITER,
        "                if before is None:\n",
        "                if True:\n",
    ),
    gone(
        "what Postgres refuses is raised",
        T_KEPT,
        KEPT,
        "        if result.status not in _DONE:\n",
        "        if False:\n",
    ),
    gone(
        "a statement is prepared for the types of its parameters",
        T_KEPT,
        KEPT,
        "self._of.get((statement.text, types))",
        "next((kept for (text, _), kept in self._of.items() if text == statement.text), None)",
    ),
]
