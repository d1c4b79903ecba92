"""Decides what the model says next: a scenario applied to a conversation.

The rules, in order: tell the results that were not told yet; then react to the user's last words (call tools, answer,
or say that a call is still pending); else say that there is no news. Words that the request's instructions, or a system
message since the last turn, put in quotes come before all of them. Where no turn of the scenario matches the user's
words, `simulator.understanding` matches them to the session's tools.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from simulator.items import Item, Items, text_of
from simulator.scripting.scenario import Answer, Cut, Scenario, Turn
from simulator.scripting.template import fill, render
from simulator.understanding import wording
from simulator.understanding.dialogue import SENTENCES_FOLLOWED, react
from simulator.understanding.offered import Offered

# Instructions to say words exactly: say "one moment".
_SAY_EXACTLY = re.compile(r"\bsay\b[^\"“]*[\"“](?P<text>[^\"”]+)", re.IGNORECASE)
# An output that only says that there is none yet: a model tells no result then.
_FOLLOWS = re.compile(r'\{"status": ?"(accepted|waiting_for_approval)"')
# A raw output is quoted if no template fits it; no listener needs more.
_MAX_QUOTED_CHARACTERS = 300
# A broken-off answer counts as told from so many characters on: two or three words.
_TELLING_CHARACTERS = 12


@dataclass(frozen=True)
class Say:
    """A message of the assistant; ``phase`` is the mark of 2.x models."""

    text: str
    phase: str | None = None


@dataclass(frozen=True)
class Call:
    """A function call with its arguments as JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Plan:
    """The outputs of one response, and the results and the turn that they cover once it was heard."""

    outputs: tuple[Say | Call, ...]
    cut: Cut | None = None
    tells: frozenset[str] = frozenset()
    replies_to: str | None = None


@dataclass(frozen=True)
class Heard:
    """A spoken turn: its number in the session, from 1, and its words, empty without speech recognition."""

    number: int
    text: str


@dataclass(frozen=True)
class Request:
    """Parameters of a requested response: its tools, its own instructions if any, and the model's kind.

    ``offers`` tells of the same tools what a listener needs.
    """

    tools: frozenset[str]
    instructions: str | None = None
    reasoning: bool = False
    parallel: bool = True
    offers: tuple[Offered, ...] = ()


