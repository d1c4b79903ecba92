"""The guards of calls that go past the gateway: who has one, and what its page may do."""

from __future__ import annotations

from tests.mutation.mutant import gone

SWITCHER, T_SWITCHER = "gateway/session/upstream_switcher.py", "tests/unit/gateway/session/test_upstream_switcher.py"
SWEEPS, ERASURE = "ringback/statements/jobs/sweeps.py", "ringback/statements/erasure.py"
CALLS, GUARD = "ringback/statements/sessions/calls.py", "gateway/conversation/guard.py"
RESULTS, SENDER = "gateway/conversation/conversation.py", "gateway/conversation/tool_calls/results.py"
ANNOUNCED = "ringback/statements/sessions/announced_calls.py"
T_ANNOUNCED = "tests/integration/statements/test_announced_calls.py"
T_AT_ONCE = "tests/integration/statements/test_announced_calls_at_once.py"
CALL_END, INTAKE = "gateway/conversation/turn_taking/call_end.py", "gateway/conversation/tool_calls/intake.py"
REPLAY = "gateway/conversation/reconnect/replay.py"
DESK, T_DESK = "gateway/calls/desk.py", "tests/unit/gateway/calls/test_desk.py"
DEEDS, T_TRANSFER = "gateway/session/effects.py", "tests/unit/gateway/session/test_effects.py"
T_TOLD = "tests/unit/gateway/conversation/turn_taking/test_transfers.py"
LEASE, STATES = "ringback/leases/lease.py", "ringback/jobs/states.py"
WRITER, EVENT_IDS = "gateway/session/moment_writer.py", "gateway/conversation/event_ids.py"
IDS, TRACE = "ringback/ids.py", "ringback/telemetry/call_trace.py"
T_IDS = "tests/unit/ringback/test_ids.py"
T_LEASE, T_STATES = "tests/unit/ringback/leases/test_lease.py", "tests/unit/ringback/jobs/test_states.py"
T_AUDIT = "tests/unit/gateway/session/test_guard_audit.py"
T_EARLY = "tests/unit/gateway/conversation/tool_calls/test_early_answers.py"
T_CALLS = "tests/integration/statements/test_calls.py"
T_GUARD = "tests/unit/gateway/conversation/test_guard.py"
T_BESIDE = "tests/unit/gateway/conversation/turn_taking/test_beside_a_call.py"
T_END = "tests/unit/gateway/conversation/turn_taking/test_call_end.py"
T_REPLAY = "tests/unit/gateway/conversation/reconnect/test_replay.py"

