"""The guards of whose data it is, how long it is kept, and what of it is kept at all."""

from __future__ import annotations

from tests.mutation.mutant import gone

JOINING = "migrations/versions/0007_order.py"
WALLS, STORE, APP = "migrations/versions/0005_walls.py", "gateway/storage/database.py", "gateway/api/job_control.py"
HISTORY, TOOLS = "ringback/statements/history.py", "gateway/api/history.py"
RETENTION, ERASURE = "ringback/statements/retention.py", "ringback/statements/erasure.py"
OWNED = "migrations/versions/0016_fewer_checks.py"
REDACTION, SEALING, DISCRETION = (
    "ringback/privacy/redaction.py",
    "ringback/privacy/encryption.py",
    "ringback/privacy/row_privacy.py",
)
RECORDER, JOURNAL = "gateway/session/call_recorder.py", "gateway/session/transcript_writer.py"
CONNECTIONS, T_JSON = "ringback/postgres/connections.py", "tests/integration/postgres/test_json_parameters.py"
CLAIMING, EXECUTE = "workers/execution/claim.py", "workers/execution/runner.py"

T_WALLS, T_API = "tests/integration/postgres/test_tenant_isolation.py", "tests/integration/api/test_history.py"
T_OWNED = "tests/integration/statements/test_owned_rows.py"
T_RETENTION, T_ERASURE = "tests/integration/gateway/test_retention.py", "tests/integration/api/test_erasure.py"
T_ROWS, T_SEALING = "tests/integration/workers/test_redacted_rows.py", "tests/unit/ringback/privacy/test_encryption.py"
T_REDACTION = "tests/unit/ringback/privacy/test_redaction.py"

