"""Random conversations: each call is answered once, for any words and any duration of a tool."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ringback import Call, Tool, tool
from ringback.testing import Talk, Turn, converse
from ringback.tools.behavior import Audience, Late, OnBargeIn, OnDuplicate, ToolBehavior

NAMES = "abc"
SECONDS = (0.0, 0.1, 1.0, 3.0, 8.0, 20.0)
AFTER = (None, 0.5, 2.0, 6.0, 12.0)
"""When the user speaks again: once all is quiet, or while a tool or the model is busy."""

behavior = st.builds(
    ToolBehavior,
    say_after=st.sampled_from((None, 1.0, 3.0)),
    say=st.sampled_from((None, "One moment.")),
    say_every=st.sampled_from((None, 2.0)),
    on_barge_in=st.sampled_from(OnBargeIn),
    late=st.sampled_from(Late),
    drop_after=st.sampled_from((None, 5.0)),
    on_duplicate=st.sampled_from(OnDuplicate),
    cancellable=st.booleans(),
    requires_approval=st.booleans(),
    approval_seconds=st.just(15.0),
    audience=st.sampled_from(Audience),
)
arguments = st.builds(lambda seconds: {"seconds": seconds}, st.sampled_from(SECONDS))
calls: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(NAMES), st.lists(arguments, min_size=1, max_size=2), max_size=2
)
answers: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    ({}, {"cancel_call": {}}, {"answer_approval": {"approved": True}}, {"answer_approval": {"approved": False}})
)
turns = st.lists(st.tuples(st.sampled_from(AFTER), calls, answers), min_size=1, max_size=4)


@tool
async def work(seconds: float, call: Call) -> str:
    """Take so long."""
    await asyncio.sleep(seconds / 2)
    call.progress("half of it is done")
    await asyncio.sleep(seconds / 2)
    return f"the result of {call.job_id}"


def named(name: str, its: ToolBehavior) -> Tool:
    return replace(work, announcement=replace(work.announcement, name=name, behavior=its))


def have(said: Sequence[tuple[float | None, dict[str, Any], dict[str, Any]]], tools: list[Tool], **rest: Any) -> Talk:
    spoken = [Turn("Please do that for me.", after=after) for after, _, _ in said]
    return converse(*spoken, tools=tools, calls=[{**called, **own} for _, called, own in said], **rest)


@settings(max_examples=settings().max_examples // 2, deadline=None)
@given(
    said=turns,
    each=st.tuples(*[behavior] * len(NAMES)),
    approves=st.sampled_from((None, True, False)),
    wants=st.sampled_from(((), ("jobs", "results"))),
)
def test_each_call_is_answered_and_nothing_is_refused(
    said: list[tuple[float | None, dict[str, Any], dict[str, Any]]],
    each: tuple[ToolBehavior, ...],
    approves: bool | None,
    wants: tuple[str, ...],
) -> None:
    tools = [named(name, its) for name, its in zip(NAMES, each, strict=True)]
    talk = have(said, tools, approves=approves, wants=wants)
    assert [call.name for call in talk.calls if call.output is None] == [], str(talk)
    assert [event["error"]["message"] for event in talk.of_type("error")] == [], str(talk)
    assert talk.warnings == [], str(talk)


@settings(max_examples=settings().max_examples * 2 // 5, deadline=None)
@given(said=turns, each=st.tuples(*[behavior] * len(NAMES)))
def test_where_nobody_breaks_in_each_result_is_told_once(
    said: list[tuple[float | None, dict[str, Any], dict[str, Any]]], each: tuple[ToolBehavior, ...]
) -> None:
    """Every result must be told: no tool here is silent, out of date, for a screen alone, or joined."""
    plain = [
        replace(its, late=Late.WHEN_QUIET, drop_after=None, audience=Audience.MODEL, on_duplicate=OnDuplicate.ALLOW)
        for its in each
    ]
    tools = [named(name, its) for name, its in zip(NAMES, plain, strict=True)]
    talk = have([(None, called, own) for _, called, own in said], tools)
    told = " ".join(talk.said)
    results = [str(call.result) for call in talk.calls if call.name in NAMES and call.state == "succeeded"]
    assert {result: told.count(result) for result in results} == dict.fromkeys(results, 1), str(talk)
