"""Follows what a user says, sentence by sentence: calls that are asked for, questions that are open, a yes or a no."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from simulator.understanding.offered import Offered
from simulator.understanding.understanding import NEVER_MIND, Dropped, Question, ToolUse, understand
from simulator.understanding.values import Said, yes_or_no

# The functions by which a server passes on a yes or a no, and stops a call: docs/how-to/approve-a-call.md.
APPROVE, CANCEL = "answer_approval", "cancel_call"
# Characters. A longer text is no order, and reading it would hold up the other callers.
_LONGEST_SENTENCE = 500
# A question is open for few sentences; older ones cannot matter.
SENTENCES_FOLLOWED = 8


@dataclass(frozen=True)
class Reaction:
    """What the user's last sentence leads to: a call, or words."""

    use: ToolUse | None = None
    line: str | None = None


def react(sentences: Sequence[str | None], tools: Sequence[Offered], today: date, *, pending: bool) -> Reaction | None:
    """Return the reaction to the last sentence; None if it fits no tool.

    Args:
        sentences: of the user, oldest first; None for one that a rule of the scenario has answered.
        tools: what the session offers.
        today: the day on which they are said.
        pending: whether a call has no result yet: it may wait for a yes, and it can be stopped.
    """
    sentences = [each if each and len(each) <= _LONGEST_SENTENCE else None for each in sentences]
    useful = [tool for tool in tools if tool.name not in (APPROVE, CANCEL)]
    question: Question | None = None
    for sentence in sentences[-SENTENCES_FOLLOWED:-1]:
        understood = understand(Said.of(sentence, today), useful, question) if sentence else None
        question = understood if isinstance(understood, Question) else None
    last = sentences[-1] if sentences else None
    if not last:
        return None
    if pending and question is None and (decided := _decided(last, {tool.name for tool in tools})):
        return Reaction(decided)
    match understand(Said.of(last, today), useful, question):
        case ToolUse() as use:
            return Reaction(use)
        case Question() as asked:
            return Reaction(line=asked.text)
        case Dropped():
            return Reaction(line="All right.")
    return None


def _decided(sentence: str, names: set[str]) -> ToolUse | None:
    if CANCEL in names and NEVER_MIND.search(sentence):
        return ToolUse(CANCEL, {})
    answer = yes_or_no(sentence) if APPROVE in names else None
    return None if answer is None else ToolUse(APPROVE, {"approved": answer})
