"""The history over HTTP, on a bare app and a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from gateway.api import history
from ringback.agents.agent import Agent
from ringback.jobs import outcomes
from ringback.jobs.states import HeardBy
from ringback.moments import Moment, MomentKind
from ringback.statements import processes
from ringback.statements.jobs import deliveries
from ringback.statements.jobs.deliveries import Told
from ringback.statements.sessions import moments
from ringback.tools.behavior import Late, Limits, ToolBehavior
from ringback.tools.spec import ToolSpec
from tests.integration.statements.test_history import LONG_AGO, Line, line_on
from tests.integration.toolbox.small_gateway import DEMO, app_for_tenants, small_gateway, store_on

WEATHER = Agent(name="weather", instructions="You know the weather.", tools=("weather",))
"""Every tenant may have the weather; the rest is for `default`."""


class Api:
    """A bare app with the routes on it, asked as a client asks."""

    def __init__(self, database: str) -> None:
        gateway = small_gateway(store_on(database), {"demo": DEMO, "weather": WEATHER})
        self.app = app_for_tenants(gateway, history.router)

    def answer(self, path: str, tenant: str = "default", **asked: Any) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            bearer = {"Authorization": f"Bearer {tenant}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=bearer) as client:
                return await client.get(path, params=asked or None)

        return asyncio.run(ask())

    def get(self, path: str, **asked: Any) -> Any:
        answer = self.answer(path, **asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ids(self, path: str, **asked: Any) -> list[UUID]:
        return [UUID(each["id"]) for each in self.get(path, **asked)["data"]]


@pytest.fixture
def line(database: str) -> Iterator[Line]:
    with line_on(database) as line:
        yield line


@pytest.fixture
def api(database: str) -> Api:
    return Api(database)


def test_a_call_is_told_with_its_attempts_transitions_and_durations(line: Line, api: Api) -> None:
    session = line.open()
    job = line.ask(session, "weather", {"city": "London"})
    line.finish(job, line.claim(job), outcomes.succeeded({"sky": "grey"}))
    line.deliver(session, job)
    told = api.get(f"/v1/jobs/{job}")
    assert (told["object"], told["id"], told["session_id"]) == ("job", str(job), str(session))
    assert (told["state"], told["delivery"], told["result"]) == ("succeeded", "acked", {"sky": "grey"})
    assert [attempt["ended"] for attempt in told["attempts"]] == ["succeeded"]
    assert [step["delivery"] for step in told["transitions"]] == ["none", "none", "ready", "sent", "acked"]
    parts = ("waited", "ran", "delivered", "acked", "rang", "floor", "voice", "heard")
    assert set(told["timeline"]) == {f"{part}_ms" for part in parts}
    assert "token" not in told


def test_a_sessions_timeline_tells_its_moments_and_when_each_call_was_heard(line: Line, api: Api) -> None:
    session = line.open()
    job = line.ask(session, "weather")
    line.finish(job, line.claim(job), outcomes.succeeded({"sky": "grey"}))
    line.deliver(session, job)
    heard = Told(job, "resp_1", 1.5, 1.75, 2.75, HeardBy.REPORT, 2_400.0, 1_500.0)
    line.run(deliveries.note_told(session, "gw", 1, [heard], 3.0))
    told = [Moment(MomentKind.RESPONSE_SPOKE, 2.0, 1, "resp_1"), Moment(MomentKind.USER_BEGAN, 1.0, 1)]
    line.run(moments.save(session, "gw", 1, enumerate(told), 3.0))
    found = api.get(f"/v1/sessions/{session}/timeline")
    assert [(each["kind"], each["response_id"]) for each in found["moments"]] == [
        ("user_began", None),
        ("response_spoke", "resp_1"),
    ]
    (call,) = found["jobs"]["data"]
    assert (call["id"], call["delivery"], call["heard_by"], call["played_ms"]) == (str(job), "heard", "report", 1_500.0)
    split = api.get(f"/v1/jobs/{job}")["timeline"]
    assert (split["voice_ms"], split["heard_ms"]) == (250.0, 1_000.0)
    assert api.answer(f"/v1/sessions/{session}/timeline", tenant="other").status_code == 404


def test_jobs_are_listed_newest_first_and_without_what_may_be_large(line: Line, api: Api) -> None:
    session = line.open()
    asked = [line.ask(session) for _ in range(3)]
    page = api.get("/v1/jobs")
    assert [UUID(job["id"]) for job in page["data"]] == asked[::-1]
    assert (page["object"], page["has_more"], page["next"]) == ("list", False, None)
    assert not {"arguments", "result", "token"} & set(page["data"][0])


def test_each_filter_keeps_the_jobs_that_fit_and_together_they_narrow(line: Line, api: Api) -> None:
    first, second = line.open(), line.open()
    weather = line.ask(first, "weather")
    order = line.ask(first, "order_status")
    elsewhere = line.ask(second, "weather")
    line.claim(elsewhere)
    (old,) = line.insert_jobs(1, second, created_at=LONG_AGO)
    assert api.ids("/v1/jobs", session=first) == [order, weather]
    assert api.ids("/v1/jobs", tool="weather") == [elsewhere, weather, old]
    assert api.ids("/v1/jobs", queue="slow") == [order]
    assert api.ids("/v1/jobs", state="running") == [elsewhere]
    assert api.ids("/v1/jobs", state="running,pending") == [elsewhere, order, weather, old]
    assert api.ids("/v1/jobs", state=["running", "succeeded"]) == [elsewhere]
    assert api.ids("/v1/jobs", since="1d") == [elsewhere, order, weather]
    assert api.ids("/v1/jobs", since="2026-01-31T12:00:00Z", tool="weather", session=second) == [elsewhere, old]
    assert api.ids("/v1/jobs", tool="nobody's") == []


def test_paging_loses_and_repeats_nothing_while_new_jobs_arrive(line: Line, api: Api) -> None:
    session = line.open()
    there = line.insert_jobs(130, session, created_at=LONG_AGO)
    pages = [api.get("/v1/jobs", limit=25)]
    while pages[-1]["has_more"]:
        line.insert_jobs(7, session)
        pages.append(api.get("/v1/jobs", limit=25, after=pages[-1]["next"]))
    assert [len(page["data"]) for page in pages] == [25, 25, 25, 25, 25, 5]
    assert [UUID(job["id"]) for page in pages for job in page["data"]] == sorted(there, reverse=True)
    assert pages[-1]["next"] is None


def test_sessions_are_listed_filtered_and_paged_like_jobs(line: Line, api: Api) -> None:
    sessions = [line.open("demo"), line.open("night"), line.open("demo")]
    line.ask(sessions[0])
    line.end(sessions[0])
    assert api.ids("/v1/sessions") == sessions[::-1]
    assert api.ids("/v1/sessions", agent="night") == [sessions[1]]
    assert api.ids("/v1/sessions", state="ended") == [sessions[0]]
    assert api.ids("/v1/sessions", state="open,draining", since="1h") == [sessions[2], sessions[1]]
    page = api.get("/v1/sessions", limit=2)
    assert api.ids("/v1/sessions", limit=2, after=page["next"]) == [sessions[0]]
    ended = api.get("/v1/sessions", state="ended")["data"][0]
    assert (ended["counts"], ended["end_reason"]) == ({"pending": 1}, "client_left")


def test_a_session_comes_with_the_first_page_of_its_jobs(line: Line, api: Api) -> None:
    session = line.open()
    line.insert_jobs(60, session)
    line.ask(line.open())
    told = api.get(f"/v1/sessions/{session}")
    assert told["counts"] == {"pending": 60}
    assert told["jobs"] == api.get("/v1/jobs", session=session)
    assert len(api.ids("/v1/jobs", session=session, after=told["jobs"]["next"])) == 10


def test_tools_and_workers_are_told_while_they_live(line: Line, api: Api) -> None:
    behavior, limits = ToolBehavior(say_after=3.0, late=Late.SPEAK), Limits(concurrency=4)
    weather = ToolSpec("weather", "Look it up.", {"type": "object"}, retries=2, behavior=behavior, limits=limits)
    for announced in processes.announce("w", [weather]):
        line.run(announced)
    line.run(processes.register("w2", "worker", "there", 2, ["slow"], 8))
    (tool,) = api.get("/v1/tools")["data"]
    assert (tool["name"], tool["retries"], tool["effect"], tool["workers"]) == ("weather", 2, "pure", 1)
    assert (tool["manners"]["say_after"], tool["manners"]["late"], tool["limits"]["concurrency"]) == (3.0, "speak", 4)
    told = {process["id"]: process for process in api.get("/v1/workers")["data"]}
    assert (told["w2"]["slots"], told["gw"]["slots"]) == (8, 0)
    line.run(processes.retire("w2"))
    assert (told["gw"]["kind"], told["w"]["kind"], told["w"]["queues"]) == ("gateway", "worker", ["default", "slow"])
    assert told["w"]["alive"] is True
    line.run(processes.retire("w"))
    assert api.get("/v1/tools") == {"object": "list", "data": []}
    alive = {process["id"]: process["alive"] for process in api.get("/v1/workers")["data"]}
    assert alive == {"gw": True, "w": False, "w2": False}


def test_a_tenant_is_told_of_the_tools_that_its_agents_have_and_of_no_process(line: Line, api: Api) -> None:
    for announced in processes.announce("w", [ToolSpec("weather", "d", {}), ToolSpec("payroll", "d", {})]):
        line.run(announced)
    served = {tenant: api.answer("/v1/tools", tenant=tenant).json()["data"] for tenant in ("default", "other")}
    assert [tool["name"] for tool in served["default"]] == ["payroll", "weather"]
    assert [tool["name"] for tool in served["other"]] == ["weather"]
    assert api.answer("/v1/workers", tenant="other").json() == {"object": "list", "data": []}


@pytest.mark.parametrize("what", ["job", "session"])
@pytest.mark.parametrize("given", ["00000000-0000-4000-8000-000000000000", "job_1", "%00", "3f2a9c1b", "x" * 500])
def test_an_id_that_nobody_has_is_not_found(api: Api, what: str, given: str) -> None:
    answer = api.answer(f"/v1/{what}s/{given}")
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "not_found", "id")
    assert error["message"].startswith(f"There is no {what} '")
    assert len(error["message"]) < 200


def test_what_is_another_tenants_is_not_found_and_not_listed(line: Line, api: Api) -> None:
    session, job = line.foreign_job()
    nobody = uuid4()
    for what, id_ in (("jobs", job), ("sessions", session)):
        foreign = api.answer(f"/v1/{what}/{id_}")
        unknown = api.answer(f"/v1/{what}/{nobody}")
        assert (foreign.status_code, foreign.text) == (404, unknown.text.replace(str(nobody), str(id_)))
        assert api.ids(f"/v1/{what}") == []
        assert api.answer(f"/v1/{what}/{id_}", tenant="other").status_code == 200
    assert api.ids("/v1/jobs", session=session) == []


@pytest.mark.parametrize(
    ("path", "param", "value", "code"),
    [
        ("/v1/jobs", "limit", "0", "invalid_value"),
        ("/v1/jobs", "limit", "many", "invalid_value"),
        ("/v1/jobs", "since", "yesterday", "invalid_value"),
        ("/v1/jobs", "state", "done", "invalid_value"),
        ("/v1/jobs", "session", "s1", "invalid_value"),
        ("/v1/jobs", "tool", "a\x00b", "invalid_value"),
        ("/v1/jobs", "after", "x", "invalid_value"),
        ("/v1/jobs", "colour", "red", "unknown_parameter"),
        ("/v1/sessions", "state", "running", "invalid_value"),
        ("/v1/sessions", "tool", "weather", "unknown_parameter"),
    ],
)
def test_a_wrong_filter_is_refused_by_its_name(api: Api, path: str, param: str, value: str, code: str) -> None:
    answer = api.answer(path, **{param: value})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert error["message"].startswith(f"{param} ")


@pytest.mark.parametrize("path", ["jobs", "jobs/x", "sessions", "sessions/x", "tools", "workers", "jobs?limit=0"])
def test_nobody_is_told_anything_before_they_said_who_they_are(api: Api, path: str) -> None:
    assert api.answer(f"/v1/{path}", tenant="nobody").status_code == 401


def test_the_openapi_document_says_what_is_asked_and_answered(api: Api) -> None:
    paths = api.app.openapi()["paths"]
    assert set(paths) == {
        f"/v1/{path}"
        for path in (
            *("jobs", "jobs/{id}", "sessions", "sessions/{id}", "sessions/{id}/timeline"),
            *("tools", "queues", "workers", "usage", "audit"),
        )
    }
    listing = paths["/v1/jobs"]["get"]
    asked = {parameter["name"]: parameter for parameter in listing["parameters"]}
    assert set(asked) == {"session", "tool", "state", "queue", "approval", "since", "until", "limit", "after"}
    assert asked["limit"]["schema"] == asked["limit"]["schema"] | {"minimum": 1, "maximum": 200, "default": 50}
    assert all(parameter["description"] for parameter in asked.values())
    assert set(listing["responses"]) == {"200", "401", "403", "4XX", "503"}
    answered = paths["/v1/jobs/{id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answered == {"$ref": "#/components/schemas/Job"}
