"""Both voices are in the recording as they were heard, through real processes, a kill and an erasure."""

from __future__ import annotations

import asyncio
import base64
import io
import random
import wave
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from gateway.auth.tokens import Kind, digest, new
from ringback.statements.identity import credentials
from tests.guarantees.toolbox.bakery import FIRST, HERE, SECOND
from tests.line import TOKEN, Caller, Event, Line, eventually, running_line
from tests.local_http import LOCAL
from tests.servers import engine_of, execute, in_dialect

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(120)]

RATE = 24_000
SAMPLE = 2
ANSWER = "Good day."
AGENT = 'instructions = "Be kind."\nturn_detection = {}\ntools = ["*"]\n'
EXTENSIONS = "recording,resume"


@dataclass(frozen=True)
class Studio:
    """Two gateways with an agent that is recorded, `demo`, and one that is not, `quiet`; and a key that may listen."""

    line: Line
    key: str

    def ask(self, method: str, path: str, key: str | None = None, **headers: str) -> httpx.Response:
        url, bearer = f"{self.line.url_of(SECOND)}{path}", {"Authorization": f"Bearer {key or self.key}"}
        return LOCAL.request(method, url, headers={**bearer, **headers})

    def secret(self, agent: str) -> Any:
        url, bearer = f"{self.line.url}/v1/realtime/client_secrets", {"Authorization": f"Bearer {TOKEN}"}
        return LOCAL.post(url, headers=bearer, json={"ringback": {"agent": agent}}).json()

    def rows(self, session: str) -> list[Any]:
        query = "SELECT voice, epoch, from_ms, ms FROM recordings WHERE session_id = %s ORDER BY from_ms"
        with psycopg.connect(in_dialect(self.line.database, "postgresql")) as connection:
            return connection.execute(query, (session,)).fetchall()

    def has_all(self, session: str, epochs: int) -> bool:
        """Whether a second of the caller is kept of each epoch."""
        kept: Counter[int] = Counter()
        for voice, epoch, _, ms in self.rows(session):
            kept[epoch] += ms if voice == "caller" else 0
        return all(kept[epoch + 1] >= 1_000 for epoch in range(epochs))

    def is_over(self, session: str) -> None:
        """Wait until the talk is: all that is kept of it is in its rows then."""
        path = f"/v1/sessions/{session}"
        eventually(lambda: self.line.get(path, on=SECOND)["state"] == "ended", "the talk to be over")

    def sides(self, session: str) -> tuple[bytes, bytes]:
        """The samples of the caller and of the model."""
        answer = self.ask("GET", f"/v1/sessions/{session}/recording")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/wav")
        with wave.open(io.BytesIO(answer.content)) as file:
            assert (file.getnchannels(), file.getframerate()) == (2, RATE)
            both = array("h", file.readframes(file.getnframes()))
        return both[0::2].tobytes(), both[1::2].tobytes()

    def age(self, session: str) -> float:
        """How long ago the session began, in seconds."""
        query = "SELECT extract(epoch FROM clock_timestamp() - created_at) FROM sessions WHERE id = %s"
        with psycopg.connect(in_dialect(self.line.database, "postgresql")) as connection:
            (age,) = connection.execute(query, (session,)).fetchone() or (0,)
        return float(age)


@pytest.fixture
def studio(database: str, redis_db: str, tmp_path: Path) -> Iterator[Studio]:
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / "demo.toml").write_text(AGENT + "recording = true\n")
    (agents / "quiet.toml").write_text(AGENT)
    key = new(Kind.KEY)
    scopes = ("history", "recordings", "admin")
    row = credentials.create_key(uuid4(), digest(key), user="eve", tenant="default", scopes=scopes, seconds_valid=None)
    with engine_of(database).begin() as connection:
        execute(connection, row)
    with running_line(
        database, redis_db, tmp_path, agents=agents, gateways=2, scenario=str(HERE / "bakery.yaml")
    ) as line:
        yield Studio(line, key)


def noise(seed: int, seconds: float = 1.0) -> bytes:
    """Audio that stands nowhere by chance."""
    return array("h", random.Random(seed).choices(range(-9_000, 9_000), k=int(RATE * seconds))).tobytes()


async def speak(caller: Caller, audio: bytes) -> None:
    await caller.send({"type": "input_audio_buffer.append", "audio": base64.b64encode(audio).decode()})


def sounded(caller: Caller) -> tuple[str, bytes]:
    """The item that the model said last, and its audio."""
    deltas = [event for event in caller.heard if event["type"] == "response.output_audio.delta"]
    item = deltas[-1]["item_id"]
    return item, b"".join(base64.b64decode(event["delta"]) for event in deltas if event["item_id"] == item)


def seconds(samples: int) -> float:
    return samples / SAMPLE / RATE


async def rings(caller: Caller) -> Event:
    """Hear that the talk is recorded, and then that it begins."""
    told = await caller.hear_kind("ringback.session.recorded")
    await caller.hear_kind("session.created")
    return told


