"""A1–A9: who is let in. Whatever is wrong is said as HTTP, before the upgrade, and costs nothing upstream."""

from __future__ import annotations

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.attacks.toolbox.fort import SECRETS, Fort, marker
from tests.line import TOKEN

pytestmark = [pytest.mark.anyio, pytest.mark.long]

NO_TOKENS = [
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer "},
    {"Authorization": f"Basic {TOKEN}"},
    {"Authorization": "Bearer rb_nobody-has-this-token"},
    {"Authorization": f"Bearer {TOKEN}x"},
    {"Authorization": f"Bearer {TOKEN[:-1]}"},
    {"Authorization": f"Bearer {TOKEN.upper()}"},
    {"Cookie": f"token={TOKEN}"},
    {"X-Api-Key": TOKEN},
]


@pytest.mark.parametrize("headers", NO_TOKENS, ids=lambda headers: repr(sorted(headers.items()))[:60])
async def test_a01_without_a_token_that_is_known_there_is_no_upgrade_and_no_upstream(
    fort: Fort, headers: dict[str, str]
) -> None:
    before = len(fort.model.connections)
    with pytest.raises(InvalidStatus) as refused:
        async with connect(fort.line.address(), additional_headers=headers):
            pass
    assert refused.value.response.status_code == 401
    assert len(fort.model.connections) == before, "nobody has called the Realtime API"


async def test_a09_of_the_subprotocols_only_the_agreed_one_comes_back(fort: Fort) -> None:
    """The token is one of them where a browser calls, and never an answer."""
    offered = ["realtime", f"openai-insecure-api-key.{TOKEN}", "openai-beta.realtime-v1", marker("evil")]
    async with connect(fort.line.address(), subprotocols=offered) as socket:  # type: ignore[arg-type]
        assert socket.response is not None
        answered = socket.response.headers
        assert socket.subprotocol == "realtime"
        assert [secret for secret in SECRETS if secret in str(list(answered.raw_items()))] == []


async def test_a09_without_the_agreed_one_none_is_answered(fort: Fort) -> None:
    offered = [f"openai-insecure-api-key.{TOKEN}", marker("evil")]
    async with connect(fort.line.address(), subprotocols=offered) as socket:  # type: ignore[arg-type]
        assert socket.subprotocol is None


async def test_a09_a_wrong_token_among_them_is_refused(fort: Fort) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(fort.line.address(), subprotocols=["realtime", "openai-insecure-api-key.wrong"]):  # type: ignore[list-item]
            pass
    assert refused.value.response.status_code == 401
    assert b"wrong" not in (refused.value.response.body or b"")
