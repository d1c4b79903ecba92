"""Every command and every route that acts writes a row of the audit log: the tree of both is walked.

A command or route that is new belongs to one of the tables below, or a test fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text, update
from typer.main import get_command
from typer.testing import CliRunner

from cli.main import program
from gateway.api import controls, job_control, revocation, users
from gateway.app import ROUTERS
from ringback.history.operators import ActName
from ringback.jobs import outcomes
from ringback.statements import processes
from ringback.statements.identity import credentials
from ringback.tables import jobs
from ringback.tools.spec import ToolSpec
from tests.integration.console.visitor import TOKEN, Visitor
from tests.integration.statements.test_history import Line, line_on
from tests.integration.toolbox.small_gateway import RecordingPublisher, app_for_tenants

LOOKING = {
    *("agents check", "agents list", "audit", "check", "data-key", "doctor", "jobs list", "jobs show", "jobs tail"),
    *("queues list", "sessions list", "sessions show", "sessions timeline", "tenants list", "tenants show"),
    *("token list", "token static", "tools list", "tools schema", "top", "usage", "workers"),
}
"""Commands that change no row."""
RUNNING = {
    **dict.fromkeys(("demo", "gateway", "simulator", "up", "worker"), "processes"),
    "migrate": "changes the schema, where the audit log may not be yet; the revision says what was done",
    "new-tool": "writes a file",
    "sessions recording": "asks the gateway, which writes who listens",
    "tools run": "a call of its own session, which the history has",
}
"""Commands that do more than look, and are no act on what others have."""
ELSEWHERE = {
    ActName.GUARD: "the guard's own: tests/calls",
    ActName.LISTEN: "of a route that reads: tests/integration/statements/test_recordings.py",
}
"""Acts that no command and no route that writes makes, and where each is tried."""
TALKING = {
    ("POST", "/v1/realtime/calls"): "begins what a session's row names",
    ("POST", "/openai/v1/realtime/calls"): "the same",
    ("POST", "/webhooks/openai"): "begins what a session's row names",
    ("POST", "/twilio/voice"): "begins nothing: a call begins with its stream",
    ("POST", "/v1/realtime/client_secrets"): "begins what a session's row names",
    ("POST", "/console/sign-in"): "a visitor's own",
    ("POST", "/console/sign-out"): "a visitor's own",
    ("POST", "/console/links"): "a visitor's own",
}
"""Routes that write, and are no act on what others have."""
BODY_TO_CHOOSE = {"filter": {"tool": "weather"}}
CONFIRMED = {"q": "tool:weather", "until": "2999-01-01T00:00:00Z", "act": "yes"}
"""Of a form that acts on the calls it names, which a search has found."""


class Rows(NamedTuple):
    """What there is to act on."""

    live: UUID
    over: UUID
    waiting: UUID
    session: UUID
    key: UUID


COMMANDS: dict[str, tuple[ActName, Callable[[Rows], list[Any]]]] = {
    "jobs approve": (ActName.APPROVE, lambda rows: [rows.waiting]),
    "jobs cancel": (ActName.CANCEL, lambda rows: [rows.live]),
    "jobs deny": (ActName.DENY, lambda rows: [rows.waiting]),
    "jobs retry": (ActName.RETRY, lambda rows: [rows.over]),
    "queues limit": (ActName.LIMIT_QUEUE, lambda _: ["default", 3]),
    "queues pause": (ActName.PAUSE_QUEUE, lambda _: ["default"]),
    "queues resume": (ActName.RESUME_QUEUE, lambda _: ["default"]),
    "sessions end": (ActName.END_SESSION, lambda rows: [rows.session]),
    "tenants set": (ActName.LIMIT_TENANT, lambda _: ["default", "--sessions", 5]),
    "tenants set --retention-days": (ActName.RETAIN_TENANT, lambda _: ["default", "--retention-days", 5]),
    "token create": (ActName.CREATE_KEY, lambda _: ["--user", "shop"]),
    "token revoke": (ActName.REVOKE_KEY, lambda rows: [rows.key]),
    "tools limit": (ActName.LIMIT_TOOL, lambda _: ["weather", 3]),
    "tools pause": (ActName.PAUSE_TOOL, lambda _: ["weather"]),
    "tools resume": (ActName.RESUME_TOOL, lambda _: ["weather"]),
    "users erase": (ActName.ERASE_USER, lambda _: ["eve", "--yes"]),
    "users sign-out": (ActName.SIGN_OUT, lambda _: ["ada"]),
}
ROUTES: dict[tuple[str, str], tuple[ActName, str, Callable[[Rows], str], Any]] = {
    ("POST", "/v1/jobs/{id}/cancel"): (ActName.CANCEL, "", lambda rows: str(rows.live), None),
    ("POST", "/v1/jobs/cancel"): (ActName.CANCEL, "", lambda _: "", BODY_TO_CHOOSE),
    ("POST", "/v1/jobs/{id}/retry"): (ActName.RETRY, "", lambda rows: str(rows.over), None),
    ("POST", "/v1/jobs/retry"): (ActName.RETRY, "", lambda _: "", BODY_TO_CHOOSE),
    ("POST", "/v1/jobs/{id}/approve"): (ActName.APPROVE, "", lambda rows: str(rows.waiting), None),
    ("POST", "/v1/jobs/{id}/deny"): (ActName.DENY, "", lambda rows: str(rows.waiting), None),
    ("POST", "/v1/{kinds}/{name}/pause"): (ActName.PAUSE_QUEUE, "queues", lambda _: "default", None),
    ("POST", "/v1/{kinds}/{name}/resume"): (ActName.RESUME_TOOL, "tools", lambda _: "weather", None),
    ("POST", "/v1/{kinds}/{name}/limit"): (ActName.LIMIT_TOOL, "tools", lambda _: "weather", {"concurrency": 3}),
    ("POST", "/v1/keys/{id}/revoke"): (ActName.REVOKE_KEY, "", lambda rows: str(rows.key), None),
    ("POST", "/v1/users/{user:path}/sign-out"): (ActName.SIGN_OUT, "", lambda _: "ada", None),
    ("POST", "/v1/sessions/{id}/end"): (ActName.END_SESSION, "", lambda rows: str(rows.session), None),
    ("DELETE", "/v1/users/{user:path}"): (ActName.ERASE_USER, "", lambda _: "eve", None),
}
FORMS: dict[tuple[str, str], list[tuple[ActName, Callable[[Rows], str], Callable[[Rows], dict[str, str]]]]] = {
    ("POST", "/console/jobs/act/{act}"): [
        (ActName.CANCEL, lambda _: "jobs/act/cancel", lambda rows: {**CONFIRMED, "ids": str(rows.live)}),
        (ActName.RETRY, lambda _: "jobs/act/retry", lambda rows: {**CONFIRMED, "ids": str(rows.over)}),
    ],
    ("POST", "/console/jobs/{id}/{act}"): [
        (ActName.CANCEL, lambda rows: f"jobs/{rows.live}/cancel", lambda _: {}),
        (ActName.RETRY, lambda rows: f"jobs/{rows.over}/retry", lambda _: {}),
        (ActName.APPROVE, lambda rows: f"jobs/{rows.waiting}/approve", lambda _: {}),
        (ActName.DENY, lambda rows: f"jobs/{rows.waiting}/deny", lambda _: {}),
    ],
    ("POST", "/console/{kinds}/{name}/{act}"): [
        (ActName.PAUSE_TOOL, lambda _: "tools/weather/pause", lambda _: {}),
        (ActName.RESUME_QUEUE, lambda _: "queues/default/resume", lambda _: {}),
        (ActName.LIMIT_QUEUE, lambda _: "queues/default/limit", lambda _: {"concurrency": "4"}),
    ],
}


@pytest.fixture
def line(database: str) -> Iterator[Line]:
    with line_on(database) as line:
        yield line


@pytest.fixture
def rows(line: Line) -> Rows:
    for announced in processes.announce("w", [ToolSpec("weather", "The weather.", {"type": "object"})]):
        line.run(announced)
    session, key = line.open(), uuid4()
    live, over, waiting = line.ask(session), line.ask(session), line.ask(session)
    line.finish(over, line.claim(over), outcomes.failed("no", "There is none."))
    line.run(update(jobs).where(jobs.c.id == waiting).values(approval="requested"))
    for user, id_ in (("shop", key), ("eve", uuid4())):
        line.run(credentials.create_key(id_, id_.bytes, user=user, tenant="default", scopes=(), seconds_valid=None))
    return Rows(live, over, waiting, session, key)


def acts(line: Line) -> set[str]:
    return {row.act for row in line.run(text("SELECT act FROM audit"))}


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The commands below this one, by their words."""
    if not hasattr(command, "commands"):
        yield " ".join(path)
    for name, below in getattr(command, "commands", {}).items():
        yield from leaves(below, (*path, name))


