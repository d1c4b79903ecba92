"""Acts of operators over HTTP, and what they see of queues, tools and the audit log, on a bare app and Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update

from gateway.api import controls, history, job_control, revocation
from ringback.jobs import outcomes
from ringback.jobs.states import Effect
from ringback.statements import processes
from ringback.statements.jobs import gates
from ringback.tables import jobs
from ringback.tools.behavior import Limits
from ringback.tools.gate import Gate
from ringback.tools.spec import ToolSpec
from tests.integration.statements.test_history import Line, line_on
from tests.integration.toolbox.small_gateway import (
    DEMO,
    RecordingPublisher,
    app_for_tenants,
    small_gateway,
    store_on,
)

WEATHER = ToolSpec("weather", "The weather.", {"type": "object"}, queue="default")


class Api:
    """A bare app with the routes on it, and what it published and whom it rang."""

    def __init__(self, database: str) -> None:
        self.publisher = RecordingPublisher()
        gateway = small_gateway(store_on(database), {"demo": DEMO}, publisher=self.publisher)
        self.app = app_for_tenants(gateway, history.router, job_control.router, controls.router, revocation.router)

    def ask(self, method: str, path: str, tenant: str = "default", **given: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            bearer = {"Authorization": f"Bearer {tenant}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=bearer) as client:
                return await client.request(method, f"/v1/{path}", **given)

        return asyncio.run(ask())

    def get(self, path: str, tenant: str = "default", **asked: Any) -> Any:
        answer = self.ask("GET", path, tenant, params=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, *, status: int = 202, tenant: str = "default") -> Any:
        answer = self.ask("POST", path, tenant, **({} if body is None else {"json": body}))
        assert answer.status_code == status, answer.text
        return answer.json()

    def refused(self, path: str, body: Any = None, *, status: int, tenant: str = "default") -> Any:
        return self.post(path, body, status=status, tenant=tenant)["error"]


@pytest.fixture
def line(database: str) -> Iterator[Line]:
    with line_on(database) as line:
        yield line


@pytest.fixture
def api(database: str) -> Api:
    return Api(database)


def failed(line: Line, tool: str = "weather", **columns: Any) -> UUID:
    job = line.ask(line.open(), tool)
    line.finish(job, line.claim(job), outcomes.failed("no", "There is none."))
    if columns:
        line.run(update(jobs).where(jobs.c.id == job).values(**columns))
    return job


def served(line: Line, *tools: ToolSpec, worker: str = "w1") -> None:
    line.run(processes.register(worker, "worker", "here", 1, [tool.queue for tool in tools], 4))
    for announced in processes.announce(worker, tools):
        line.run(announced)


# — retry —


def test_a_finished_call_runs_once_more_and_is_published(line: Line, api: Api) -> None:
    job = failed(line)
    made = api.post(f"jobs/{job}/retry", {"reason": "the carrier is back"})
    assert (made["rerun_of"], made["state"], made["delivery"]) == (str(job), "pending", "none")
    assert api.publisher.published == [(UUID(made["id"]), made["queue"])]
    (act,) = api.get("audit")["data"]
    assert (act["act"], act["target"], act["rows"]) == ("job.retry", str(job), 1)
    assert (act["subject"], act["reason"]) == ("ada", "the carrier is back")


def test_a_second_request_is_answered_with_the_rerun_that_is_not_over(line: Line, api: Api) -> None:
    job = failed(line)
    first, second = api.post(f"jobs/{job}/retry"), api.post(f"jobs/{job}/retry")
    assert first["id"] == second["id"]
    assert len(api.get("audit")["data"]) == 1


def test_a_call_that_may_not_run_again_is_refused_with_what_to_do(line: Line, api: Api) -> None:
    waiting, once = line.ask(line.open()), failed(line, effect=Effect.AT_MOST_ONCE)
    over = api.refused(f"jobs/{waiting}/retry", status=409)
    assert (over["code"], over["param"]) == ("no_rerun", "id")
    assert "not over: pending" in over["message"]
    unconfirmed = api.refused(f"jobs/{once}/retry", status=409)
    assert (unconfirmed["code"], unconfirmed["param"]) == ("not_confirmed", "confirm_at_most_once")
    assert api.post(f"jobs/{once}/retry", {"confirm_at_most_once": True})["effect"] == "at_most_once"
    assert api.refused(f"jobs/{uuid4()}/retry", status=404)["code"] == "not_found"
    assert api.refused(f"jobs/{once}/retry", status=404, tenant="other")["code"] == "not_found"


def test_all_that_match_run_once_more_but_reruns_and_what_is_not_confirmed(line: Line, api: Api) -> None:
    two, once = {failed(line), failed(line)}, failed(line, effect=Effect.AT_MOST_ONCE)
    asked = {"filter": {"state": "failed", "tool": "weather"}}
    done = api.post("jobs/retry", asked)
    reruns = {UUID(job["id"]): UUID(job["rerun_of"]) for job in api.get("jobs", state="pending")["data"]}
    assert set(map(UUID, done["ids"])) == set(reruns)
    assert set(reruns.values()) == two
    assert (done["has_more"], once in reruns.values()) == (False, False)
    for again in reruns:
        line.finish(again, line.claim(again), outcomes.failed("no", "There is none."))
    assert set(reruns) & set(map(UUID, api.post("jobs/retry", asked)["ids"])) == set()


def test_a_filter_is_acted_on_page_by_page(line: Line, api: Api) -> None:
    jobs_ = [failed(line) for _ in range(3)]
    first = api.post("jobs/retry", {"filter": {"state": "failed", "limit": 2}})
    assert (len(first["ids"]), first["has_more"]) == (2, True)
    rest = api.post("jobs/retry", {"filter": {"state": "failed", "limit": 2, "after": first["next"]}})
    assert (len(rest["ids"]), rest["has_more"], rest["next"]) == (1, False, None)
    assert len(jobs_) == 3


# — cancel —


def test_all_that_match_are_cancelled_and_their_gateways_are_rung_once(line: Line, api: Api) -> None:
    session = line.open()
    waiting, other = [line.ask(session, "weather") for _ in range(2)], line.ask(session, "order")
    running = line.ask(session, "weather")
    line.claim(running)
    done = api.post("jobs/cancel", {"filter": {"tool": "weather"}, "reason": "the tool is broken"})
    assert set(map(UUID, done["ids"])) == {*waiting, running}
    assert api.publisher.rung == [("gw", session)]
    assert api.get(f"jobs/{other}")["state"] == "pending"
    (act,) = api.get("audit")["data"]
    assert (act["rows"], act["target"], act["filter"]["tool"]) == (3, "", "weather")


@pytest.mark.parametrize("what", ["cancel", "retry"])
def test_a_filter_that_names_nothing_or_what_there_is_not_is_refused(line: Line, api: Api, what: str) -> None:
    for filters in ({}, {"limit": 10}):
        assert api.refused(f"jobs/{what}", {"filter": filters}, status=400)["param"] == "filter"
    assert "state" in api.refused(f"jobs/{what}", {"filter": {"state": "broken"}}, status=400)["message"]
    assert api.refused(f"jobs/{what}", {}, status=400)["param"] == "filter"
    no_such = "pending" if what == "retry" else "failed"
    assert api.post(f"jobs/{what}", {"filter": {"state": no_such}})["ids"] == []


# — controls —


@pytest.mark.parametrize(("kinds", "name"), [("queues", "default"), ("tools", "weather")])
def test_it_is_paused_limited_and_goes_on_and_each_act_is_told(line: Line, api: Api, kinds: str, name: str) -> None:
    served(line, WEATHER)
    paused = api.post(f"{kinds}/{name}/pause", {"reason": "it is broken"}, status=200)
    assert paused == {
        "object": "control",
        "kind": kinds.removesuffix("s"),
        "name": name,
        "control": {"paused": True, "concurrency": None},
    }
    limited = api.post(f"{kinds}/{name}/limit", {"concurrency": 2}, status=200)["control"]
    assert limited == {"paused": True, "concurrency": 2}
    (shown,) = [each for each in api.get(kinds)["data"] if each["name"] == name]
    assert (shown["name"], shown["control"]) == (name, limited)
    assert api.post(f"{kinds}/{name}/resume", status=200)["control"] == {"paused": False, "concurrency": 2}
    assert api.post(f"{kinds}/{name}/limit", {"concurrency": None}, status=200)["control"]["concurrency"] is None
    acts = [(act["act"], act["target"], act["reason"]) for act in api.get("audit")["data"]]
    kind = kinds.removesuffix("s")
    assert acts == [
        (f"{kind}.limit", name, None),
        (f"{kind}.resume", name, None),
        (f"{kind}.limit", name, None),
        (f"{kind}.pause", name, "it is broken"),
    ]


def test_what_is_not_there_or_makes_no_sense_is_refused(line: Line, api: Api) -> None:
    served(line, WEATHER)
    assert api.refused("queues/nothing/pause", status=404)["message"] == "There is no queue 'nothing'."
    assert api.refused("queues/default/limit", {"concurrency": 0}, status=400)["param"] == "concurrency"
    assert api.refused("queues/default/limit", {}, status=400)["param"] == "concurrency"
    assert api.refused("queues/default/pause", {"reason": "x" * 501}, status=400)["param"] == "reason"
    assert api.refused("queues/default/pause", {"why": "x"}, status=400)["code"] == "unknown_parameter"


def test_only_the_operator_s_tenant_may_and_another_sees_no_queue(line: Line, api: Api) -> None:
    served(line, WEATHER)
    assert api.refused("queues/default/pause", status=403, tenant="other")["code"] == "insufficient_scope"
    assert api.get("queues", tenant="other")["data"] == []
    assert api.get("audit", tenant="other")["data"] == []


def test_the_end_of_a_session_is_an_act_too(line: Line, api: Api) -> None:
    session = line.open()
    ended = api.post(f"sessions/{session}/end", {"reason": "it goes round in circles"}, status=200)
    assert (ended["sessions"], ended["calls"]) == (1, 0)
    (act,) = api.get("audit")["data"]
    assert (act["act"], act["target"], act["reason"]) == ("session.end", str(session), "it goes round in circles")


# — what is seen —


def test_a_queue_tells_who_serves_it_what_waits_and_how_its_calls_went(line: Line, api: Api) -> None:
    served(line, WEATHER)
    session = line.open()
    done = [line.ask(session, "weather") for _ in range(4)]
    for number, job in enumerate(done):
        outcome = outcomes.failed("no", "None.") if number == 0 else outcomes.succeeded(1)
        line.finish(job, line.claim(job), outcome)
    running, _ = line.ask(session, "weather"), line.ask(session, "weather")
    line.ask(session, "order_status")  # of another queue
    line.claim(running)
    (queue,) = [each for each in api.get("queues")["data"] if each["name"] == "default"]
    assert (queue["name"], queue["workers"], queue["slots"], queue["tools"]) == ("default", ["w", "w1"], 4, ["weather"])
    assert (queue["pending"], queue["held"], queue["running"]) == (1, 0, 1)
    assert queue["oldest_seconds"] >= 0
    figures = queue["figures"]
    assert (figures["calls"], figures["failed"], figures["error_rate"]) == (6, 1, 0.25)
    assert figures["wait_ms"]["p50"] <= figures["wait_ms"]["p99"]
    assert figures["run_ms"]["p95"] >= 0
    assert api.get("queues", window="1s")["data"][0]["figures"]["calls"] <= 6


def test_a_tool_tells_its_versions_its_breaker_and_how_its_calls_went(line: Line, api: Api) -> None:
    limited = replace(WEATHER, limits=Limits(breaker_failures=2, breaker_seconds=60))
    served(line, limited)
    served(line, replace(limited, description="The weather, anew."), worker="w2")
    served(line, replace(WEATHER, name="another"), worker="w3")
    (lock,) = line.run(gates.lock("weather", 1))
    line.run(gates.save("weather", Gate(1.0, lock.refilled_at, 3, lock.now + 60)))
    job = line.ask(line.open(), "weather")
    line.claim(job)
    another, tool = api.get("tools")["data"]
    assert (list(another["versions"].values()), another["figures"]["calls"], another["failures"]) == ([1], 0, 0)
    assert sorted(tool["versions"].values()) == [1, 1]
    assert (tool["workers"], tool["running"], tool["failures"]) == (2, 1, 3)
    assert tool["breaker_open_until"] is not None
    figures = tool["figures"]
    assert (figures["calls"], figures["failed"], figures["error_rate"], figures["run_ms"]) == (1, 0, None, None)
    assert api.get("tools", tenant="other")["data"] == []


def test_a_worker_tells_what_it_serves_and_in_which_version(line: Line, api: Api) -> None:
    served(line, WEATHER)
    worker = next(each for each in api.get("workers")["data"] if each["kind"] == "worker")
    assert worker["tools"] == [{"name": "weather", "version": WEATHER.version, "queue": "default"}]


def test_the_audit_log_is_read_page_by_page_and_by_act(line: Line, api: Api) -> None:
    for _ in range(3):
        api.post(f"jobs/{line.ask(line.open())}/cancel")
    api.post(f"jobs/{failed(line)}/retry")
    first = api.get("audit", limit=2)
    assert ([act["act"] for act in first["data"]], first["has_more"]) == (["job.retry", "job.cancel"], True)
    rest = api.get("audit", limit=2, after=first["next"])
    assert (len(rest["data"]), rest["next"]) == (2, None)
    assert [act["act"] for act in api.get("audit", act="job.retry", since="1h")["data"]] == ["job.retry"]
    assert api.ask("GET", "audit", params={"act": "job.eat"}).status_code == 400
