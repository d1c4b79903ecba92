"""A session that is over leaves its place, however its end goes."""

from __future__ import annotations

import pytest

from gateway.live_sessions import SessionRegistry
from gateway.session.admission import SessionAdmission
from gateway.session.client_connection import ClientGone, NoClient
from gateway.session.context import SessionEnded, SessionState
from tests.session_parts import NONE, gateway_context, session_state

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class GoneClient(NoClient):
    async def accept(self, subprotocol: str | None) -> None:
        raise ClientGone("client_not_there")


async def test_a_session_whose_end_fails_leaves_its_place_and_its_row_to_the_poll() -> None:
    """Else the place would be taken for ever, and the poll would take the session for one that lives here."""

    async def fail(_: SessionState, over: SessionEnded) -> SessionEnded:
        raise RuntimeError(over.reason)

    live_sessions, state = SessionRegistry(1), session_state()
    state.handle = live_sessions.enter(state.session_id)
    admission = SessionAdmission({}, gateway_context(), live_sessions, NONE, NONE, "demo")
    with pytest.raises(RuntimeError, match="client_not_there"):
        await admission.run(GoneClient(), state, None, fail)
    assert not live_sessions.is_full
    assert live_sessions.orphans([state.session_id]) == {state.session_id}
