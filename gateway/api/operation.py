"""What operators and their machines ask of a process: whether it lives, whether it takes sessions, its metrics."""

from __future__ import annotations

import asyncio
import hmac

from fastapi import APIRouter, Request, Response

from gateway.api.dependencies import Gateway, TheGateway
from gateway.errors import AuthenticationError, NotFound
from ringback.telemetry import metrics
from ringback.telemetry.instruments import CONTENT_TYPE

router = APIRouter()

NO_METRICS = "This gateway shows no metrics: set RINGBACK_METRICS_TOKEN, and leave RINGBACK_METRICS on."
UNAUTHORIZED = "Metrics need the header `Authorization: Bearer …` with the value of RINGBACK_METRICS_TOKEN."


@router.get("/healthz", tags=["operation"])
async def healthz() -> dict[str, str]:
    """Say that this process answers."""
    return {"status": "ok"}


@router.get("/readyz", tags=["operation"], responses={503: {"description": "Not now; the body says why."}})
async def readyz(gateway: TheGateway, response: Response) -> dict[str, str]:
    """Say whether this process can take a session: Postgres answers, and there is room."""
    reason = gateway.admission.why_not()
    if reason is not None:
        response.status_code = 503
    return {"status": reason or "ready"}


@router.get("/metrics", include_in_schema=False)
async def scrape(request: Request, gateway: TheGateway) -> Response:
    """Return the metrics of all processes of this gateway, as Prometheus reads them."""
    _refuse_strangers(request, gateway)
    if gateway.queues is not None:
        await gateway.queues.show()
    return Response(await asyncio.to_thread(metrics.exposition.text), media_type=CONTENT_TYPE)


def _refuse_strangers(request: Request, gateway: Gateway) -> None:
    """Raise ApiError unless the request has the token for metrics. It opens no other route."""
    if not (gateway.metrics_token and metrics.exposition.has_begun):
        raise NotFound(NO_METRICS)
    expected = f"Bearer {gateway.metrics_token}".encode()
    if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):
        raise AuthenticationError(UNAUTHORIZED)
