"""One chaos run, from the first process to the verdict."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from cli.local_stack.embedded_servers import embedded_servers
from ringback.postgres.migrate import upgrade
from tests.chaos import checker, rows
from tests.chaos.client import VirtualClient
from tests.chaos.crew import RESUME_SECONDS, Crew, crew_at_work
from tests.chaos.evidence import Evidence, Told, Violation
from tests.chaos.faults import schedule
from tests.chaos.ledger import read_effects, read_wire
from tests.chaos.nemesis import Nemesis
from tests.chaos.story import Story
from tests.servers import folder_for_servers

SETTLE_SECONDS = 75.0
"""After the last fault, until every job must be over: 30 s in the queue, three attempts of 8 s, and a margin."""
ENDED_SECONDS = RESUME_SECONDS + 15.0
"""After the last goodbye, until no session is left."""
ANSWERED_SECONDS = 30.0
"""How long the question that is asked in the calm may take: a restarted worker needs seconds, a busy machine more."""
LOOK_SECONDS = 0.25
TRACEBACK = "Traceback (most recent call last):"
SHOWN = 60
"""Violations that a summary shows; one cause makes many, and all of them stand in `violations.txt`."""


@dataclass(frozen=True)
class Plan:
    """What a run is made of; the seed decides the rest."""

    seconds: float = 120.0
    seed: int = 1
    sessions: int = 20
    gateways: int = 2
    workers: int = 3
    every: float = 2.0
    """Mean seconds between two faults."""
    pause: float = 0.5
    """Mean seconds between an answer and a client's next question."""


@dataclass(frozen=True)
class Report:
    """What came of it."""

    plan: Plan
    evidence: Evidence
    violations: list[Violation]
    faults: Counter[str]
    failed_faults: list[str]
    clients: list[Story]
    ends: Counter[str]
    fenced: int
    left: list[str]
    tracebacks: list[str]
    """Lines of logs above a traceback: what goes wrong here is expected, and told in a sentence."""
    folder: Path
    took: float


def run(plan: Plan, folder: Path, say: Callable[[str], None]) -> Report:
    """Run it, and check it; ledgers and logs are left in `folder`."""
    with folder_for_servers() as home, embedded_servers(home, durable=True) as servers:
        upgrade(servers.database_url)
        rows.add_chronicle(servers.database_url)
        tokens = {number: f"rb_chaos-client-{number:04d}" for number in range(1, plan.sessions + 1)}
        staff = {"gateways": plan.gateways, "workers": plan.workers, "seed": plan.seed}
        with crew_at_work(servers, folder, tokens, **staff) as crew:
            began = time.monotonic()
            return asyncio.run(_Run(plan, folder, crew, tokens, say).to_the_end(began))