CALL_GUARDS = [
    gone("a call of a gateway that lives is not taken", T_CALLS, CALLS, ", ~exists(attended))", ")"),
    gone("a gateway that is not steady takes no call", T_CALLS, CALLS, ", is_steady(gateway_id)\n", "\n"),
    gone(
        "a call that is taken begins an epoch", T_CALLS, CALLS, "epoch=sessions.c.epoch + 1", "epoch=sessions.c.epoch"
    ),
    gone("a silent lease is one that was not renewed", T_LEASE, LEASE, "now - self.renewed_at >= seconds", "False"),
    gone("a finding is written once", T_AUDIT, WRITER, "async with self._writing:", "if True:"),
    gone(
        "a page cannot compute the id of an output",
        T_STATES,
        STATES,
        'hmac.digest(secret.encode(), job_id.bytes, "sha256") if secret else ',
        "",
    ),
    gone(
        "a call has the mark of its session", T_IDS, IDS, "_marked(session_id.int >> 128 - MARK_BITS, digest)", "digest"
    ),
    gone("ids of one time have one mark", T_IDS, IDS, "int(time() / MARK_SECONDS)", "uuid4().int"),
    gone(
        "a sampler reads random bits of a trace's id",
        T_IDS,
        TRACE,
        "job_id.bytes[:HALF] + job_id.bytes[HALF + 1 :] + job_id.bytes[HALF : HALF + 1]",
        "job_id.bytes[HALF:] + job_id.bytes[:HALF]",
    ),
    gone("no item tells the id of another", T_EARLY, EVENT_IDS, "self.secret + kind", "self.secret"),
    gone("an id whose item was deleted is ours no more", T_GUARD, GUARD, "        self._ours.pop(item_id, None)\n"),
    gone("one gateway takes a call", T_CALLS, CALLS, "(of=sessions, skip_locked=True)", "(of=sessions)"),
    gone(
        "the gateway that has a call says why it ends",
        T_CALLS,
        CALLS,
        "is_ours(session_id, gateway_id, epoch)",
        "sessions.c.id == session_id",
        after="def ask_to_end",
    ),
    gone(
        "a call that no gateway took in time is hung up",
        T_CALLS,
        SWEEPS,
        "    over = ~_may_be_live()",
        "    over = true()",
    ),
    gone(
        "a young call that is unknown may still begin",
        T_SWITCHER,
        SWITCHER,
        "self._session.link is None and time.monotonic() - self._session.began_at < JOIN_SECONDS",
        "False",
    ),
    gone(
        "what was lost with a sideband is sent again",
        "tests/integration/gateway/test_delivery_recorder.py",
        "gateway/session/delivery_recorder.py",
        "        if self._session.call is None:\n",
        "        if True:\n",
    ),
    gone("a call is erased once it is hung up", T_CALLS, ERASURE, ", sessions.c.call_id.is_(None))", ")"),
    gone(
        "the first reason for a call's end stays",
        T_CALLS,
        CALLS,
        "func.coalesce(sessions.c.end_wanted, reason)",
        "reason",
    ),
    gone(
        "a gateway that was overtaken settles no announcement",
        T_ANNOUNCED,
        ANNOUNCED,
        "    mine = (receipts.c.id == webhook_id) & (receipts.c.gateway_id == gateway_id)\n",
        "    mine = receipts.c.id == webhook_id\n",
    ),
    gone(
        "an announcement is settled once",
        T_ANNOUNCED,
        ANNOUNCED,
        "select(receipts.c.id).where(mine, receipts.c.settled.is_(None) | attached)",
        "select(receipts.c.id).where(mine)",
    ),
    gone(
        "a session that was lost settles nothing", T_ANNOUNCED, ANNOUNCED, "== webhook_id, attached)", "== webhook_id)"
    ),
    gone(
        "what a gateway settles it does not take up",
        T_ANNOUNCED,
        ANNOUNCED,
        ".where((receipts.c.gateway_id != gateway_id) | is_dropped)",
        "",
    ),
    gone(
        "of two gateways that take up an announcement one gets it",
        T_AT_ONCE,
        ANNOUNCED,
        ".with_for_update(skip_locked=True)",
        ".with_for_update()",
    ),
    gone(
        "a stalled gateway waits for its taker",
        T_AT_ONCE,
        ANNOUNCED,
        "receipts.c.settled.is_(None) | attached).with_for_update()",
        "receipts.c.settled.is_(None) | attached)",
    ),
    gone(
        "what its taker has a stalled gateway does not settle",
        T_AT_ONCE,
        ANNOUNCED,
        "(receipts.c.gateway_id == gateway_id) & receipts.c.settled.is_(None)",
        "receipts.c.settled.is_(None)",
        "def settle(",
    ),
    gone(
        "an announcement of a gateway that lives is left to it",
        T_ANNOUNCED,
        ANNOUNCED,
        "is_mine | ~is_alive(receipts.c.gateway_id)",
        "receipts.c.id.is_not(None)",
    ),
    gone(
        "a transfer that was taken counts only once the call has ended",
        T_DESK,
        DESK,
        "await asyncio.sleep(REFERRED_SECONDS)",
        "return",
    ),
    gone("a call that was transferred is not hung up", T_DESK, DESK, 'over.reason == "call_over"', "False"),
    gone(
        "a pending end goes on behind a lost sideband", T_END, RESULTS, "(scheduler, carried.wanted_end)", "(scheduler)"
    ),
    gone("a gateway stays until a pending end has come", T_END, RESULTS, " and not self._speaker.call_end.is_pending"),
    gone(
        "a transfer is not repeated by the next gateway",
        T_END,
        CALL_END,
        "        if is_transfer:\n",
        "        if False:\n",
    ),
    gone(
        "a caller who has spoken keeps the line",
        T_END,
        INTAKE,
        "known is None and past.is_of_last_turn",
        "known is None",
    ),
    gone("what has no place ends no call", T_REPLAY, REPLAY, '["user"] < position < AT_THE_END', '["user"] < position'),
    gone("a transfer is asked for once at a time", T_TRANSFER, DEEDS, "under_way == target", "False"),
    gone("another transfer is refused meanwhile", T_TRANSFER, DEEDS, "under_way is not None", "False"),
    gone(
        "a transfer that failed is told by the link at work",
        T_TRANSFER,
        DEEDS,
        "async with self._session.switching:  # while one",
        "if True:  # while one",
    ),
    gone(
        "what a dead link took of a transfer is told again",
        T_TOLD,
        "gateway/conversation/speaker.py",
        "        self.client.resend_buffer.said(event)  # a conn",
        "        # a conn",
    ),
    gone("a forged output is no echo", T_GUARD, GUARD, '"session", "forged_output", "forged_item"', '"session",'),
    gone("an output is ours by its words, too", T_GUARD, GUARD, 'output != ours["output"]', "False"),
    gone(
        "an id that was deleted is judged anew",
        T_GUARD,
        GUARD,
        "        self._foreign.pop(item_id, None)  # the",
        "        # the",
    ),
    gone(
        "a refused create makes no room",
        T_GUARD,
        GUARD,
        "        self._creates = deque(each for each in self._creates if each != event_id)\n",
    ),
    gone("a prompt that was not asked for is found", T_GUARD, GUARD, "is_same = not value", "is_same = True"),
    gone("a tool's words are compared", T_GUARD, GUARD, "_has_words(theirs[name], ours[name])", "True"),
    gone("no model speaks for the system", T_GUARD, GUARD, " and item.role not in NOT_THE_MODELS", ""),
    gone("what begins belongs to a response", T_GUARD, GUARD, " and self._active  # not", "  # not"),
    gone("no function runs out of band", T_GUARD, GUARD, " or str(event.response_id) in self._foreign", ""),
    gone("a page that goes on is hung up", T_GUARD, GUARD, 'self.mode == "mend" and self.findings > MENDS', "False"),
    gone("a result that is there already is not told at once", T_BESIDE, RESULTS, "= now + DOUBT_SECONDS", "= now"),
    gone(
        "what was told unheard is not told again",
        T_BESIDE,
        SENDER,
        "                call.go(Stage.SILENT)\n        self._doubted",
        "                pass\n        self._doubted",
    ),
]
