"""A61: reading in the console what callers have said, with a token that is not for that."""

from __future__ import annotations

from functools import partial

import pytest

from tests.attacks.toolbox.fort import SECOND, Fort, marker
from tests.line import TOKEN, eventually
from tests.local_http import LOCAL

pytestmark = [pytest.mark.anyio, pytest.mark.long]


def page(fort: Fort, token: str, session: str, on: str) -> str:
    """The page of a session, as this token's owner sees it on that gateway."""
    url = fort.line.url_of(on)
    signed_in = LOCAL.post(f"{url}/console/sign-in", data={"token": token})
    assert signed_in.status_code == 303, signed_in.text
    cookie = signed_in.headers["set-cookie"].partition(";")[0]
    answer = LOCAL.get(f"{url}/console/sessions/{session}", headers={"cookie": cookie})
    assert answer.status_code == 200, answer.text
    return str(answer.text)


async def test_a61_what_was_said_is_read_with_the_scope_for_it_and_with_no_other(fort: Fort) -> None:
    words = marker("my-diagnosis")
    async with fort.stranger() as caller:
        await caller.ask(words)
        session = caller.session_id
        reader = fort.key("doctor", scopes="history,transcripts")
        eventually(partial(_reads, fort, reader, session, words), "the transcript is written")
        others = [TOKEN, fort.key("night", scopes="history,control,admin,trusted,secrets")]
        for token in others:
            for on in ("gateway", SECOND):
                told = page(fort, token, session, on)
                assert words not in told
                assert "scope <code>transcripts</code>" in told


def _reads(fort: Fort, token: str, session: str, words: str) -> bool:
    return words in page(fort, token, session, SECOND)