def test_each_command_is_known_to_look_or_to_act() -> None:
    acting = {name.partition(" --")[0] for name in COMMANDS}
    assert set(leaves(get_command(program()))) == acting | LOOKING | RUNNING.keys()


def test_each_route_that_writes_is_known() -> None:
    routes = [route for router in ROUTERS for route in router.routes]
    found = {(method, route.path) for route in routes for method in getattr(route, "methods", None) or ()}
    assert {
        each for each in found if each[0] not in ("GET", "HEAD", "OPTIONS")
    } == ROUTES.keys() | FORMS.keys() | TALKING.keys()


def test_each_kind_of_act_is_tried() -> None:
    tried = {act for act, _ in COMMANDS.values()}
    assert tried | ELSEWHERE.keys() == set(ActName)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_acts_is_in_the_log(line: Line, rows: Rows, database: str, name: str) -> None:
    act, given = COMMANDS[name]
    words = [*name.partition(" --")[0].split(), *map(str, given(rows))]
    done = CliRunner().invoke(program(), words, env={"DATABASE_URL": database, "TERM": "dumb"})
    assert done.exit_code == 0, done.output
    assert acts(line) == {act}


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: " ".join(route))
def test_a_route_that_acts_is_in_the_log(line: Line, rows: Rows, database: str, route: tuple[str, str]) -> None:
    act, kinds, named, body = ROUTES[route]
    gateway = Visitor(database, publisher=RecordingPublisher()).gateway
    app = app_for_tenants(gateway, *(part.router for part in (job_control, controls, revocation, users)))
    path = route[1].replace("{kinds}", kinds)
    for parameter in ("{id}", "{name}", "{user:path}"):
        path = path.replace(parameter, named(rows))

    async def ask() -> httpx.Response:
        bearer = {"Authorization": "Bearer default"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=bearer) as client:
            return await client.request(route[0], path, **({} if body is None else {"json": body}))

    answer = asyncio.run(ask())
    assert answer.is_success, answer.text
    assert acts(line) == {act}


@pytest.mark.parametrize(
    ("act", "path", "fields"), [pytest.param(*each, id=each[0]) for forms in FORMS.values() for each in forms]
)
def test_a_form_that_acts_is_in_the_log(
    line: Line,
    rows: Rows,
    database: str,
    act: ActName,
    path: Callable[[Rows], str],
    fields: Callable[[Rows], dict[str, str]],
) -> None:
    visitor = Visitor(database, {"ada": TOKEN}, publisher=RecordingPublisher())
    visitor.sign_in()
    answer = visitor.post(f"/console/{path(rows)}", **fields(rows))
    assert answer.status_code in (200, 303), answer.text
    assert acts(line) == {act}
