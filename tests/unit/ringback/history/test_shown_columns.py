"""Each column of a session and of a job is shown by the API, or kept inside for a reason."""

from __future__ import annotations

import pytest
from pydantic import BaseModel
from sqlalchemy import Table

from ringback.history.documents import Job, ListedSession
from ringback.tables import jobs, sessions

INTERNAL = {
    "sessions": {
        **dict.fromkeys(("tenant", "policy", "credential", "claims"), "who the client is, and what it may do"),
        **dict.fromkeys(("resume_hash", "resume_seconds", "resume_until"), "how the client resumes"),
        **dict.fromkeys(("client_session", "client_session_in_order"), "the client's own settings"),
        **dict.fromkeys(("tokens", "micros"), "told by GET /v1/usage"),
        **dict.fromkeys(("end_wanted", "has_webhook"), "for gateways"),
    },
    "jobs": {
        **dict.fromkeys(("tenant", "item_id", "position", "answer_position"), "where the call stands"),
        **dict.fromkeys(("token", "sealed_arguments", "sealed_result"), "secret"),
        **dict.fromkeys(("arguments_in_order", "result_in_order"), "shown as `arguments` and `result`"),
        "failure": "where in the tool's code it failed: for operators (`ringback jobs show`)",
        "rescues": "part of `max_attempts`",
        "manners": "the tool's, told by GET /v1/tools",
        **dict.fromkeys(("publish_after", "not_before", "put_off", "notify_after", "effect_started"), "for sweepers"),
    },
}
"""Columns that the API does not show, and why."""
TODO = (
    "{table}.{column} must be shown, or internal. To show it, give {model} in ringback/history/documents.py a field "
    "of that name, and GRANT SELECT ({column}) ON {table} TO ringback_tenant in the revision that adds the column. To "
    "keep it inside, list it in INTERNAL in tests/unit/ringback/history/test_shown_columns.py."
)


@pytest.mark.parametrize(("table", "model"), [(jobs, Job), (sessions, ListedSession)], ids=["jobs", "sessions"])
def test_every_column_is_shown_or_internal(table: Table, model: type[BaseModel]) -> None:
    internal = INTERNAL[table.name]
    for column in (each.name for each in table.c):
        places = (column in model.model_fields) + (column in internal)
        assert places == 1, TODO.format(table=table.name, column=column, model=model.__name__)
    assert set(internal) <= set(table.c.keys()), "INTERNAL names a column that the table does not have"
