"""The stages of a call: which steps there are, and that none of them is without a way to its end."""

from __future__ import annotations

import pytest

from gateway.conversation.call_table import STEPS, Call, Stage

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
