"""The pages of tools, queues, workers, usage and the audit log on real rows."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from ringback.statements import processes
from ringback.tools.spec import ToolSpec
from tests.integration.console.visitor import Visitor, new_key
from tests.integration.statements.test_history import Line

PAGES = ("tools", "queues", "workers", "usage", "audit")
USED = text(
    "INSERT INTO usage_days (tenant, user_id, day, agent, model, responses, input_tokens, output_tokens, micros) "
    "VALUES (:tenant, '<b>ada</b>', current_date, 'demo', 'm', 2, 1500, 40, 2500000)"
)


def serve(line: Line, name: str) -> None:
    for announced in processes.announce("w", [ToolSpec(name, "Look it up.", {"type": "object"})]):
        line.run(announced)


@pytest.mark.parametrize("name", PAGES)
def test_each_page_is_there_when_it_is_empty(visitor: Visitor, name: str) -> None:
    assert 'aria-current="page"' in visitor.get(f"/console/{name}")


def test_a_queue_is_paused_limited_and_resumed(line: Line, visitor: Visitor) -> None:
    serve(line, "weather")
    assert visitor.post("/console/queues/default/pause").headers["location"] == "/console/queues"
    page = visitor.get("/console/queues")
    assert "paused" in page
    assert "Resume for all workers" in page
    visitor.post("/console/queues/default/resume")
    visitor.post("/console/tools/weather/limit", concurrency="3")
    assert "at most 3" in visitor.get("/console/tools")
    visitor.post("/console/tools/weather/limit", concurrency="")
    assert "at most 3" not in visitor.get("/console/tools")
    log = visitor.get("/console/audit")
    assert all(act in log for act in ("queue.pause", "queue.resume", "tool.limit", "token:ada"))


@pytest.mark.parametrize("limit", ["0", "-1", "many", "١"])
def test_a_limit_that_is_none_is_refused_with_a_sentence(line: Line, visitor: Visitor, limit: str) -> None:
    serve(line, "weather")
    answer = visitor.post("/console/tools/weather/limit", concurrency=limit)
    assert answer.status_code == 400
    assert "A limit is a whole number from 1" in answer.text


def test_what_is_not_there_is_not_set(visitor: Visitor) -> None:
    assert visitor.post("/console/queues/nowhere/pause").status_code == 404


def test_another_tenant_sees_no_process_and_sets_no_queue(line: Line, database: str) -> None:
    other = Visitor(database)
    other.sign_in(new_key(line, tenant="other", scopes=("history", "control"))[1])
    for name in ("queues", "workers"):
        assert "shown to the tenant that runs the installation" in other.get(f"/console/{name}")
    assert other.post("/console/queues/default/pause").status_code == 403
    assert other.ask("GET", "/console/usage?by=tenant").status_code == 400


def test_usage_is_told_by_each_grouping(line: Line, visitor: Visitor) -> None:
    line.run(USED.bindparams(tenant="default"))
    line.run(USED.bindparams(tenant="other"))
    for by, key in (("day", "2.50"), ("agent", "demo"), ("user", "&lt;b&gt;ada&lt;/b&gt;"), ("model", "m")):
        page = visitor.get("/console/usage", by=by)
        assert key in page, by
        assert "$2.50" in page
        assert "<b>ada</b>" not in page
    assert "other" in visitor.get("/console/usage", by="tenant")
    assert visitor.ask("GET", "/console/usage?since=2026-02-30").status_code == 400
