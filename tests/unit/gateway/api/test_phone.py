"""What the addresses of phone calls answer before a call has begun."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from gateway.api import TWILIO_STREAM_AT, phone
from gateway.api.dependencies import Gateway
from tests.integration.toolbox.small_gateway import NOT_HERE, app_on

SET_UP: Any = object()
"""Stands for an account of Twilio's."""


def app_with(twilio: Any) -> FastAPI:
    gateway = Gateway(NOT_HERE, NOT_HERE, NOT_HERE, NOT_HERE, NOT_HERE, NOT_HERE, 1, twilio=twilio)
    return app_on(gateway, phone.router)


def test_a_stream_whose_proxy_drops_the_upgrade_is_told_so_and_the_log_too(caplog: pytest.LogCaptureFixture) -> None:
    told = TestClient(app_with(SET_UP)).get(TWILIO_STREAM_AT)
    assert (told.status_code, told.headers["Upgrade"]) == (426, "websocket")
    assert "let it pass `Upgrade` and `Connection` on" in told.json()["error"]["message"]
    assert caplog.messages == ["twilio stream refused: the request to /twilio/media asked for no WebSocket"]


def test_where_no_account_is_set_up_nothing_is_there() -> None:
    told = TestClient(app_with(None)).get(TWILIO_STREAM_AT)
    assert told.status_code == 404
    assert "TWILIO_AUTH_TOKEN and RINGBACK_PUBLIC_URL are not set" in told.json()["error"]["message"]
