"""Posts results that came after the end of their session to the webhook of its agent.

The rows say what is due (`ringback.statements.webhooks`); any gateway may take any of it. A receiver gets each result
at least once, with the same `webhook-id` each time. After about an hour of failures the gateway gives up, and the
result is in the history only.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import psycopg

from gateway.http_client import http_client
from gateway.retry import once_set, repeat
from gateway.storage.database import Store
from gateway.webhook_signing import BadSecret, key_of, signed_headers
from ringback.agents.agent import Agent
from ringback.config import logs
from ringback.config.proxies import ProxyUnusable, is_direct
from ringback.history import documents
from ringback.history.pagination import IdRange
from ringback.statements import history as histories
from ringback.statements import webhooks
from ringback.telemetry import metrics

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""The session is over, so a second of delay does not matter."""
POST_SECONDS = 10.0
"""A receiver that needs longer should store the message, answer, and then work."""
AT_ONCE = 8
"""Posts under way to one agent's receiver; more wait, so that a receiver that hangs delays only its results."""
AT_ONCE_IN_ALL = 32
"""Posts under way in all: each holds a connection."""

TROUBLE = (httpx.HTTPError, httpx.InvalidURL, OSError, psycopg.Error)
"""What a post may raise because of the receiver, the network or Postgres; it is tried again. Includes time-outs."""


class Webhooks:
    """Sender of webhooks. One task, `send`, which runs until it is cancelled, and one for each post.

    Args:
        agents: returns the agents of this moment; a file may change while the gateway runs.
        environment: holds the secrets.
        due: set when a result is due; None: there may be one at any time.
    """

    def __init__(
        self,
        store: Store,
        agents: Callable[[], Mapping[str, Agent]],
        environment: Mapping[str, str] = os.environ,
        due: asyncio.Event | None = None,
    ) -> None:
        self._until_due = once_set(due) if due else None
        self._store = store
        self._agents = agents
        self._environment = environment
        self._under_way = Counter[str]()
        self._complaints: set[str] = set()
        self._clients: dict[bool, httpx.AsyncClient] = {}
        """Made for the first post: one for receivers on this machine, one for all others."""

    async def send(self) -> None:
        """Take what is due, at most once a second, and post it."""
        self._under_way.clear()
        try:
            async with asyncio.TaskGroup() as posts:
                await repeat(lambda: self._post_due(posts), LOOK_SECONDS, "webhook look-up", self._until_due)
        finally:
            while self._clients:
                await self._clients.popitem()[1].aclose()

    async def _post_due(self, posts: asyncio.TaskGroup) -> None:
        free = min(AT_ONCE, AT_ONCE_IN_ALL - self._under_way.total())
        if free <= 0:
            return
        full = [agent for agent, number in self._under_way.items() if number >= AT_ONCE]
        for due in await self._store.rows(webhooks.take_due(free, full)):
            self._under_way[due.agent] += 1
            posts.create_task(self._post(due))

    async def _post(self, due: Any) -> None:
        logs.bind(job=due.id)
        try:
            receiver = self._receiver(due.agent)
            if receiver is None:
                return
            async with asyncio.timeout(POST_SECONDS):
                status = await self._send(due, *receiver)
            if 200 <= status < 300:
                metrics.WEBHOOKS.inc("sent")
                await self._store.count(webhooks.mark_notified([due.id]))
                return
            why = f"it answers {status}"
        except ProxyUnusable as problem:
            why = str(problem)
        except TROUBLE as problem:
            why = type(problem).__name__
        except Exception as problem:  # of this result: the others are posted all the same
            log.exception("webhook failed by a fault: job %s", due.id)
            why = type(problem).__name__
        finally:
            self._under_way[due.agent] -= 1
        is_last = due.attempt >= webhooks.ATTEMPTS
        metrics.WEBHOOKS.inc("given_up" if is_last else "failed")
        end = "giving up" if is_last else "trying again"
        log.warning("webhook failed: job %s, agent %s (%s); %s", due.id, due.agent, why, end)

    def _receiver(self, name: str) -> tuple[str, bytes] | None:
        """Return the URL and the key; None, and one line in the log for each reason, if there are none."""
        agent = self._agents().get(name)
        if agent is None or agent.webhook is None:
            self._complain(f"webhook unknown: agent {name} names none any more; its late results stay in the history")
            return None
        webhook = agent.webhook
        secret = self._environment.get(webhook.secret_env, "")
        try:
            return webhook.url, key_of(secret)
        except BadSecret as problem:
            wrong = str(problem) if secret else "it is not set"
            self._complain(
                f"webhook secret unusable: agent {name}, {webhook.secret_env}: {wrong}; its late results are not posted"
            )
            return None

    def _client(self, url: str) -> httpx.AsyncClient:
        direct = is_direct(url)
        if direct not in self._clients:
            self._clients[direct] = http_client(url, POST_SECONDS)
        return self._clients[direct]

    def _complain(self, sentence: str) -> None:
        if sentence not in self._complaints:
            self._complaints.add(sentence)
            log.error("%s", sentence)

    async def _send(self, due: Any, url: str, key: bytes) -> int:
        """Post one result, and return the status of the answer; its body is not read."""
        (row,) = await self._store.rows(histories.jobs_with_steps(due.tenant, IdRange.only(due.id)))
        body = body_of(documents.job(row))
        headers = signed_headers(key, f"job_{due.id}", int(time.time()), body)
        headers["content-type"] = "application/json"
        async with self._client(url).stream("POST", url, content=body, headers=headers) as answer:
            return answer.status_code


def body_of(job: documents.Job) -> bytes:
    """Return what is posted: the call as `GET /v1/jobs/{id}` shows it, and when it was over."""
    data = job.model_dump(mode="json")
    event = {"type": "job.finished", "timestamp": data["finished_at"], "data": data}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
