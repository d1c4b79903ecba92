"""The guards of what a conversation does around its calls: joined calls, approvals, answers too early and too late."""

from __future__ import annotations

from tests.mutation.mutant import gone

JOBS, SWEEPS = "ringback/statements/jobs/transitions.py", "ringback/statements/jobs/sweeps.py"
APPROVALS, WEBHOOKS = "ringback/statements/jobs/approvals.py", "ringback/statements/webhooks.py"
MANNERS, JOINING = "migrations/versions/0003_manners.py", "migrations/versions/0007_order.py"
DEADLINES = "migrations/versions/0006_sweeps.py"
EARLY, RESULTS = (f"gateway/conversation/tool_calls/{name}.py" for name in ("early_answers", "results"))

T_JOINS, T_AT_ONCE = "tests/integration/statements/test_joins.py", "tests/integration/statements/test_joins_at_once.py"
T_APPROVALS, T_WEBHOOKS = (
    "tests/integration/statements/test_approvals.py",
    "tests/integration/statements/test_webhooks.py",
)

T_EARLY = "tests/unit/gateway/conversation/tool_calls/test_early_answers.py"

JOINED_AND_LATE = [
    gone("only a recorded call is answered early", T_EARLY, EARLY, "call.stage is Stage.RUNNING and "),
    gone("a call is answered early once", T_EARLY, EARLY, "self._sent_as.keys() | self._refused", "self._refused"),
    gone(
        "a refused early answer is not repeated",
        T_EARLY,
        EARLY,
        "self._sent_as.keys() | self._refused",
        "self._sent_as",
    ),
    gone(
        "the client's create that was held waits again",
        T_EARLY,
        "gateway/conversation/turn_taking/scheduler.py",
        "return meant.create, meant.by.is_ours or self._waits_again()",
        "return meant.create, meant.by.is_ours",
    ),
    gone(
        "the echo of an early answer is no receipt",
        T_EARLY,
        RESULTS,
        "self._by_item[self._early.result_call_id(call)]",
        "self._by_item[self.ids.of_server(call_id)]",
    ),
    gone(
        "a call that waits for a yes is not claimed",
        T_APPROVALS,
        JOBS,
        "            may_be_published(),\n",
        "",
        "def claim(",
    ),
    gone("a joined call is not claimed", T_JOINS, JOBS, "jobs.c.joined_to.is_(None) & ", "", "def may_be_published("),
    gone(
        "what may not run is not published again",
        T_APPROVALS,
        SWEEPS,
        ", may_be_published()",
        "",
        "def publish_taken(",
    ),
    gone("a decision is made once", T_APPROVALS, APPROVALS, "            jobs.c.approval == Approval.REQUESTED,\n"),
    gone("a decision comes in time", T_APPROVALS, APPROVALS, "            jobs.c.deadline_at > now(),\n"),
    gone(
        "a decision is about what still waits",
        T_APPROVALS,
        APPROVALS,
        "            is_now(jobs.c.state, JobState.PENDING),\n",
    ),
    gone("a decision is its tenant's", T_APPROVALS, APPROVALS, "            jobs.c.tenant == tenant,\n"),
    gone("a joined call waits for an end that is under way", T_AT_ONCE, JOINING, " FOR SHARE"),
    gone(
        "a joined call keeps an end of its own",
        T_JOINS,
        JOINING,
        " AND state || '' = 'pending'",
        "",
        "jobs_end_joined()",
    ),
    gone("a joined call is of the same session", T_JOINS, JOINING, " AND session_id = NEW.session_id"),
    gone("a joined call joins the first", T_JOINS, JOINING, "coalesce(joined_to, id)", "id"),
    gone(
        "a joined call has as much time as the first",
        T_APPROVALS,
        DEADLINES,
        "joined_to = NEW.id AND",
        "false AND",
        "deadline()",
    ),
    gone("a joined call is timed out with the first", T_AT_ONCE, SWEEPS, "        ~_ends_with_another(),\n"),
    gone(
        "a late answer is one gateway's at a time",
        T_WEBHOOKS,
        WEBHOOKS,
        "        .with_for_update(of=jobs, skip_locked=True)\n",
    ),
    gone("a late answer is posted where there is a webhook", T_WEBHOOKS, MANNERS, " AND has_webhook"),
    gone("a late answer is noted once", T_WEBHOOKS, WEBHOOKS, ", jobs.c.notified_at.is_(None)"),
]