@dataclass
class Script:
    """A scenario during one connection."""

    scenario: Scenario
    told: set[str] = field(default_factory=set)
    replied_to: set[str] = field(default_factory=set)
    today: Callable[[], date] = lambda: datetime.now(UTC).astimezone().date()
    _cuts: Counter[int] = field(default_factory=Counter)

    def settle(self, plan: Plan) -> None:
        """Record that a plan was played: its results and its reply are not repeated."""
        self.told |= plan.tells
        if plan.replies_to is not None:
            self.replied_to.add(plan.replies_to)

    def plan(self, items: Items, request: Request, heard: Mapping[str, Heard]) -> Plan:
        """Return the plan of a response.

        Args:
            items: the conversation so far.
            request: the parameters of the response.
            heard: the spoken turns, by item id.
        """
        ordered = self._ordered(request.instructions or directed(items))
        if ordered:
            return Plan(self._messages((ordered,), request))
        news = self._news(items)
        told = tuple(self._answer(items, output) for output in news)
        tells = frozenset(output["call_id"] for output in news)
        user = self._unanswered(items)
        if user is None:
            return Plan(self._messages(told or (self._unprompted(items),), request), tells=tells)
        reply = self._reply(items, request, heard, user)
        texts = (*told, *([reply.line] if reply.line else []))
        outputs: tuple[Say | Call, ...] = (*self._messages(texts, request, commentary=bool(reply.calls)), *reply.calls)
        return Plan(outputs, self._cut(reply), tells, user["id"])

    def _ordered(self, directive: str) -> str | None:
        """Return the words that a system message orders: those in quotes, or a question for the user's yes."""
        exactly = _SAY_EXACTLY.search(directive)
        if exactly:
            return exactly["text"]
        return wording.approval(directive) if self.scenario.understands else None

    def _sentences(self, items: Items, heard: Mapping[str, Heard], user: Item) -> list[str | None]:
        """Return what the user has said lately; None for what a turn of the scenario answers."""
        upto = items.items[: items.items.index(user) + 1]
        turns = [_said(item, heard) for item in upto if item.get("role") == "user"][-SENTENCES_FOLLOWED:]
        return [None if self._matches(said) else said.text for said in turns]

    def _news(self, items: Items) -> list[Item]:
        """Return the outputs that no answer has told yet, neither one of this connection nor a replayed one."""
        outputs = ((i, item) for i, item in enumerate(items.items) if _brings_news(item))
        untold = ((i, output) for i, output in outputs if output["call_id"] not in self.told)
        return [output for i, output in untold if not self._told_before(items, output, items.items[i + 1 :])]

    def _told_before(self, items: Items, output: Item, later: list[Item]) -> bool:
        """Return whether a replayed answer has the words for this output, as in a rebuilt conversation."""
        words = self._answer(items, output)
        return any(_tells(text_of(item), words) for item in later if _is_seeded_answer(item, items))

    def _unanswered(self, items: Items) -> Item | None:
        """Return the user's last message, unless the model or a replayed item reacted to it already."""
        for item in reversed(items.items):
            if item.get("role") == "user":
                return None if item["id"] in self.replied_to else item
            if _is_seeded_answer(item, items) or (item["type"] == "function_call" and item["id"] in items.seeded):
                return None
        return None

    def _unprompted(self, items: Items) -> str:
        return self.scenario.waiting.says if _pending(items) else self.scenario.otherwise

    def _messages(self, texts: tuple[str, ...], request: Request, *, commentary: bool = False) -> tuple[Say, ...]:
        if not texts:
            return ()
        phase = "commentary" if commentary else "final_answer"
        return (Say(" ".join(texts), phase if request.reasoning else None),)

    def _reply(self, items: Items, request: Request, heard: Mapping[str, Heard], user: Item) -> _Reply:
        said = _said(user, heard)
        matches = self._matches(said)
        pending = _pending(items)
        if not matches:
            if pending and re.search(self.scenario.waiting.hears, said.text, re.IGNORECASE):
                return _Reply(line=self.scenario.waiting.says)
            sentences = self._sentences(items, heard, user)
            return self._understood(items, request, sentences) or _Reply(line=self._otherwise(request))
        calls = [
            _call(call.tool, fill(call.arguments, groups), self._loose(request))
            for turn, groups in matches
            for call in turn.calls
        ]
        lines = [line for turn, groups in matches if (line := _first(turn.says, groups))]
        absent = sorted({call.name for call in calls} - request.tools)
        lines += [f"I would use the tool {name} for that, but this session does not have it." for name in absent]
        return self._calling(matches, [call for call in calls if call.name in request.tools], lines, request, pending)

    def _understood(self, items: Items, request: Request, sentences: list[str | None]) -> _Reply | None:
        """Return the reaction to a sentence that no turn matches; None if it fits no tool either."""
        if not self.scenario.understands:
            return None
        pending = _pending(items)
        reaction = react(sentences, request.offers, self.today(), pending=bool(pending))
        if reaction is None:
            return None
        if reaction.use is None:
            return _Reply(line=reaction.line)
        call = _call(reaction.use.tool, reaction.use.arguments, self._loose(request))
        return self._calling([], [call], [], request, pending)

    def _otherwise(self, request: Request) -> str:
        """Return the scenario's words for what it does not know, and what the tools beside it can do."""
        scripted = {call.tool for turn in self.scenario.turns for call in turn.calls}
        beside = [tool for tool in request.offers if tool.name not in scripted] if self.scenario.understands else []
        fits = not scripted or scripted & request.tools
        own = bool(fits) and "otherwise" in self.scenario.model_fields_set
        told = wording.abilities(beside, also=own)
        return " ".join(filter(None, (self.scenario.otherwise if own or not told else "", told)))

    def _calling(
        self, matches: list[_Match], calls: list[Call], lines: list[str], request: Request, pending: list[Item]
    ) -> _Reply:
        if calls and not self.scenario.knobs.repeat_pending_calls and _all_pending(calls, pending):
            return _Reply(line=self.scenario.waiting.says)
        if not (request.parallel and self.scenario.knobs.parallel_calls):
            calls = calls[:1]
        if calls and self._comments(request) and not lines:
            said = (render(t.commentary, groups) for t, groups in matches if t.commentary)
            lines = [next((line for line in said if line), _COMMENTARY)]
        turn = next((turn for turn, _ in matches if turn.cut), None)
        return _Reply(" ".join(lines) or None, tuple(calls), turn)

    def _matches(self, said: Heard) -> list[_Match]:
        """Return every turn that matches, with its named groups; without recognition a turn is known by its number."""
        if not said.text:
            return [(turn, {}) for turn in self.scenario.turns if turn.spoken == said.number]
        tidy = " ".join(said.text.replace("\u2019", "'").split())
        found = []
        for turn in self.scenario.turns:
            match = re.search(turn.hears, tidy, re.IGNORECASE) if turn.hears else None
            if match:
                found.append((turn, {k: v.strip() for k, v in match.groupdict().items() if v}))
        return found

    def _cut(self, reply: _Reply) -> Cut | None:
        """Return the cut of a turn until it has happened often enough."""
        if reply.cut_turn is None or reply.cut_turn.cut is None:
            return None
        index = self.scenario.turns.index(reply.cut_turn)
        self._cuts[index] += 1
        return reply.cut_turn.cut if self._cuts[index] <= reply.cut_turn.cut.times else None

    def _comments(self, request: Request) -> bool:
        knob = self.scenario.knobs.commentary
        return request.reasoning if knob is None else knob

    def _loose(self, request: Request) -> bool:
        knob = self.scenario.knobs.loose_arguments
        return not request.reasoning if knob is None else knob

    def _answer(self, items: Items, output: Item) -> str:
        """Return the words for a tool's output, by the tool's templates, or quote the output."""
        call = items.call(output["call_id"])
        tool = call["name"] if call else ""
        arguments = _json_object(call["arguments"] if call else "")
        values = {**arguments, **_json_object(output["output"])}
        answer = self.scenario.answers.get(tool, _PLAIN_ANSWER)
        failed = "error" in _json_object(output["output"])
        said = _first(answer.error if failed else answer.says, values)
        if said is None and self.scenario.understands and tool not in self.scenario.answers:
            said = wording.result(tool, output["output"], arguments)
        return said or f"The answer is: {output['output'][:_MAX_QUOTED_CHARACTERS]}"


