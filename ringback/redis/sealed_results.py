"""Result of a call that goes along with a doorbell, so that the gateway need not read it from its row.

It is sealed with a key that stands in the gateway's row in Postgres, and nowhere else. So Redis can neither read a
result nor make one: that takes the right to read the rows themselves.
"""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

from msgspec import Struct, ValidationError, convert

from ringback.privacy.encryption import DecryptionFailed, FieldCipher

MAX_CHARS = 8 * 1_024
"""Longest sealed result: a thousand of them in a gateway's stream take 8 MB. A longer one is read from its row."""
PURPOSE = "doorbell"
"""Sealed along, as the name of a column is, so that no other sealed value passes for one."""


class CarriedResult(Struct, frozen=True):
    """Result of a call that succeeded.

    Args:
        epoch: of the session as the outcome was committed: a conversation of a later epoch may have it from the row.
        result: JSON data, as the row has it.
        ended_at: when the function ended, in Unix seconds of the worker's clock.
    """

    job_id: UUID
    epoch: int
    call_id: str
    tool: str
    result: Any
    ended_at: float


_Values = tuple[UUID, int, str, str, Any, float]
"""Fields of a `CarriedResult`, as they are sealed."""


class SealedResults:
    """Seals results for one gateway, and opens them.

    Args:
        key: the gateway's, of 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = FieldCipher([key])

    def seal(self, session_id: UUID, carried: CarriedResult) -> str | None:
        """Return the result as text that only this gateway opens, for this session; None if it is too long."""
        values = [str(carried.job_id), carried.epoch, carried.call_id, carried.tool, carried.result, carried.ended_at]
        sealed = base64.b64encode(self._cipher.encrypt(values, session_id, PURPOSE)).decode()
        return sealed if len(sealed) <= MAX_CHARS else None

    def open(self, session_id: UUID, sealed: str) -> CarriedResult | None:
        """Return the result; None if it was not sealed for this gateway and session, was changed, or is of a worker of
        another version, which seals other values.
        """
        try:
            values = self._cipher.decrypt(base64.b64decode(sealed, validate=True), session_id, PURPOSE)
            return CarriedResult(*convert(values, _Values))
        except (DecryptionFailed, ValidationError, ValueError):
            return None
