"""Pages that an operator asks for, each with what must stand in it: a page without its rows measures nothing."""

from __future__ import annotations

from hashlib import md5
from typing import NamedTuple
from uuid import UUID

from benchmarks.console_pages.rows import ABSENT, BUSY, COMMON, FEW, RARE

JOB, TALK, ROW = r'<tr id="job-', r'href="/console/sessions/[0-9a-f-]{36}"', r"<tr\b"
WHOLE = 50
"""Rows of a page that is full."""
MOST = 10**6


class Asked(NamedTuple):
    """A page.

    Args:
        title: what stands in the table.
        path: below `/console`.
        what: a pattern that the page must have at least and at most so often.
        form: fields of a form that is sent; None: the page is asked for.
    """

    title: str
    path: str
    parameters: dict[str, str]
    what: str
    at_least: int
    at_most: int = MOST
    form: dict[str, str] | None = None


def uuid_of(row: str) -> UUID:
    """Return the id that `rows` gives to `call 7` or `talk 3`."""
    return UUID(md5(row.encode(), usedforsecurity=False).hexdigest())


def _jobs(title: str, q: str, at_least: int = WHOLE, at_most: int = WHOLE, **more: str) -> Asked:
    return Asked(f"jobs: {title}", "/jobs", {"q": q, **more}, JOB, at_least, at_most)


def _talks(title: str, at_least: int = 1, **filters: str) -> Asked:
    return Asked(f"talks: {title}", "/sessions", filters, TALK, at_least)


def _preview(title: str, act: str, q: str) -> Asked:
    return Asked(f"act: {title}", f"/jobs/act/{act}", {}, r"<form\b|No call", 1, form={"q": q})


def _usage(by: str) -> Asked:
    return Asked(f"usage: by {by}", "/usage", {"by": by}, ROW, 2)


JOBS = (
    _jobs("all", ""),
    _jobs("all, the rows alone", "", part="rows"),
    _jobs("a state that is frequent", "state:succeeded"),
    _jobs("a state that is rare", "state:dead", 1),
    _jobs("three states", "state:failed,timed_out,cancelled"),
    _jobs("a tool", "tool:tool_3"),
    _jobs("a tool that there is not", "tool:tool_99", 0, 0),
    _jobs("a queue", "queue:queue_2"),
    _jobs("a tool in a rare state", "tool:tool_7 state:dead", 1),
    _jobs("an approval", "approval:denied", 1),
    _jobs("a talk", f"session:{uuid_of('talk 77')}", 10, 10),
    _jobs("one call", str(uuid_of("call 777")), 1, 1),
    _jobs("a user of few talks", f"user:{FEW}", 10),
    _jobs("a user of a third of all", f"user:{BUSY}"),
    _jobs("an agent of a third of all", "agent:demo"),
    _jobs("an agent of few talks", "agent:night", 10),
    _jobs("the last hour", "since:1h"),
    _jobs("30 days", "since:30d"),
    _jobs("an argument that is frequent", f"args.city:{COMMON}"),
    _jobs("an argument that is rare", f"args.city:{RARE}", 1),
    _jobs("an argument that no call has", f"args.city:{ABSENT}", 0, 0),
    _jobs("a number in an argument", "args.at.hour:3"),
    _jobs("an argument, of one tool", f"tool:tool_1 args.city:{RARE}", 1),
    _jobs("a user and an argument", f"user:{BUSY} args.city:{COMMON}"),
)
OTHERS = (
    Asked("jobs: suggestions", "/jobs/suggest", {"q": "args.ci"}, "<option", 5),
    Asked("one call", f"/jobs/{uuid_of('call 777')}", {}, "tool_17", 1),
    _preview("cancel a tool's calls", "cancel", "tool:tool_3"),
    _preview("retry a rare state", "retry", "state:dead"),
    _preview("retry a frequent argument", "retry", f"args.city:{COMMON}"),
    _preview("retry a rare argument", "retry", f"args.city:{RARE}"),
    _talks("all", WHOLE),
    _talks("open ones", 20, state="open"),
    _talks("an agent of few", 1, agent="night"),
    _talks("an agent of a third of all, open", 1, agent="demo", state="open"),
    _talks("a user of few", 1, user=FEW),
    _talks("a user of a third of all", WHOLE, user=BUSY),
    _talks("an agent that there is not", 0, agent="nix"),
    Asked("one talk", f"/sessions/{uuid_of('talk 77')}", {}, "<svg", 1),
    Asked("tools, 15 minutes", "/tools", {"window": "15m"}, "tool_19", 1),
    Asked("tools, a day", "/tools", {"window": "1d"}, "tool_19", 1),
    Asked("queues, 15 minutes", "/queues", {"window": "15m"}, "queue_4", 1),
    Asked("queues, a day", "/queues", {"window": "1d"}, "queue_4", 1),
    Asked("workers", "/workers", {}, "worker_3", 1),
    *map(_usage, ("day", "agent", "user", "model", "tenant")),
    Asked("audit log", "/audit", {}, ROW, WHOLE),
)
PAGES = (*JOBS, *OTHERS)