_Match = tuple[Turn, dict[str, str]]
_PLAIN_ANSWER = Answer(says=["{summary}"])
_COMMENTARY = "Let me check that for you."


@dataclass(frozen=True)
class _Reply:
    """The reaction to one user message."""

    line: str | None = None
    calls: tuple[Call, ...] = ()
    cut_turn: Turn | None = None


def directed(items: Items) -> str:
    """Return the text of a system message, if neither side has spoken since."""
    since = itertools.takewhile(lambda item: item.get("role") not in ("user", "assistant"), reversed(items.items))
    return next((text_of(item) for item in since if item.get("role") == "system"), "")


def _pending(items: Items) -> list[Item]:
    """Return the calls whose results are to come; one that was answered early has its result as a later, equal call."""
    answered = {item["call_id"]: _brings_news(item) for item in items.items if item["type"] == "function_call_output"}
    calls = [item for item in items.items if item["type"] == "function_call"]
    told = [_meaning(call) for call in calls if answered.get(call["call_id"])]
    early = [call for call in calls if answered.get(call["call_id"]) is False and _meaning(call) not in told]
    return [*items.pending_calls(), *early]


def _meaning(call: Item) -> tuple[str, Any]:
    """Return what two calls have in common that ask for the same; the client may write arguments another way."""
    try:
        return call["name"], json.loads(call["arguments"])
    except ValueError:
        return call["name"], call["arguments"]


def _brings_news(item: Item) -> bool:
    """Return whether an item is the output of a call that says more than that the result follows."""
    return item["type"] == "function_call_output" and not _FOLLOWS.match(item["output"])


def _is_seeded_answer(item: Item, items: Items) -> bool:
    return item.get("role") == "assistant" and item["id"] in items.seeded


def _tells(said: str, words: str) -> bool:
    """Return whether these words were said, to their end or until the user interrupted."""
    if words in said:
        return True
    start = said.rfind(words[:_TELLING_CHARACTERS])
    return start >= 0 and words.startswith(said[start:])


def _first(templates: list[str] | None, values: dict[str, Any]) -> str | None:
    return next((text for template in templates or [] if (text := render(template, values))), None)


def _json_object(text: str) -> dict[str, Any]:
    """Read a JSON object, or return an empty one for any other text."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _said(user: Item, heard: Mapping[str, Heard]) -> Heard:
    return heard.get(user["id"], Heard(0, text_of(user)))


def _call(tool: str, arguments: Mapping[str, Any], loose: bool) -> Call:
    if not loose:
        return Call(tool, json.dumps(arguments, separators=(",", ":")))
    inner = ", \n".join(f'  "{key}": {json.dumps(value)}' for key, value in arguments.items())
    return Call(tool, f"{{  \n{inner} \n}} \n" if inner else "{}")


def _all_pending(calls: list[Call], pending: list[Item]) -> bool:
    known = [(item["name"], _json_object(item["arguments"])) for item in pending]
    return all((call.name, _json_object(call.arguments)) in known for call in calls)
