"""Any events in any order: the rows are as the model says, and no invariant breaks.

Hypothesis makes up stories of gateways, workers, brokers, sweepers and clients, with every way to be late, cut off or
dead. The model predicts what each statement returns and all rows after it. At the end of a story the faults stop, and
every job and session must come to its end. A story that fails is printed as the calls that repeat it.

    RINGBACK_STORIES=2000 pytest tests/integration/statements/test_state_machine.py -s     more of them, and others each
    time
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from tests.integration.model.clock import stopped_clock
from tests.integration.model.healing import Healing
from tests.integration.model.rows import RealRows
from tests.integration.model.rules_gateways import GatewayRules
from tests.integration.model.rules_workers import SweepRules
from tests.integration.model.story import TOOLS, Run

STORIES = int(os.environ.get("RINGBACK_STORIES", "0"))
FEW = 80
STEPS = 50
MET = [
    *(
        "outcome",
        "retry",
        "effect",
        "claim",
        "admit",
        "repeated call",
        "take",
        "take of an old epoch",
        "mark of an old epoch",
        "tell of an old epoch",
    ),
    *("next epoch", "resume", "resume with a used token", "cancel"),
    *("decide", "claim of what waits", "rerun"),
]
"""Refusals that some story must have seen: an untested guard proves nothing."""


def is_before_its_effect(run: Run) -> bool:
    return run.effect == "at_most_once" and not run.may_act


class Line(GatewayRules, SweepRules, Healing):
    """State machine of all rules; at its beginning one job of each kind is under way."""

    def __init__(self) -> None:
        super().__init__()
        for tool in range(len(TOOLS)):
            for conversation in (0, 1):
                self.admit(conversation, tool, "published")
        for conversation in (0, 1):
            self.admit(conversation, 2, "published", "asks")
            self.admit(conversation, 0, "published", "joins")
        for worker in range(8):
            self.claim(worker, "goes well")
        for run, acts in ((0, True), (1, False), (2, True), (4, True), (5, False)):
            self.begin_effect(run, acts)
        self.finish(0, "goes well")

    @precondition(lambda self: any(is_before_its_effect(run) for run in self.runs))
    @rule()
    def a_call_is_cancelled_as_its_effect_is_about_to_begin(self) -> None:
        number = next(number for number, run in enumerate(self.runs) if is_before_its_effect(run))
        self.cancel(list(self.expected.jobs).index(self.runs[number].job))
        self.begin_effect(number, True)

    @rule(then=st.sampled_from(["write", "wait", "die"]))
    def answers_come_in(self, then: str) -> None:
        """Finish all running jobs, and let each gateway that believes in a conversation take its results: stale ones
        first.
        """
        while self.runs:
            self.finish(0, "goes well")
        for each in list(self.conversations):
            self.deliver(self.conversations.index(each), then)


@pytest.mark.long
@pytest.mark.timeout(3_600 if STORIES else 300)
def test_whatever_happens_the_rows_are_as_the_model_says(database: str) -> None:
    with stopped_clock(database) as connection:
        Line.real = RealRows(connection)
        Line.seen.clear()
        profile = settings(
            max_examples=STORIES or FEW,
            stateful_step_count=STEPS,
            derandomize=not STORIES,
            database=None,
            deadline=None,
            print_blob=True,
            # Shortening a story takes minutes, so it runs only if many stories are asked for.
            phases=[Phase.generate, *([Phase.shrink] if STORIES else [])],
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(Line, settings=profile)
    print(", ".join(f"{what} {number}" for what, number in sorted(Line.seen.items())))  # noqa: T201
    missing = [what for what in MET if not Line.seen[f"refused: {what}"]]
    assert not missing, f"no story met these: {missing}"
