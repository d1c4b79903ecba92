"""Guards of what operators do: pauses, limits, reruns and the audit log."""

from __future__ import annotations

from tests.mutation.mutant import Mutant, gone

JOBS, CONTROLS = "ringback/statements/jobs/transitions.py", "ringback/statements/jobs/controls.py"
ACTS, GATES = "ringback/statements/operators/acts.py", "ringback/statements/jobs/gates.py"
MIGRATION, ITEMS = "migrations/versions/0012_operators.py", "ringback/statements/sessions/items.py"
CALL, AUDIT = "ringback/tools/call.py", "ringback/statements/operators/audit.py"
T_ACTS, T_CONTROLS = (
    "tests/integration/statements/test_operators.py",
    "tests/integration/statements/test_controls.py",
)
T_WORKERS = "tests/integration/workers/test_controls.py"

OPERATORS: list[Mutant] = [
    gone("a claim looks at the controls", T_CONTROLS, JOBS, ", ~is_controlled(locked)"),
    gone("a claim passes only those controls that it has locked", T_CONTROLS, CONTROLS, "holds(), others)", "holds())"),
    gone("a control is locked before its calls are counted", T_CONTROLS, CONTROLS, "\n        .with_for_update()"),
    gone(
        "a held call has no message",
        T_CONTROLS,
        GATES,
        "publish_after=null(), publish_count=0)",
        "publish_after=now(), publish_count=0)",
    ),
    gone("a held call is woken by no end of another", T_CONTROLS, GATES, "jobs.c.publish_after.is_not(None), "),
    gone(
        "what was held is due when it goes on",
        T_CONTROLS,
        MIGRATION,
        "OLD.paused OR NEW.concurrency IS NULL",
        "NEW.concurrency IS NULL AND OLD.concurrency IS NOT NULL",
    ),
    gone(
        "a queue's limit holds over all workers",
        T_WORKERS,
        "workers/execution/tool_limits.py",
        "if row.running >= control.of_queue",
        "if row.running > control.of_queue",
    ),
    gone("a rerun is delivered to no conversation", T_ACTS, MIGRATION, "NEW.delivery := 'history_only';", "NULL;"),
    gone("a rerun is posted to no webhook", T_ACTS, MIGRATION, " AND NEW.rerun_of IS NULL", ""),
    gone(
        "a rerun is in no rebuilt conversation",
        T_ACTS,
        ITEMS,
        ".where(jobs.c.session_id == session_id, jobs.c.rerun_of.is_(None))",
        ".where(jobs.c.session_id == session_id)",
    ),
    gone("a call has one rerun at a time", T_ACTS, MIGRATION, ", unique=True)", ")", "ix_jobs_live_rerun"),
    gone(
        "a second run of an at_most_once tool is confirmed",
        T_ACTS,
        ACTS,
        "        or_(literal(is_confirmed, Boolean), _effect() != Effect.AT_MOST_ONCE),\n",
    ),
    gone(
        "what was denied is not run",
        T_ACTS,
        ACTS,
        "jobs.c.approval.is_(None) | (jobs.c.approval == Approval.GRANTED)",
        "jobs.c.approval.is_(None) | jobs.c.approval.is_not(None)",
    ),
    gone(
        "what was redacted and is gone is not run",
        T_ACTS,
        ACTS,
        "        ~redacts | jobs.c.sealed_arguments.is_not(None),\n",
    ),
    gone("a rerun has the key of the first call", T_WORKERS, CALL, "self.rerun_of or self.job_id", "self.job_id"),
    gone(
        "an act that changes no row is not recorded",
        T_ACTS,
        AUDIT,
        ".where(exists(select(literal(1)).select_from(changed)))",
    ),
    gone(
        "the audit log is not changed", T_ACTS, MIGRATION, "BEFORE UPDATE OR DELETE ON audit", "BEFORE INSERT ON audit"
    ),
    gone(
        "what was said has a scope of its own",
        "tests/integration/console/test_calls_and_talks.py",
        "gateway/web/console/visitors.py",
        "self.is_operator and TRANSCRIPTS in self.who.scopes",
        "self.is_operator",
    ),
    gone(
        "a form acts on no call that does not match",
        "tests/integration/console/test_acts.py",
        "ringback/statements/job_search.py",
        "select(jobs.c.id).where(these, *of_state, *_indexed(shape, given), *_contains(shape, given, jobs))",
        "select(jobs.c.id).where(these, *of_state, *_indexed(shape, given))",
    ),
    gone(
        "a stream ends with its sign-in",
        "tests/integration/console/test_live.py",
        "gateway/background/change_feed.py",
        "frozenset(viewers) - valid",
        "frozenset()",
    ),
    gone(
        "a key that is made is in the log",
        "tests/integration/api/test_every_act_is_audited.py",
        "ringback/statements/access.py",
        'recorded(made.cte("made"), who, ActName.CREATE_KEY, str(key_id))',
        'select(made.cte("made"))',
    ),
]