async def test_the_file_holds_both_voices_where_they_were_heard(studio: Studio) -> None:
    question = noise(1)
    async with studio.line.call(agent="demo", ringback=EXTENSIONS) as caller:
        assert (await rings(caller))["days"] == 30
        session = caller.session_id
        before = studio.age(session)
        await speak(caller, question)
        await caller.ask("hello")
        await caller.hear_words(ANSWER)
        item, answer = sounded(caller)
        after = studio.age(session)
        half = len(answer) // 4 * 2
        await caller.send(
            {
                "type": "conversation.item.truncate",
                "item_id": item,
                "content_index": 0,
                "audio_end_ms": round(seconds(half) * 1_000),
            }
        )
        are_kept = lambda: {row[0] for row in studio.rows(session)} == {"caller", "model"}  # noqa: E731
        await asyncio.to_thread(eventually, are_kept, "both voices are in rows: the model's once they were played")
    studio.is_over(session)
    left, right = studio.sides(session)
    asked, told = left.find(question), right.find(answer[: half - SAMPLE * RATE // 100])
    assert asked >= 0
    assert before <= seconds(asked + len(question)) <= after + 1, "a turn ends when it comes"
    assert told > asked
    assert not any(right[:told] + right[told + half + SAMPLE * RATE // 100 :]), "what was cut was not heard"
    assert not any(left[:asked] + left[asked + len(question) :])


async def test_an_agent_that_is_not_recorded_leaves_no_row_and_no_word_of_it(studio: Studio) -> None:
    async with studio.line.call(agent="quiet", ringback=EXTENSIONS) as caller:
        await caller.hear_kind("session.created")
        session = caller.session_id
        await speak(caller, noise(2))
        await caller.ask("hello")
        await caller.hear_words(ANSWER)
        assert [event for event in caller.heard if event["type"] == "ringback.session.recorded"] == []
    studio.is_over(session)
    assert studio.rows(session) == []
    answer = studio.ask("GET", f"/v1/sessions/{session}/recording")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_a_killed_gateway_takes_its_last_seconds_with_it_and_the_other_goes_on(studio: Studio) -> None:
    first, second = noise(3), noise(4)
    async with studio.line.call(agent="demo", ringback=EXTENSIONS, on=FIRST) as caller:
        await rings(caller)
        session = caller.session_id
        await speak(caller, first)
        await asyncio.to_thread(eventually, lambda: studio.has_all(session, 1), "what was said is in its rows")
        studio.line.processes.crash(FIRST)
        await caller.hear_goodbye()
    async with studio.line.call(resume=caller.token, ringback=EXTENSIONS, on=SECOND) as again:
        await rings(again)
        assert again.session_id == session
        await speak(again, second)
        await again.ask("hello")
        await again.hear_words(ANSWER)
    eventually(lambda: studio.has_all(session, 2), "both epochs have their rows")
    left, _ = studio.sides(session)
    assert 0 <= left.find(first) < left.find(second)


async def test_who_may_listen_is_told_by_a_scope_and_tells_the_audit_log(studio: Studio) -> None:
    async with studio.line.call(agent="demo", ringback=EXTENSIONS) as caller:
        await rings(caller)
        session = caller.session_id
        await speak(caller, noise(5))
    studio.is_over(session)
    path = f"/v1/sessions/{session}/recording"
    for closed in (path, f"{path}/waveform"):
        refused = studio.ask("GET", closed, TOKEN)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_scope")
    whole = studio.ask("GET", path).content
    part = studio.ask("GET", path, range="bytes=1000-1999")
    assert (part.status_code, part.content) == (206, whole[1_000:2_000])
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(whole)}"
    assert studio.ask("GET", path, range=f"bytes={len(whole)}-").status_code == 416
    drawn = studio.ask("GET", f"{path}/waveform?points=50").json()
    assert (len(drawn["caller"]), max(drawn["caller"]) > 20, any(drawn["model"])) == (50, True, False)
    told = studio.ask("GET", "/v1/realtime/notice?agent=demo", TOKEN)
    assert (told.status_code, told.json()) == (200, {"recorded": True})
    assert studio.ask("GET", "/v1/realtime/notice?agent=quiet", TOKEN).json() == {"recorded": False}
    assert studio.ask("GET", "/v1/realtime/notice", "no-such-token").json() == {"recorded": None}
    assert [studio.secret(agent)["ringback"]["recording"] for agent in ("demo", "quiet")] == [True, False]
    acts = studio.ask("GET", "/v1/audit?act=session.listen").json()["data"]
    assert [(act["subject"], act["target"]) for act in acts] == [("eve", session)]


async def test_nothing_of_an_erased_users_voice_is_left(studio: Studio) -> None:
    async with studio.line.call(agent="demo", ringback=EXTENSIONS) as caller:
        await rings(caller)
        session = caller.session_id
        await speak(caller, noise(6))
        await asyncio.to_thread(eventually, lambda: studio.rows(session), "what was said is in its row")
        await speak(caller, noise(7))
        answer = await asyncio.to_thread(studio.ask, "DELETE", "/v1/users/tester")
        assert answer.status_code == 200, answer.text
        await caller.hear_goodbye()
    eventually(lambda: studio.ask("GET", f"/v1/sessions/{session}").status_code == 404, "the session is gone")
    assert studio.rows(session) == []
