"""Keys of the gateways for results that go along with a doorbell, each read from the gateway's row once."""

from __future__ import annotations

import logging
from uuid import UUID

import psycopg

from ringback.redis.sealed_results import CarriedResult, SealedResults
from ringback.statements import processes
from workers.storage.connection_pool import ConnectionPool
from workers.storage.database import first

GATEWAYS_AT_MOST = 1_000
"""Gateways whose key a process remembers: each gateway that starts has a new id."""

logger = logging.getLogger(__name__)


class GatewayKeys:
    """Keys of all gateways, for the threads of one process."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._known: dict[str, SealedResults | None] = {}

    def seal(self, gateway_id: str, session_id: UUID, carried: CarriedResult) -> str | None:
        """Return the result sealed for its gateway; None if it is to be read from its row."""
        try:
            sealed_results = self._of(gateway_id)
        except psycopg.Error as problem:
            logger.debug("key of gateway %s not read: %s", gateway_id, problem)
            return None
        return None if sealed_results is None else sealed_results.seal(session_id, carried)

    def _of(self, gateway_id: str) -> SealedResults | None:
        if gateway_id not in self._known:
            if len(self._known) >= GATEWAYS_AT_MOST:
                self._known.clear()
            row = first(self._pool, processes.doorbell_key(gateway_id))
            has_key = row is not None and row.doorbell_key is not None  # a gateway of an older version has none
            self._known[gateway_id] = SealedResults(row.doorbell_key) if has_key and row is not None else None
        return self._known.get(gateway_id)
