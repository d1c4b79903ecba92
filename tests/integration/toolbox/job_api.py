"""The routes that cancel, approve and deny calls, on a bare app and a real Postgres."""

from __future__ import annotations

import asyncio

import httpx

from gateway.api import job_control
from tests.integration.toolbox.small_gateway import RecordingPublisher, app_for_tenants, small_gateway, store_on


class JobApi:
    """A bare app with the routes on it, the bells that it rang and the ids that it published."""

    def __init__(self, database: str) -> None:
        publisher = RecordingPublisher()
        self.rung = publisher.rung
        self.published = publisher.published
        self.app = app_for_tenants(small_gateway(store_on(database), publisher=publisher), job_control.router)

    def post(self, job_id: object, what: str, tenant: str = "default") -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            bearer = {"Authorization": f"Bearer {tenant}"}
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=bearer) as client:
                return await client.post(f"/v1/jobs/{job_id}/{what}")

        return asyncio.run(ask())
