"""Prints the tables of docs/turn-taking.md from the code; as a program, it rewrites them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from gateway.conversation import call_table, speaker
from gateway.conversation.tool_calls import early_answers
from gateway.conversation.turn_taking import late_results, pacing, rules, scheduler, slot, user

PAGE = Path(__file__).parents[2] / "docs" / "turn-taking.md"
NEVER = "never: the rules send no create then"
STAGES = {
    call_table.Stage.ASKED: "the model has asked for it; one that must not run twice waits for the end of its response",
    call_table.Stage.RUNNING: "it is recorded, and a worker, or the client, is to answer it",
    call_table.Stage.SENT: "its result was sent into the conversation",
    call_table.Stage.ECHOED: "the server has shown that it has the result",
    call_table.Stage.CREDITED: "a response began that can tell it",
    call_table.Stage.TOLD: "that response ended, or was heard in part",
    call_table.Stage.SILENT: "it is over, and its result is not to be told",
}
WAITS = {
    "the slot is asked for": (
        pacing.CREATE_SECONDS,
        "three times what this server's slowest create took, where that is more",
    ),
    "the slot is active, and the server is silent about the response": (scheduler.ACTIVE_SECONDS, ""),
    "the same, after an error that names no event": (scheduler.DYING_SECONDS, "some servers end a response so"),
    "the server is silent after a create": (
        speaker.HUNG_FACTOR * pacing.CREATE_SECONDS,
        "then the gateway connects anew",
    ),
    "a refusal came, and no response is in sight": (pacing.PAUSE_SECONDS, "or until a response ends"),
    "a call's output was missing, and no response began": (
        early_answers.HURRY_SECONDS,
        f"{pacing.PAUSE_SECONDS:g} s where calls are not answered early",
    ),
    "a response failed, or stopped short unheard": (
        pacing.PAUSE_SECONDS,
        "twice as long each time, up to a minute; at least until `rate_limits.updated` says that the limits are reset",
    ),
    "the user speaks, or holds a button": (user.QUIET_LINE_SECONDS, "after the last audio; five minutes in all"),
    "the server is about to answer the user's turn": (
        user.SERVER_ANSWERS_SECONDS,
        "twice what this server took, where that is more, up to ten seconds",
    ),
    "the client is about to ask for a response": (user.CLIENT_ASKS_SECONDS, ""),
    "a call of the same response is the client's to answer": (
        late_results.CLIENT_ANSWERS_SECONDS,
        "one create is to tell both",
    ),
}


def tables() -> dict[str, str]:
    """Each table, by the name of its place in the page."""
    return {
        "slot": _transitions(slot.TRANSITIONS),
        "user": _transitions(user.TRANSITIONS),
        "rules": _table(
            ("", "the gateway asks for", "why it stands here"),
            ((str(place), rule.by.value, rule.reason) for place, rule in enumerate(rules.RULES, 1)),
        ),
        "stages": _table(
            ("stage", "means", "next"),
            (
                (_name(stage), STAGES[stage], ", ".join(map(_name, after)) or "–")
                for stage, after in call_table.STEPS.items()
            ),
        ),
        "waits": _table(
            ("while", "at most", ""), ((what, f"{seconds:g} s", more) for what, (seconds, more) in WAITS.items())
        ),
    }


def written(page: str) -> str:
    """The page with the tables as the code has them now."""
    for name, table in tables().items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        page = place.sub(lambda match, table=table: match[1] + table + "\n" + match[2], page)  # type: ignore[misc]
    return page


def _transitions(table: Mapping[tuple[type[Any], type[Any]], Callable[..., Any] | None]) -> str:
    states = list(dict.fromkeys(state for state, _ in table))
    events = list(dict.fromkeys(event for _, event in table))
    rows = [[f"`{event.__name__}`", *(_sentence(table[state, event]) for state in states)] for event in events]
    return _table(["", *(f"`{state.__name__}`" for state in states)], rows)


def _sentence(step: Callable[..., Any] | None) -> str:
    """What a transition says of itself, in its first line."""
    if step is None:
        return NEVER
    return "–" if step.__name__ == "_stay" else (step.__doc__ or "").splitlines()[0]


def _name(stage: call_table.Stage) -> str:
    return stage.name.lower()


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), ["---"] * len(list(head)), *map(list, rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
