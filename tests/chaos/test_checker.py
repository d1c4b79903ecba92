"""The history checker finds what is wrong in a history, names it, and finds nothing in one that is sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.checker import check, refusals
from tests.chaos.evidence import Evidence, JobStep, Refusal, Told
from tests.chaos.histories import (
    LATER,
    ONCE,
    PURE,
    RESUMED,
    SESSION,
    answer,
    call,
    created,
    done,
    effect_of,
    job,
    refused,
    sound,
    taken,
    with_job,
    with_more,
    without,
    words,
)
from tests.chaos.ledger import Entry


def test_a_sound_history_has_no_violation() -> None:
    assert check(sound()) == []


def lost_job(run: Evidence) -> Evidence:
    return with_job(run, LATER, state="running", delivery="none", delivered_epoch=None, finished_at=None)


def second_row(run: Evidence) -> Evidence:
    return replace(run, jobs=[*run.jobs, job(PURE, "look_up", "c1.1.0", id="another")])


def outcome_twice(run: Evidence) -> Evidence:
    return replace(run, steps=[*run.steps, JobStep(f"job-of-{PURE}", 1015.0, "failed", "replayed", 1, 2)])


def delivered_backwards(run: Evidence) -> Evidence:
    return replace(run, steps=[*run.steps, JobStep(f"job-of-{PURE}", 1015.0, "succeeded", "ready", 1, None)])


def another_answer(run: Evidence) -> Evidence:
    return with_job(run, PURE, state="dead", result=None, error={"code": "worker_lost"})


def answer_of_no_job(run: Evidence) -> Evidence:
    return with_more(run, done(1022, 2, call("call_2_77", "c1.2.1")), *taken(1023, 2, answer("call_2_77", "c1.2.1")))


def more_attempts_than_claims(run: Evidence) -> Evidence:
    return with_job(run, PURE, attempt=2)


def more_attempts_than_there_are(run: Evidence) -> Evidence:
    return with_job(run, PURE, most_attempts=0)


def one_attempt_ran_twice(run: Evidence) -> Evidence:
    return replace(run, effects=[*run.effects, effect_of(run.jobs[0])])


def charged_twice(run: Evidence) -> Evidence:
    return replace(run, effects=[*run.effects, replace(effect_of(run.jobs[1]), attempt=2)])


def nothing_done(run: Evidence) -> Evidence:
    return replace(run, effects=run.effects[1:])


def charged_without_saying(run: Evidence) -> Evidence:
    return with_job(run, ONCE, effect_started=False)


def told_twice(run: Evidence) -> Evidence:
    return with_more(run, *taken(1022.0, 2, answer(LATER, "c1.2.0")))


def acked_and_never_told(run: Evidence) -> Evidence:
    return without(run, lambda entry: entry.on == 1 and entry.item == answer(PURE, "c1.1.0"))


def forgotten(run: Evidence) -> Evidence:
    waiting = with_job(run, LATER, delivery="history_only", delivered_epoch=None)
    steps = [step for step in run.steps if step.job_id != f"job-of-{LATER}" or step.delivery not in ("sent", "acked")]
    return replace(
        without(waiting, lambda entry: entry.item.get("call_id") == LATER and "output" in entry.item), steps=steps
    )


def heard_by_another(run: Evidence) -> Evidence:
    return replace(run, clients=[Told(1, foreign=("c2.1.0",))])


def done_and_denied(run: Evidence) -> Evidence:
    denial = {"type": "function_call_output", "call_id": ONCE, "output": "temporarily_unavailable"}
    return with_more(run, *taken(1012, 2, denial))


def answer_of_another(run: Evidence) -> Evidence:
    wrong = without(run, lambda entry: entry.at == 1021.1)
    return with_more(wrong, *taken(1021.1, 2, answer(LATER, "c2.7.0")))


def ran_with_other_arguments(run: Evidence) -> Evidence:
    return replace(run, effects=[replace(run.effects[0], canary="c2.1.0"), *run.effects[1:]])


def answer_before_its_call(run: Evidence) -> Evidence:
    return with_more(run, refused(1011.0, 2, "invalid_tool_call_id", "rb_output_1"))


def item_repeated(run: Evidence) -> Evidence:
    return with_more(run, refused(1011.0, 2, "item_already_exists", "rb_output_1"))


def rebuilt_in_disorder(run: Evidence) -> Evidence:
    """The second call of the first conversation comes before the first in the second."""
    moved = [
        replace(entry, at=1011.05) if entry.on == 2 and entry.item == call(ONCE, "c1.1.1") else entry
        for entry in run.wire
    ]
    return replace(run, wire=sorted(moved, key=lambda entry: entry.at))


def old_gateway_goes_on(run: Evidence) -> Evidence:
    open_still = without(run, lambda entry: entry.kind == "closed")
    return with_more(open_still, *taken(RESUMED + 5, 1, words(client=1, late=True)))


def taken_in_twice(run: Evidence) -> Evidence:
    return replace(run, clients=[Told(1, double=(SESSION,))])


def recorded_elsewhere(run: Evidence) -> Evidence:
    return with_job(run, LATER, epoch=1)


def epoch_skipped(run: Evidence) -> Evidence:
    return replace(run, sessions=[*run.sessions[:-1], replace(run.sessions[-1], epoch=5)])


def asked_while_speaking(run: Evidence) -> Evidence:
    sent = Entry(1021.5, 2, "gateway", "response.create", {"event_id": "rb_speak_2"})
    return with_more(run, sent, refused(1021.5, 2, "conversation_already_has_active_response", "rb_speak_2"))


def asked_for_nothing(run: Evidence) -> Evidence:
    return with_more(run, *created(1025.0, 2, "rb_speak_2"))


def ready_for_nobody(run: Evidence) -> Evidence:
    return with_job(run, LATER, delivery="ready", delivered_epoch=None)


def call_never_answered(run: Evidence) -> Evidence:
    return with_more(run, done(1025.0, 2, call("call_2_50", "c1.2.1")))


def call_not_rebuilt(run: Evidence) -> Evidence:
    return without(run, lambda entry: entry.on == 2 and entry.item.get("call_id") == PURE)


def line_is_dead(run: Evidence) -> Evidence:
    return replace(run, clients=[Told(1, last_words=False)])


def session_left_behind(run: Evidence) -> Evidence:
    return replace(run, sessions=run.sessions[:-1])


def good_token_refused(run: Evidence) -> Evidence:
    return replace(run, clients=[Told(1, refusals=(Refusal(1012.0, SESSION, 2),))])


WRONG: list[tuple[str, Callable[[Evidence], Evidence]]] = [
    ("I1", lost_job),
    ("I2", second_row),
    ("I3", outcome_twice),
    ("I3", delivered_backwards),
    ("I3", another_answer),
    ("I3", answer_of_no_job),
    ("I5", more_attempts_than_claims),
    ("I5", more_attempts_than_there_are),
    ("I5", one_attempt_ran_twice),
    ("I6", charged_twice),
    ("I6", done_and_denied),
    ("I7", nothing_done),
    ("I7", charged_without_saying),
    ("I8", told_twice),
    ("I8", acked_and_never_told),
    ("I8c", forgotten),
    ("I9", heard_by_another),
    ("I9", answer_of_another),
    ("I9", ran_with_other_arguments),
    ("I10", answer_before_its_call),
    ("I10", item_repeated),
    ("I10", rebuilt_in_disorder),
    ("I11", old_gateway_goes_on),
    ("I11", taken_in_twice),
    ("I11", recorded_elsewhere),
    ("I11", epoch_skipped),
    ("I12", asked_while_speaking),
    ("I12", asked_for_nothing),
    ("I13", ready_for_nobody),
    ("G1", call_never_answered),
    ("G1", call_not_rebuilt),
    ("I19", session_left_behind),
    ("G10", good_token_refused),
    ("L1", line_is_dead),
]


@pytest.mark.parametrize(("invariant", "broken"), WRONG, ids=[broken.__name__ for _, broken in WRONG])
def test_a_violation_is_found_and_named(invariant: str, broken: Callable[[Evidence], Evidence]) -> None:
    assert invariant in {violation.invariant for violation in check(broken(sound()))}


def test_a_claim_that_postgres_forgot_in_a_crash_is_handed_out_again() -> None:
    again = replace(effect_of(sound().jobs[0]), at=1003.0)
    run = replace(sound(), effects=[*sound().effects, again])
    assert [violation.invariant for violation in check(run)] == ["I5"]
    first = run.effects_of[again.job_id][0].at
    assert check(replace(run, crashes=[1002.0])) == []
    assert check(replace(run, crashes=[first - 0.5])) == [], "it was claimed before the crash, and run after it"
    assert check(replace(run, crashes=[first - 60])) != []


def test_what_an_old_gateway_could_not_know_while_it_was_paused_is_no_violation() -> None:
    run = old_gateway_goes_on(sound())
    assert check(replace(run, away=[(RESUMED - 1, RESUMED + 4)])) == []


def test_a_rebuild_that_was_cut_short_need_not_have_told_everything() -> None:
    cut = without(sound(), lambda entry: entry.on == 2 and entry.at > 1011.05)
    assert f"job-of-{ONCE} is replayed" not in str([violation.what for violation in check(cut)])


@pytest.mark.parametrize(
    ("refusal", "why"),
    [
        (Refusal(RESUMED + 1, SESSION, 1), "used"),
        (Refusal(RESUMED + 1, SESSION, 2), "good"),
        (Refusal(1040.5, SESSION, 2), "ended"),
    ],
)
def test_why_a_token_was_refused_is_read_off_the_session(refusal: Refusal, why: str) -> None:
    assert refusals(replace(sound(), clients=[Told(1, refusals=(refusal,))])) == {why: 1}


def test_quiet_leaves_out_each_moment_in_which_somebody_was_away_once() -> None:
    run = Evidence(away=[(0.0, 4.0), (2.0, 5.0), (8.0, 20.0)])
    assert run.quiet(1.0, 10.0) == 3.0
