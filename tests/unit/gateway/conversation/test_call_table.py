"""The stages of a call: which steps there are, that none is without a way to its end, and when a result is awaited."""

from __future__ import annotations

import pytest

from gateway.conversation.call_table import STEPS, Call, CallTable, Stage
from gateway.upstream.quirks import Quirks
from tests.unit.gateway.conversation.script import Script, call, created, done, job_of

ENDS = {Stage.TOLD, Stage.SILENT}


def test_every_stage_has_its_steps() -> None:
    assert set(STEPS) == set(Stage)


@pytest.mark.parametrize("stage", Stage)
def test_every_stage_leads_to_an_end(stage: Stage) -> None:
    reached, new = {stage}, {stage}
    while new:
        new = {after for each in new for after in STEPS[each]} - reached
        reached |= new
    assert reached & ENDS


@pytest.mark.parametrize("stage", Stage)
def test_no_step_but_those_of_the_table_can_be_taken(stage: Stage) -> None:
    for after in set(Stage) - {stage, *STEPS[stage]}:
        with pytest.raises(AssertionError):
            Call("a", "weather", stage=stage).go(after)


@pytest.mark.parametrize("early_after", [None, 1.0], ids=["no early answer", "answered early"])
def test_a_result_is_awaited_from_the_ask_until_it_is_given(early_after: float | None) -> None:
    script = Script(quirks=Quirks(answers_early_seconds=early_after)).opened()
    calls, job_id = script.conversation.calls, job_of("a")
    script.model(created("R1"))
    assert not calls.awaits_alone(job_id)
    script.model(call("a"))
    assert calls.awaits_alone(job_id)
    script.recorded(*script.records)
    script.model(done("R1"))
    script.wait(2.0)
    assert ("model: output a" in script.everything) is (early_after is not None)
    assert calls.awaits_alone(job_id)
    script.deliver("a")
    assert not calls.awaits_alone(job_id)
    assert not calls.awaits_alone(job_of("b")), "of which it knows nothing"


def test_a_result_is_not_awaited_alone_where_another_call_has_joined() -> None:
    calls, job_id = CallTable(), job_of("a")
    calls.add(Call("a", "weather", job_id=job_id))
    calls.add(Call("b", "weather", job_id=job_of("b"), joined_to=job_id))
    assert not calls.awaits_alone(job_id)
    assert calls.awaits_alone(job_of("b"))
