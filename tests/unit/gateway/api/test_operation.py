"""What an operator asks of a process: readiness, and metrics for a token of their own."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from gateway.api import operation
from gateway.api.dependencies import Gateway
from ringback.telemetry import metrics
from ringback.telemetry.instruments import Exposition, Gauge
from tests.integration.toolbox.small_gateway import NOT_HERE, app_on

TOKEN = "the-token-of-prometheus"


class Admission:
    """Says why no session can begin."""

    def __init__(self, reason: str | None) -> None:
        self._reason = reason

    def why_not(self) -> str | None:
        return self._reason


def client_of(reason: str | None = None, metrics_token: str = "") -> TestClient:
    admission: Any = Admission(reason)
    gateway = Gateway(NOT_HERE, NOT_HERE, NOT_HERE, admission, NOT_HERE, NOT_HERE, 1, metrics_token)
    return TestClient(app_on(gateway, operation.router))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process measures one gauge, for as long as the test."""
    exposition = Exposition([Gauge("ringback_tried", "Tried.", across="livesum")])
    exposition.begin(shared=False)
    monkeypatch.setattr(metrics, "exposition", exposition)


@pytest.mark.parametrize(("reason", "status"), [(None, 200), ("all 400 places are taken", 503)])
def test_readiness_says_why_no_session_can_begin(reason: str | None, status: int) -> None:
    told = client_of(reason).get("/readyz")
    assert (told.status_code, told.json()["status"]) == (status, reason or "ready")


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (None, 401),
        ("Bearer another-token", 401),
        (TOKEN, 401),
        ("Bearer ", 401),
        ("Bearer \u00fc", 401),
    ],
)
def test_metrics_need_the_token_of_their_own(header: str | None, status: int) -> None:
    headers = [] if header is None else [(b"Authorization", header.encode())]
    told = client_of(metrics_token=TOKEN).get("/metrics", headers=headers)
    assert told.status_code == status
    assert ("ringback_tried" in told.text) == (status == 200)


@pytest.mark.usefixtures("measured")
def test_without_a_token_the_page_is_not_there() -> None:
    told = client_of().get("/metrics", headers={"Authorization": "Bearer "})
    assert told.status_code == 404
    assert "RINGBACK_METRICS_TOKEN" in told.json()["error"]["message"]


def test_a_process_that_does_not_measure_has_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "exposition", Exposition([]))
    told = client_of(metrics_token=TOKEN).get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert told.status_code == 404
