"""benchmarks/beside_a_call.py: what a sideband is told is what was recorded, and all that is timed has happened."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from benchmarks.beside.hostile_page import KINDS, hostile
from benchmarks.beside.talk import PIECES, pieces, turn
from tests.benchmarks.test_benchmarks import need_the_load, printed
from tests.conformance.player.recordings import load

VOICE = "response.output_audio.delta"
OF_CALLS = ("output_audio_buffer.started", "output_audio_buffer.stopped", "rate_limits.updated")


def test_a_turn_is_a_recorded_one_without_its_voice() -> None:
    received = [event["type"] for way, event in load("azure-audio-in-server-vad").messages if way == "received"]
    recorded = Counter(kind for kind in received if kind != VOICE and not kind.startswith("session."))
    assert Counter(event["type"] for part in turn() for event in part) == recorded + Counter(OF_CALLS)


def test_the_first_turn_of_a_call_was_under_way() -> None:
    of_first = list(islice(pieces(first=20), PIECES - 20))
    assert [part[0]["type"] for part in of_first[:1]] == ["input_audio_buffer.speech_started"]
    assert sum("output_audio_buffer.stopped" in event["type"] for part in of_first for event in part) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_page_sends_does_not_undo_itself(kind: str) -> None:
    event, undoes = hostile(kind)
    if event["type"] != "session.update":
        assert not undoes(event)


@pytest.mark.long  # two stacks, and the load's two programs
@pytest.mark.timeout(400)
def test_the_benchmark_measures_the_answer_the_cost_and_the_guard(tmp_path: Path) -> None:
    need_the_load()
    lines = printed("beside_a_call.py", "--quick", "--raw", str(tmp_path))
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.endswith("|") and "---" not in line]
    answer, cost = ["the provider’s own", "through the gateway", "added"], ["relayed", "watched"]
    assert rows == ["the answer to an offer", *answer, "session", *cost, "hostile event", *KINDS, "all"]
    taken = json.loads((tmp_path / "beside.jsonl").read_text().splitlines()[1])
    assert (len(taken["direct"]), len(taken["ours"])) == (3, 3)
    assert {len(found) for way in ("mended", "hung_up") for found in taken[way].values()} == {1}
