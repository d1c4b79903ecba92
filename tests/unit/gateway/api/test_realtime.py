"""What keeps a WebSocket out is told before the upgrade, as HTTP, in the one shape of errors."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.testclient import TestClient, WebSocketDenialResponse

from gateway.api import SOCKETS_AT, realtime
from gateway.api.dependencies import Gateway
from gateway.api.error_handlers import FAILED
from gateway.auth.authenticator import Authenticator, StaticToken
from tests.integration.toolbox.small_gateway import NOT_HERE, app_on

TOKEN = "a-token-of-the-settings"
SECRET = "the-key-of-the-realtime-api"


class Admission:
    """Refuses every session: for a reason, or because it has a bug."""

    def __init__(self, reason: str | Exception | None) -> None:
        self._reason = reason

    def why_not(self) -> str | None:
        if isinstance(self._reason, Exception):
            raise self._reason
        return self._reason


def app_with(reason: str | Exception | None) -> FastAPI:
    admission: Any = Admission(reason)
    authenticator = Authenticator({"ada": StaticToken(SecretStr(TOKEN))})
    return app_on(Gateway(NOT_HERE, NOT_HERE, authenticator, admission, NOT_HERE, NOT_HERE, 1), realtime.router)


def refused(reason: str | Exception | None, path: str = "/v1/realtime", token: str = TOKEN) -> WebSocketDenialResponse:
    client = TestClient(app_with(reason), headers={"Authorization": f"Bearer {token}"})
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect(path):
        pass
    return denied.value


@pytest.mark.parametrize(
    ("reason", "path", "token", "status", "type_", "code"),
    [
        (None, "/v1/realtime", "unknown-token", 401, "invalid_request_error", "invalid_api_key"),
        (None, "/v1/realtime?intent=transcription", TOKEN, 400, "invalid_request_error", "invalid_value"),
        (None, "/v1/realtime?call_id=c", TOKEN, 400, "invalid_request_error", "invalid_value"),
        (None, "/v1/realtime?ringback=everything", TOKEN, 400, "invalid_request_error", "invalid_value"),
        ("this gateway is ending", "/v1/realtime", TOKEN, 503, "server_error", "unavailable"),
        (RuntimeError(SECRET), "/v1/realtime", TOKEN, 500, "server_error", "internal_error"),
        (TimeoutError(), "/v1/realtime", TOKEN, 503, "server_error", "unavailable"),
    ],
)
def test_an_upgrade_that_is_refused_or_fails_is_answered_as_http(
    reason: str | Exception | None, path: str, token: str, status: int, type_: str, code: str
) -> None:
    told = refused(reason, path, token)
    assert told.status_code == status
    error = told.json()["error"]
    assert (error["type"], error["code"], error["param"]) == (type_, code, None)
    assert error["message"] == FAILED if status == 500 else SECRET not in error["message"]
    assert ("Retry-After" in told.headers) == (status == 503)
    assert ("WWW-Authenticate" in told.headers) == (status == 401)


@pytest.mark.parametrize("path", SOCKETS_AT)
def test_a_request_without_an_upgrade_is_told_to_ask_for_one(path: str) -> None:
    told = TestClient(app_with(None)).get(path)
    assert (told.status_code, told.json()["error"]["code"]) == (426, "upgrade_required")
    assert (told.headers["Upgrade"], told.headers["Connection"]) == ("websocket", "Upgrade")


def test_a_page_hears_without_an_upgrade_why_its_token_was_refused() -> None:
    """A browser tells a page nothing of a refused upgrade but that there was one."""
    told = TestClient(app_with(None)).get("/v1/realtime", headers={"Authorization": "Bearer unknown-token"})
    assert (told.status_code, told.json()["error"]["code"]) == (401, "invalid_api_key")
