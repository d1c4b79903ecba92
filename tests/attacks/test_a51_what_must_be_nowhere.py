"""A51: keys, tokens and secrets, looked for in everything that anybody can read."""

from __future__ import annotations

import json
import re

import psutil
import pytest
from pydantic import SecretStr

from gateway.settings import GatewaySettings
from tests.attacks.toolbox.fort import PASSWORD, SECRETS, SECRETS_PATH, Fort, answered, calling, marker, order, refused
from tests.line import KEY, TOKEN

pytestmark = [pytest.mark.anyio, pytest.mark.long]

ISSUED = re.compile(r"\b(?:rb_sk_|rb_resume_|ek_|eyJ)[A-Za-z0-9_-]{16,}")
"""How a credential looks that the gateway or an identity provider has issued."""


async def use_everything(fort: Fort) -> list[str]:
    """Each kind of credential, in right and in wrong places; returns what was answered."""
    key, call_id = fort.key(marker("user"), scopes="realtime,secrets,history"), marker("call")
    secret = fort.secret(marker("user"), key)
    quota = {"type": "error", "event_id": "e", "error": {"type": "x", "code": "invalid_api_key"}}
    quota["error"]["message"] = "Incorrect API key provided: ~KEY~"  # type: ignore[index]
    answers = []
    async with fort.line.call(fort.provider.token("ann"), ringback="resume,jobs") as caller:
        await caller.hear_kind("session.created")
        await caller.ask(order(send=[json.dumps(quota)], say="an error of the provider's"))
        await caller.hear_words("an error")
        await caller.ask(calling("look", {"what": "x"}, call_id))
        await answered(fort, call_id)
        await refused(caller, "{")
        answers += [frame for frame in caller.frames if "ringback.session.resumable" not in frame]
    for token in (secret, key, TOKEN, KEY, caller.token):
        answers += [fort.request("GET", path, token).text for path in ("/v1/jobs", "/v1/sessions", "/v1/keys")]
        for path in (f"/v1/jobs/{token}", f"/v1/sessions/{token}", f"/{token}"):  # told back to whoever has it already
            fort.request("GET", path, token)
        answers.append(fort.request("GET", "/v1/jobs", token, params={"token": token, "tool": token}).text)
        answers.append(fort.request("POST", SECRETS_PATH, token, json={"ringback": {"user": 7}}).text)
    answers.append(fort.request("GET", "/openapi.json").text)
    return answers


async def test_a51_no_answer_log_or_row_holds_what_opens_a_door(fort: Fort) -> None:
    answers = "\n".join(await use_everything(fort))
    for place, text in {"answers": answers, "logs": fort.logs(), "rows": fort.rows()}.items():
        assert len(text) > 1_000, place
        assert [secret for secret in (*SECRETS, PASSWORD) if secret in text] == [], place
        assert ISSUED.findall(text) == [], place


def test_a51_a_worker_has_no_key(fort: Fort) -> None:
    environment = psutil.Process(fort.line.pids["worker"]).environ()
    assert [name for name, value in environment.items() if KEY in value] == []


def test_a51_settings_show_no_secret_of_theirs() -> None:
    settings = GatewaySettings.model_validate(
        {
            "DATABASE_URL": "postgresql://ringback:a-password@db/ringback",
            "REDIS_URL": "redis://ringback:a-password@redis/0",
            "REALTIME_API_KEY": SecretStr(KEY),
            "RINGBACK_TOKENS": f"tester:{TOKEN}",
            "REALTIME_HEADERS": {"X-Key": KEY},
        }
    )
    shown = f"{settings!r} {settings}"
    assert [secret for secret in (KEY, TOKEN, "a-password") if secret in shown] == []
