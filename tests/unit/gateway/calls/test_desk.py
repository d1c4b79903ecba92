"""A transfer over SIP: the Realtime API's word that it was taken is no sign that the carrier has connected anything."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.calls import desk as module
from gateway.calls.desk import CallDesk, SipControl
from gateway.close_codes import NORMAL
from gateway.session.context import CallControlFailed, LiveCall, PhoneLine, SessionEnded
from gateway.upstream.call_endpoints import CallRefused
from ringback.transport import Transport
from tests.session_parts import session_state

pytestmark = pytest.mark.anyio

OVER = SessionEnded(NORMAL, "call_over")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Api:
    """The Realtime API: it takes a transfer, or refuses it."""

    def __init__(self, refusal: CallRefused | None = None) -> None:
        self.refusal = refusal
        self.referred: list[str] = []
        self.was_asked = asyncio.Event()

    async def refer(self, _call_id: str, _user: str, target: str) -> None:
        self.referred.append(target)
        self.was_asked.set()
        if self.refusal is not None:
            raise self.refusal


def control(api: Any) -> SipControl:
    return SipControl(api, "rtc_1", "phone:+1")


async def ended(sip: SipControl) -> str:
    """Why a session ends whose call is over."""
    state = session_state(line=PhoneLine(sip))
    state.call = LiveCall("rtc_1", Transport.SIP, "s3cret")
    gateway: Any = None  # of a call that was transferred, nothing is asked or hung up
    desk: Any = CallDesk.__new__(CallDesk)
    desk.admission = type("Admission", (), {"gateway": gateway})
    return str((await desk._hang_up_first(state, OVER)).reason)


async def test_a_call_that_ends_behind_its_transfer_was_transferred_and_is_not_hung_up() -> None:
    api = Api()
    sip = control(api)
    transferring = asyncio.create_task(sip.transfer("tel:+2"))
    await api.was_asked.wait()
    await asyncio.sleep(0)
    assert await ended(sip) == "call_transferred"
    transferring.cancel()


async def test_a_call_that_goes_on_behind_its_transfer_was_not_transferred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REFERRED_SECONDS", 0.0)
    api = Api()
    sip = control(api)
    with pytest.raises(CallControlFailed, match="took the transfer, and 0 s later the call goes on"):
        await sip.transfer("tel:+2")
    assert (sip.is_referred, api.referred) == (False, ["tel:+2"])


async def test_a_transfer_that_is_refused_is_told_at_once() -> None:
    sip = control(Api(CallRefused("HTTP 500", 500)))
    with pytest.raises(CallControlFailed, match="HTTP 500"):
        await sip.transfer("tel:+2")
    assert not sip.is_referred
