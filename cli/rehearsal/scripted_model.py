"""The script of a rehearsal: the user's turns, and a model that makes the given calls in each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from ringback.tools.declaration import OURS
from ringback.tools.decorator import Tool
from simulator.items import Items
from simulator.scripting.scenario import Answer, Scenario, ToolCall
from simulator.scripting.scenario import Turn as Cue
from simulator.scripting.script import Heard, Plan, Request, Say, Script, directed
from simulator.scripting.template import fill

Arguments: TypeAlias = Mapping[str, Any]
Calls: TypeAlias = Mapping[str, Any]
"""The model's calls in one turn: arguments by the tool's name; a sequence of them for several calls of one tool."""

NOTHING_TO_CALL = "All right."
"""What the model says in a turn without a call, unless it has a result to tell."""
ANSWERS = {"answer_approval": "All right.", "cancel_call": "All right, I have stopped it."}
_QUESTION = re.compile(r"the user must agree to it: (?P<what>.*?)\. In one short", re.DOTALL)
_WAITING = "There is no result yet"
_REPORT = re.compile(r"it reports: (?P<what>.*?)\. ", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of the user.

    Args:
        words: what the user says.
        after: seconds after their last words; None: when the conversation waits for the user.
    """

    words: str
    after: float | None = None


class ScriptedModel(Script):
    """Model that follows its scenario, and chooses its words for the gateway's fillers and questions."""

    def plan(self, items: Items, request: Request, heard: Mapping[str, Heard]) -> Plan:
        asked = request.instructions or directed(items)
        if question := _QUESTION.search(asked):
            return Plan((Say(f"May I do this: {question['what']}?"),))
        if (report := _REPORT.search(asked)) and _WAITING in asked and "Say exactly" not in asked:
            return Plan((Say(f"I am still at it: {report['what']}."),))
        return super().plan(items, request, heard)


def needed_by(tools: Sequence[Tool]) -> list[str]:
    """Return all scopes that the tools require of the user."""
    return sorted({scope for tool in tools for scope in tool.announcement.behavior.scopes})


def scenario(
    turns: Sequence[Turn],
    tools: Sequence[Tool],
    calls: Calls | Sequence[Calls],
    answers: Mapping[str, str] | None,
) -> Scenario:
    """Return the model's scenario.

    Raises:
        ValueError: `calls` does not fit the turns or the tools.
    """
    given: object = calls
    if isinstance(given, str):
        raise ValueError(f'calls={calls!r}: write {{"{calls}": {{…}}}}, the tool and its arguments')
    each = [calls] if isinstance(calls, Mapping) else list(calls)
    if len(each) > len(turns):
        raise ValueError(f"calls has {len(each)} entries for {len(turns)} turns: give one for each turn at most")
    each += [{}] * (len(turns) - len(each))
    check_names("calls", {name for turn in each for name in turn}, tools)
    check_names("answers", answers or {}, tools)
    return Scenario.model_validate(
        {
            "name": "rehearsal",
            "understands": False,
            # A call of the test is made even while others run, without commentary beside it. Speech takes its real
            # time.
            "knobs": {"commentary": False, "repeat_pending_calls": True, "audio_speed": 1.0},
            "turns": [_cue(number, turn) for number, turn in enumerate(each, 1)],
            "answers": {name: Answer(says=[text]) for name, text in {**ANSWERS, **(answers or {})}.items()},
        }
    )


def check_tools(tools: Sequence[Tool]) -> None:
    """Raise ValueError unless these are functions with @tool, in a list."""
    if isinstance(tools, Tool):
        raise ValueError(f"tools={tools.name}: write a list, tools=[{tools.name}]")
    for each in tools:
        if not isinstance(each, Tool):
            raise ValueError(f"tools: {getattr(each, '__name__', each)!s} is no tool: decorate the function with @tool")


def check_names(what: str, names: Iterable[str], tools: Sequence[Tool]) -> None:
    """Raise ValueError if a name is neither a tool nor a function of the gateway."""
    known = {tool.name for tool in tools}
    if unknown := sorted(set(names) - known - OURS):
        raise ValueError(f"{what} names {unknown[0]}, which is none of the tools: {', '.join(sorted(known))}")


def _cue(number: int, calls: Calls) -> Cue:
    made = [ToolCall(tool=name, arguments=_plain(name, given)) for name in calls for given in _several(calls[name])]
    return Cue(spoken=number, calls=made, says=None if made else [NOTHING_TO_CALL])


def _several(given: Arguments | Sequence[Arguments]) -> Sequence[Arguments]:
    return [given] if isinstance(given, Mapping) else given


def _plain(name: str, arguments: Arguments) -> dict[str, Any]:
    if fill(arguments, {}) != arguments:
        raise ValueError(
            f"an argument of {name} holds None, or a {{word}} in braces, which a scripted model cannot say"
        )
    return dict(arguments)
