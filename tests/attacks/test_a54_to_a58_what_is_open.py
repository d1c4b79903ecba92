"""A54, A55, A57, A58: pages of others, doors that somebody left open, and functions that do not end."""

from __future__ import annotations

import json

import pytest

from tests.attacks.toolbox.fort import FIRST, ORIGIN, SECRETS, SECRETS_PATH, Fort, answered, calling, marker
from tests.line import TOKEN

pytestmark = [pytest.mark.anyio, pytest.mark.long]

SCRIPT = "<script>alert(document.cookie)</script><img src=x onerror=alert(1)>"


async def test_a54_what_was_said_is_data_and_no_page(fort: Fort) -> None:
    """What reads it gets JSON, and says so. What pages make of it is tested in tests/browser."""
    call_id = marker("call")
    async with fort.stranger() as caller:
        await caller.ask(calling("look", {"what": SCRIPT}, call_id))
        await answered(fort, call_id)
        session = caller.session_id
    job = fort.line.jobs(session)[0]["id"]
    paths = [f"/v1/jobs/{job}", f"/v1/jobs?session={session}", f"/v1/sessions/{session}", f"/v1/jobs/{SCRIPT[:30]}"]
    for path in [*paths, f"/v1/jobs?tool={SCRIPT[:30]}", f"/{SCRIPT[:30]}", f"/v1/realtime?agent={SCRIPT[:30]}"]:
        answer = fort.request("GET", path)
        assert answer.headers["content-type"].partition(";")[0] in ("application/json", "text/plain"), path
        assert json.loads(answer.text) is not None, path


@pytest.mark.parametrize("origin", [ORIGIN, "https://evil.example", "null"])
async def test_a55_no_page_gets_leave_to_read_an_answer(fort: Fort, origin: str) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    before = fort.query("SELECT count(*) FROM client_secrets")
    answers = [
        fort.request("OPTIONS", SECRETS_PATH, None, headers={"Origin": origin, **asks}),
        fort.request("GET", "/v1/jobs", headers={"Origin": origin}),
        fort.request("GET", "/healthz", None, headers={"Origin": origin}),
    ]
    assert not answers[0].is_success, "a preflight is refused"
    for answer in answers:
        assert [name for name in answer.headers if name.startswith("access-control-")] == []
    assert fort.query("SELECT count(*) FROM client_secrets") == before


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_a55_a_form_of_another_page_makes_no_secret(fort: Fort, kind: str) -> None:
    """What a page may send without asking: cookies with it, and no header of ours."""
    before = fort.query("SELECT count(*) FROM client_secrets")
    for origin, cookie in (("https://evil.example", f"token={TOKEN}"), (ORIGIN, f"token={TOKEN}; session={TOKEN}")):
        headers = {"Origin": origin, "Cookie": cookie, "Content-Type": kind}
        answer = fort.request("POST", SECRETS_PATH, None, headers=headers, content=b"{}")
        assert answer.status_code in (401, 403)
        assert "set-cookie" not in answer.headers
    assert fort.query("SELECT count(*) FROM client_secrets") == before


CLOSED = [
    *(
        "/metrics",
        "/docs",
        "/redoc",
        "/debug",
        "/debug/pprof",
        "/flower",
        "/admin",
        "/openapi.yaml",
        "/.env",
    ),
    *(
        "/.git/config",
        "/server-status",
        "/actuator",
        "/v1",
        "/v2",
        "/static/../../etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
    ),
]
OPEN = {"/healthz": "ok", "/readyz": "ready"}


@pytest.mark.parametrize("path", CLOSED)
async def test_a57_nothing_is_open_that_is_not_meant_to_be(fort: Fort, path: str) -> None:
    answer = fort.request("GET", path, None)
    assert answer.status_code in (401, 404)
    assert len(answer.content) < 500


@pytest.mark.parametrize(
    "path", ["/v1/jobs", "/v1/sessions", "/v1/tools", "/v1/workers", "/v1/usage", "/v1/keys", "/openapi.json"]
)
async def test_a57_whoever_has_no_token_reads_nothing(fort: Fort, path: str) -> None:
    assert fort.request("GET", path, None).status_code == 401
    assert fort.request("GET", path, "rb_sk_nobodys").status_code == 401


async def test_a57_what_is_open_tells_that_it_lives_and_nothing_else(fort: Fort) -> None:
    for path, status in OPEN.items():
        answer = fort.request("GET", path, None)
        assert answer.json() == {"status": status}
        assert [secret for secret in SECRETS if secret in str(answer.headers)] == []
        assert "uvicorn" not in answer.headers.get("server", "")


@pytest.mark.parametrize(("name", "how"), [("hang", "busy"), ("hang", "asleep"), ("hang_async", "deaf")])
async def test_a58_a_function_that_does_not_end_is_left_and_the_worker_goes_on(fort: Fort, name: str, how: str) -> None:
    call_id, after = marker("call"), marker("call")
    async with fort.stranger() as caller:
        await caller.ask(calling(name, {"how": how}, call_id))
        output = await answered(fort, call_id)
        assert output["error"]["code"] == "timed_out"
        await caller.ask(calling("look", {"what": "after"}, after))
        assert (await answered(fort, after))["seen"] == "after"
    assert fort.job(call_id)["state"] == "timed_out"


async def test_a58_a_result_of_50_megabytes_is_an_error_and_no_row(fort: Fort) -> None:
    call_id = marker("call")
    async with fort.stranger(on=FIRST) as caller:
        await caller.ask(calling("shout", {"megabytes": 50}, call_id))
        output = await answered(fort, call_id)
    assert output["error"]["code"] == "result_too_large"
    assert len(json.dumps(fort.job(call_id))) < 10_000