class _Run:
    """The parts of one run, and their order."""

    def __init__(
        self, plan: Plan, folder: Path, crew: Crew, tokens: dict[int, str], say: Callable[[str], None]
    ) -> None:
        self._plan, self._folder, self._crew, self._say = plan, folder, crew, say
        addresses = [f"ws://127.0.0.1:{port}/v1/realtime" for port in crew.ports.values()]
        chance = random.Random(plan.seed)
        self._clients = [
            VirtualClient(Story(number), token, addresses, chance.getrandbits(32), plan.pause)
            for number, token in tokens.items()
        ]
        self._left: list[str] = []

    async def to_the_end(self, began: float) -> Report:
        plan, crew = self._plan, self._crew
        faults = schedule(plan.seed, plan.seconds, plan.every, crew.gateways, crew.workers)
        nemesis = Nemesis(crew, self._clients, plan.seed, self._say)
        self._say(f"seed {plan.seed}: {plan.sessions} clients, {len(faults)} faults in {plan.seconds:.0f} s")
        living = [asyncio.create_task(client.run()) for client in self._clients]
        await nemesis.run(faults)
        await asyncio.sleep(max(0.0, began + plan.seconds - time.monotonic()))
        await self._settle()
        for task in living:
            task.cancel()
        await asyncio.gather(*living, return_exceptions=True)
        evidence = await asyncio.to_thread(self._evidence)
        violations = checker.check(evidence)
        (self._folder / "violations.txt").write_text("\n".join(map(str, violations)), encoding="utf-8")
        return Report(
            plan=plan,
            evidence=evidence,
            violations=violations,
            faults=nemesis.counted,
            failed_faults=nemesis.failed,
            clients=[client.story for client in self._clients],
            ends=crew.ends,
            fenced=self._count_in_logs("stale outcome dropped"),
            left=self._left,
            tracebacks=self._tracebacks(),
            folder=self._folder,
            took=time.monotonic() - began,
        )

    async def _settle(self) -> None:
        """The faults are over: everything comes to its end by itself, or is found wanting."""
        self._say("calm: one last question each, and everything comes to its end")
        self._crew.calm()
        async with asyncio.TaskGroup() as asking:
            for client in self._clients:
                asking.create_task(client.last_question(ANSWERED_SECONDS))
        await self._nothing_left(SETTLE_SECONDS, sessions=False)
        await asyncio.gather(*(client.say_goodbye() for client in self._clients))
        await asyncio.gather(*(client.end() for client in self._clients))
        await self._nothing_left(ENDED_SECONDS, sessions=True)

    async def _nothing_left(self, within: float, *, sessions: bool) -> None:
        give_up = time.monotonic() + within
        url = self._crew.servers.database_url
        while left := await asyncio.to_thread(rows.what_is_left, url, sessions=sessions):
            if time.monotonic() > give_up:
                self._left.append(f"{left} after {within:.0f} s")
                self._say(f"still left: {self._left[-1]}")
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _evidence(self) -> Evidence:
        jobs, steps, sessions = rows.read(self._crew.servers.database_url)
        all_rows: list[Any] = [*sessions, *jobs, *steps]
        with (self._folder / "rows.jsonl").open("w", encoding="utf-8") as kept:  # for whoever looks for a cause
            kept.writelines(json.dumps(asdict(row)) + "\n" for row in all_rows)
        return Evidence(
            jobs=jobs,
            steps=steps,
            sessions=sessions,
            effects=read_effects(self._folder / "effects.jsonl"),
            wire=read_wire(self._folder / "wire.jsonl"),
            clients=[_told(client.story) for client in self._clients],
            away=[(away.since, away.until) for away in self._crew.away],
            crashes=self._crew.crashes,
            resume_seconds=RESUME_SECONDS,
        )

    def _tracebacks(self) -> list[str]:
        found = []
        for log in sorted(self._folder.glob("*.log")):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            found += [f"{log.name}: {above}" for above, line in pairwise(["", *lines]) if line.lstrip() == TRACEBACK]
        return found

    def _count_in_logs(self, words: str) -> int:
        logs = self._folder.glob("worker*.log")
        return sum(log.read_text(encoding="utf-8", errors="replace").count(words) for log in logs)


def _told(story: Story) -> Told:
    return Told(
        number=story.number,
        foreign=tuple(sorted(story.foreign)),
        double=tuple(story.double),
        refusals=tuple(story.refusals),
        last_words=story.last_words,
    )


def summary(report: Report) -> Sequence[str]:
    """The run in lines for a person."""
    stories = report.clients
    told = {
        "resumptions": sum(story.resumed for story in stories),
        "sessions begun": sum(story.begun for story in stories),
        "rebuilt under a client": sum(story.rebuilt for story in stories),
        "questions": sum(story.asked for story in stories),
        "answered": sum(story.answered for story in stories),
        **checker.counts(report.evidence),
        "outcomes fenced": report.fenced,
    }
    closes: Counter[int] = Counter()
    for story in stories:
        closes.update(story.closes)
    return [
        f"seed {report.plan.seed}, {report.took:.0f} s, {report.plan.sessions} clients, "
        f"{report.plan.gateways} gateways, {report.plan.workers} workers; ledgers and logs in {report.folder}",
        f"faults: {report.faults.total()} ({_listed(report.faults)})",
        *(f"  not carried out: {failed}" for failed in report.failed_faults[:10]),
        f"processes that ended: {_listed(report.ends)}",
        f"outcomes: {_listed(checker.outcomes(report.evidence))}",
        f"answers: {_listed(checker.deliveries(report.evidence))}",
        f"tokens refused: {_listed(checker.refusals(report.evidence))}",
        f"closes: {_listed(Counter({str(code): times for code, times in closes.items()}))}",
        *(f"  {what}: {count}" for what, count in told.items()),
        f"back after: {_spread([seconds for story in stories for seconds in story.back_after])}",
        *(f"still left: {left}" for left in report.left),
        f"tracebacks: {len(report.tracebacks)}",
        *(f"  {above}" for above in report.tracebacks[:SHOWN]),
        f"violations: {len(report.violations)}",
        f"  by invariant: {_listed(Counter(violation.invariant for violation in report.violations))}",
        *(f"  {violation}" for violation in report.violations[:SHOWN]),
    ]


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "nobody came back"
    ordered = sorted(seconds)
    return ", ".join(f"p{share} {ordered[len(ordered) * share // 101]:.2f} s" for share in (50, 90, 99, 100))


def _listed(counted: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(counted.items(), key=lambda pair: -pair[1])) or "none"