WHOSE_DATA = [
    gone(
        "half a character is a fault of the data",
        T_JSON,
        CONNECTIONS,
        "except UnicodeEncodeError:",
        "except RecursionError:",
    ),
    gone(
        "the wall: what is read stands behind it",
        T_WALLS,
        STORE,
        "await execute_in_pipeline(connection, wall)\n",
    ),
    gone(
        "the wall: of this tenant",
        T_WALLS,
        WALLS,
        "tenant = current_setting('ringback.tenant', true)",
        "true",
    ),
    gone(
        "the wall: on every table",
        T_WALLS,
        WALLS,
        '        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",\n',
        "",
    ),
    gone("the wall: no token is readable", T_WALLS, WALLS, '"jobs": "id, tenant,', '"jobs": "id, token, tenant,'),
    gone("the wall: a gateway proves it", T_WALLS, STORE, "raise ConfigurationError(NOT_THE_OWNER)", "pass"),
    gone("tools: those that the tenant may have", T_API, TOOLS, " if gateway.may_have(who.tenant, row.name)"),
    gone(
        "retention: the tenant's own days",
        T_RETENTION,
        RETENTION,
        "func.coalesce(tenants.c.retention_days, type_coerce(",
        "func.coalesce(type_coerce(",
    ),
    gone("retention: what is owed something stays", T_RETENTION, RETENTION, "        .where(~_is_owed_something())\n"),
    gone(
        "retention: what others hold is left to them",
        T_RETENTION,
        RETENTION,
        "with_for_update(of=sessions, skip_locked=True)",
        "with_for_update(of=sessions)",
    ),
    gone(
        "retention: what was told of a session goes with it",
        T_OWNED,
        OWNED,
        "    DELETE FROM moments WHERE session_id = ANY (gone);\n",
    ),
    gone(
        "retention: the events of a call go with it",
        T_OWNED,
        OWNED,
        "    DELETE FROM job_events WHERE job_id = ANY (ARRAY(SELECT id FROM deleted));\n",
    ),
    gone(
        "retention: usage is written under the lock of its session",
        T_OWNED,
        "ringback/statements/usage.py",
        "        .with_for_update(read=True, key_share=True)\n",
    ),
    gone(
        "retention: a secret is resumed with for a while", T_RETENTION, RETENTION, " - seconds(EXPIRED_SECRET_SECONDS)"
    ),
    gone(
        "erasure: the tenant's own user",
        T_ERASURE,
        ERASURE,
        "and_(sessions.c.tenant == tenant, sessions.c.user_id == user)",
        "and_(sessions.c.user_id == user)",
    ),
    gone(
        "erasure: the last usage has no name, either",
        T_ERASURE,
        "gateway/background/retention.py",
        "erasure.delete_sessions(tenant, user), *rest)",
        "erasure.delete_sessions(tenant, user))",
    ),
    gone("erasure: usage stays", T_ERASURE, ERASURE, "usage_days.c[name] + new.excluded[name]", "usage_days.c[name]"),
    gone(
        "erasure: what runs is not left behind",
        T_ERASURE,
        ERASURE,
        ", is_over, ~runs)",
        ", is_over)",
    ),
    gone(
        "erasure: secrets that were made with the user's token",
        T_ERASURE,
        ERASURE,
        'client_secrets.c.minted_by.in_((f"token:{user}", person(user))),',
    ),
    gone(
        "erasure: an erased session is not resumed",
        T_ERASURE,
        "ringback/statements/sessions/lifecycle.py",
        "        & sessions.c.end_wanted.is_(None)\n",
    ),
    gone("redaction: a card adds up", T_REDACTION, REDACTION, " and _luhn(digits)"),
    gone(
        "redaction: numbers are text, too",
        T_REDACTION,
        REDACTION,
        "return self._number(value) if isinstance(value, int | float) else value",
        "return value",
    ),
    gone("redaction: what lies too deep", T_REDACTION, REDACTION, 'return removed("a depth")', "return value"),
    gone(
        "redaction: in the arguments' row",
        T_ROWS,
        RECORDER,
        "structs.replace(job, arguments=asked.shown), gateway_id",
        "job, gateway_id",
    ),
    gone(
        "redaction: no key, no call",
        T_ROWS,
        RECORDER,
        'record.outcome or failed("not_kept", NOT_KEPT)',
        "record.outcome",
    ),
    gone(
        "redaction: in transcripts",
        T_ROWS,
        JOURNAL,
        "content=self._redacted(message.content)",
        "content=message.content",
    ),
    gone("redaction: what an attempt said", T_ROWS, EXECUTE, "job.row_privacy.text(text) for name", "text for name"),
    gone(
        "redaction: in results what was in the arguments",
        T_ROWS,
        DISCRETION,
        "replace(self, redaction=replace(self.redaction, words=words)) if words else self",
        "self",
    ),
    gone("redaction: in the log", T_ROWS, EXECUTE, " if job.redact else problem", " if False else problem"),
    gone("encryption: for one place alone", T_SEALING, SEALING, "session_id.bytes + column.encode()", 'b""'),
    gone("encryption: with each key", T_SEALING, SEALING, "for key in keys}", "for key in keys[:1]}"),
    gone("encryption: what cannot be decrypted is not run", T_ROWS, CLAIMING, "answer = unreadable()", "pass"),
    gone("encryption: a joined call has its own", T_ROWS, JOINING, "NEW.sealed_result := first.sealed_result;"),
    gone(
        "encryption: deleted with the conversation",
        T_ROWS,
        WALLS,
        "    UPDATE jobs SET sealed_arguments = NULL, sealed_result = NULL\n    WHERE session_id = NEW.id",
        "    UPDATE jobs SET sealed_arguments = NULL, sealed_result = NULL\n    WHERE false",
    ),
    gone("encryption: deleted where no session listens", T_ROWS, WALLS, "    NEW.sealed_result := NULL;\n"),
    gone(
        "encryption: a tool that needs a key has one",
        T_ROWS,
        "workers/tool_registry.py",
        "if redact and row_privacy.cipher is None",
        "if False",
    ),
]
