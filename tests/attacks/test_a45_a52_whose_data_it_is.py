"""A45 and A52: what is a tenant's is nobody else's; what is not to be kept is in no row and no log line, or goes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest

from cli.local_stack.embedded_servers import embedded_servers
from ringback.privacy.encryption import new_key
from tests.attacks.toolbox.fort import CARD, FIRST, Fort, answered, calling, in_thread, marker, open_fort, order
from tests.servers import in_dialect

pytestmark = [pytest.mark.anyio, pytest.mark.long]

SSN, PHONE, IBAN = "078-05-1120", "+1 415 555 2671", "the account of Grace Hopper"
PERSONAL = (CARD, SSN, PHONE, IBAN, "Hopper", "4711 euros", "4111111111111111")
EVERYTHING = "realtime,history,control,admin"


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fort]:
    """A line that keeps personal data out of its rows, on servers of its own: two lines share no queue."""
    settings = {"RINGBACK_DATA_KEY": new_key(), "RINGBACK_REDACT": "card,ssn,phone"}
    tools = "tests.attacks.toolbox.functions,tests.attacks.toolbox.accounts"
    folder = tmp_path_factory.mktemp("vault")
    with (
        embedded_servers(durable=False) as servers,
        open_fort(servers, folder, gateways=1, tools=tools, **settings) as fort,
    ):
        yield fort


def found(text: str, *secrets: str) -> list[str]:
    """Those of them that stand in it, in whatever way JSON writes them."""
    return [secret for secret in secrets if secret in text or json.dumps(secret)[1:-1] in text]


async def test_a45_what_is_another_tenants_is_not_there(fort: Fort) -> None:
    call_id, words = marker("call"), marker("said")
    async with fort.stranger(fort.key("ada", scopes=EVERYTHING)) as caller:
        await caller.ask(calling("look", {"what": words}, call_id))
        await answered(fort, call_id)
        session = caller.session_id
        job = (await asyncio.to_thread(fort.job, call_id))["id"]
        rival = fort.key("eve", tenant="rival", scopes=EVERYTHING)
        nobody = str(uuid4())
        for method, path in (
            ("GET", "/v1/sessions/{session}"),
            ("GET", "/v1/jobs/{job}"),
            ("POST", "/v1/sessions/{session}/end"),
            ("POST", "/v1/jobs/{job}/cancel"),
            ("POST", "/v1/jobs/{job}/approve"),
            ("POST", "/v1/jobs/{job}/deny"),
        ):
            foreign = fort.request(method, path.format(session=session, job=job), rival)
            unknown = fort.request(method, path.format(session=nobody, job=nobody), rival)
            told = foreign.text.replace(session, nobody).replace(job, nobody)
            assert (foreign.status_code, told) == (404, unknown.text), path
        lists = [fort.request("GET", f"/v1/{what}", rival).json()["data"] for what in ("sessions", "jobs", "workers")]
        assert lists == [[], [], []]
        assert fort.request("GET", f"/v1/jobs?session={session}", rival).json()["data"] == []
        assert fort.request("DELETE", "/v1/users/ada", rival).status_code == 404
        assert fort.session(session)["state"] == "open"


async def test_a45_guessing_ids_finds_nothing(fort: Fort) -> None:
    """Those next to one that is known are no nearer than any other."""
    call_id = marker("call")
    async with fort.stranger() as caller:
        await caller.ask(calling("look", {"what": "x"}, call_id))
        await answered(fort, call_id)
        known = UUID((await asyncio.to_thread(fort.job, call_id))["id"])
    beside = [UUID(int=known.int + step) for step in range(-20, 21) if step]
    assert {fort.request("GET", f"/v1/jobs/{guess}").status_code for guess in beside} == {404}
    assert fort.request("GET", f"/v1/jobs/{known}").status_code == 200


async def test_a45_a_statement_that_forgets_the_tenant_sees_one_all_the_same(fort: Fort) -> None:
    """What an injected or a careless query would get on a connection that serves somebody."""
    for tenant in ("default", "rival"):
        async with fort.stranger(fort.key(f"user of {tenant}", tenant=tenant)) as caller:
            assert caller.session_id
    with psycopg.connect(in_dialect(fort.line.database, "postgresql")) as connection:
        behind = "SELECT set_config('ringback.tenant', 'rival', true), set_config('role', 'ringback_tenant', true)"
        connection.execute(behind.encode())
        assert connection.execute("SELECT DISTINCT tenant FROM sessions").fetchall() == [("rival",)]


async def test_a52_personal_data_is_heard_and_kept_nowhere(vault: Fort) -> None:
    call_id, failing = marker("call"), marker("call")
    note = f"{CARD}, {SSN}, {PHONE}"
    async with vault.stranger() as caller:
        await caller.ask(calling("pay", {"iban": IBAN, "note": note}, call_id))
        output = await answered(vault, call_id)
        assert output == {"iban": IBAN, "note": note, "balance": "4711 euros"}, "the model hears it whole"
        await caller.hear_words("4711 euros")
        await caller.ask(calling("refuse", {"iban": IBAN}, failing))
        await answered(vault, failing)
        await caller.hear_words("error")
        await caller.ask(order(say=f"I have noted {note}."))
        await caller.hear_words("I have noted")
        job = vault.request("GET", f"/v1/jobs/{(await asyncio.to_thread(vault.job, call_id))['id']}").json()
        session = caller.session_id
    await in_thread(lambda: vault.session(session)["state"] == "ended", "the session to end")
    assert job["arguments"] == {"iban": "[iban removed]", "note": "[card removed], [ssn removed], [phone removed]"}
    assert job["result"]["balance"] == "[balance removed]"
    assert "I have noted [card removed]" in vault.rows(), "the transcript is there"
    assert found(vault.rows(), CARD, SSN, PHONE, "4111111111111111") == []
    calls = [row for row in vault.rows().splitlines() if row.startswith(("jobs: ", "job_events: "))]
    assert found("\n".join(calls), *PERSONAL) == [], "nor what a tool has named"
    assert found(vault.logs(), *PERSONAL) == []
    sealed = "SELECT count(sealed_arguments), count(sealed_result) FROM jobs WHERE session_id = %s"
    assert vault.query(sealed, UUID(session)) == [(0, 0)], "it goes with the conversation"


async def test_a52_nothing_of_a_user_who_is_erased_is_left_while_they_talk(vault: Fort) -> None:
    user, words, thing = "grace.hopper@example.com", marker("her-words"), marker("her-argument")
    admin, key = vault.key("root", scopes="admin"), vault.key(user)
    running = marker("hers")
    async with vault.stranger(key, ringback="resume") as caller:
        await caller.ask(calling("look", {"what": thing}, marker("call")))
        await caller.hear_words("seen")
        await caller.ask(words)
        await caller.hear_words(words)
        await caller.ask(calling("wait", {"name": running}, marker("call")))
        await asyncio.to_thread(vault.wait_for_trace, f"begun-{running}")
        marks = [user, words, thing, running]
        await in_thread(lambda: found(vault.rows(), *marks) == marks, "the rows to have all of it")
        answer = await asyncio.to_thread(vault.request, "DELETE", f"/v1/users/{user}", admin)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["sessions"], answer.json()["keys"], answer.json()["is_complete"]) == (1, 1, True)
        assert await caller.hear_goodbye() == (4401, "erased")
    await asyncio.to_thread(vault.wait_for_trace, f"cancelled-{running}")
    assert found(vault.rows(), user, words, thing, running) == []
    assert await vault.knock(key) == 401
    assert vault.request("DELETE", f"/v1/users/{user}", admin).status_code == 404


async def test_a52_only_an_administrator_erases(vault: Fort) -> None:
    other = vault.key("ada", scopes="realtime,history,control")
    answers = [vault.request("DELETE", "/v1/users/tester", token) for token in (other, None)]
    assert [answer.status_code for answer in answers] == [403, 401]


async def test_a52_what_a_tenant_does_not_keep_goes(vault: Fort) -> None:
    words = marker("short-lived")
    vault.command("tenants", "set", "brief", "--retention-days", "0")
    async with vault.stranger(vault.key("ada", tenant="brief")) as caller:
        await caller.ask(words)
        await caller.hear_words(words)
        session = caller.session_id
    await in_thread(lambda: vault.session(session)["state"] == "ended", "the session to end")
    vault.line.restart(FIRST)  # it looks when it starts, and then once a minute
    await in_thread(lambda: not found(vault.rows(), words, session), "the session to be let go")
