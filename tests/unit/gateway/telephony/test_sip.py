"""Announcements of phone calls at a gateway that has no room: they are left to others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.errors import Unavailable
from gateway.telephony.routing import IncomingCall
from gateway.telephony.sip import SipCalls

pytestmark = pytest.mark.anyio

CALL = IncomingCall("openai", "rtc_1", "+1", "+2")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class NoStore:
    """Records no row, and fails the test that has it asked."""

    async def rows(self, statement: Any) -> list[Any]:
        raise AssertionError(statement)


def full() -> SipCalls:
    gateway = SimpleNamespace(store=NoStore(), gateway_id="gw")
    admission = SimpleNamespace(gateway=gateway, why_not=lambda: "all 3 places are taken")
    desk: Any = SimpleNamespace(admission=admission)
    return SipCalls(desk)


async def test_a_full_gateway_records_no_announcement() -> None:
    with pytest.raises(Unavailable, match="all 3 places are taken"):
        await full().receive("wh_1", CALL)


async def test_a_full_gateway_takes_no_announcement_of_another() -> None:
    await full()._take_lost()
