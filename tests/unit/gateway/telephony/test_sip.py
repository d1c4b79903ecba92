"""Announcements of phone calls at a gateway that has no room: they are left to others."""

from __future__ import annotations

import asyncio
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


class EmptyStore:
    """Holds no announcement, and tells when it is asked for some."""

    def __init__(self) -> None:
        self.asked = 0
        self.was_asked = asyncio.Event()

    async def rows(self, _statement: Any) -> list[Any]:
        self.asked += 1
        self.was_asked.set()
        return []


def full() -> SipCalls:
    gateway = SimpleNamespace(store=NoStore(), gateway_id="gw")
    admission = SimpleNamespace(gateway=gateway, why_not=lambda: "all 3 places are taken")
    desk: Any = SimpleNamespace(admission=admission)
    return SipCalls(desk, asyncio.Event())


async def test_a_full_gateway_records_no_announcement() -> None:
    with pytest.raises(Unavailable, match="all 3 places are taken"):
        await full().receive("wh_1", CALL)


async def test_a_full_gateway_takes_no_announcement_of_another() -> None:
    await full()._take_lost()


async def test_postgres_is_asked_for_announcements_when_a_look_has_found_some() -> None:
    store, lost = EmptyStore(), asyncio.Event()
    admission = SimpleNamespace(gateway=SimpleNamespace(store=store, gateway_id="gw"), why_not=lambda: None)
    desk: Any = SimpleNamespace(admission=admission)
    watching = asyncio.create_task(SipCalls(desk, lost).watch_announcements())
    for _ in range(10):
        await asyncio.sleep(0)
    assert store.asked == 0
    lost.set()
    await store.was_asked.wait()
    assert not lost.is_set(), "the next look sets it again, if there is more"
    watching.cancel()
