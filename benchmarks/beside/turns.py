"""One turn: answers to offers, the cost of sessions that are watched beside one that is relayed, and hostile pages."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.beside.hostile_page import KINDS, hostile
from benchmarks.beside.provider import Call, Provider, serving
from benchmarks.beside.site import HANGS_UP, MENDS, Site, running_site
from benchmarks.measuring.process_use import cores_apart, family, pin, profile, use_of
from benchmarks.measuring.receipts import insist
from benchmarks.outages.figures import percentile
from benchmarks.talking.sides import OURS
from benchmarks.talking.turns import Plan as RelayPlan
from benchmarks.talking.turns import measure as measure_relay

ANSWER, COST, GUARD = PARTS = ("answer", "cost", "guard")
WARM_UP = 10
"""Calls of each way that are not timed."""
RAMP_SECONDS = 3.0
PROFILE_SECONDS = 8.0
MENDS_OF_A_CALL = 20
"""Findings of one call that the guard undoes; then it hangs up (`gateway.conversation.guard.MENDS`)."""
PAGES_AT_ONCE = 10
PLACED_AT_ONCE = 4


@dataclass(frozen=True)
class Plan:
    """How much is measured in a turn."""

    calls: int
    watched: int
    """Sessions that talk past the gateway. It is then about as busy as by those that it relays: a process that sleeps
    between two events takes more for each."""
    relayed: int
    seconds: float
    events: int
    """Hostile events of each kind, of each way to answer them."""
    parts: frozenset[str] = frozenset(PARTS)
    profiles: Path | None = None
    ramp: float = RAMP_SECONDS


@dataclass
class Turn:
    """What was measured in one turn. Times in milliseconds."""

    direct: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    watched_cpu: float = 0.0
    """Milliseconds of the gateway's processor time for a second of one session."""
    watched_events: float = 0.0
    """Events a second that one sideband was sent."""
    relayed_cpu: float = 0.0
    mended: dict[str, list[float]] = field(default_factory=dict)
    """By kind of event."""
    hung_up: dict[str, list[float]] = field(default_factory=dict)

    @property
    def added(self) -> float:
        return percentile(self.ours, 0.5) - percentile(self.direct, 0.5) if self.ours else 0.0

    @property
    def ratio(self) -> float:
        return self.watched_cpu / self.relayed_cpu if self.relayed_cpu else 0.0

    def line(self) -> dict[str, Any]:
        return {"added": round(self.added, 3), "ratio": round(self.ratio, 3), **asdict(self)}


def measure(programs: dict[str, Path], plan: Plan) -> Turn:
    """Run the stack with a provider of calls, then the stack with a model that is relayed."""
    turn = Turn()
    with (
        serving() as provider,
        tempfile.TemporaryDirectory() as folder,
        running_site(provider, Path(folder)) as site,
    ):
        if ANSWER in plan.parts:
            _answers(site, plan, turn)
        if {COST, GUARD} & plan.parts:
            with _talking(site, plan.watched):
                if COST in plan.parts:
                    _watched(site, plan, turn)
                if GUARD in plan.parts:
                    _pages(site, plan, turn)
    if COST in plan.parts:
        relayed = measure_relay(OURS, programs, RelayPlan(plan.relayed, plan.seconds, False, ramp=plan.ramp))
        turn.relayed_cpu = round(relayed.talk.cpu_ms, 3)
    return turn


# — the answer —


def _answers(site: Site, plan: Plan, turn: Turn) -> None:
    """Place each call directly and through the gateway, one after the other; then each is attended to."""
    for _ in range(WARM_UP):
        site.place_directly()
        _over(site, [_placed(site)[1]])
    with _profiled(site, plan, "answers"):
        for _ in range(plan.calls):
            direct, _call = site.place_directly()
            ours, call = _placed(site)
            turn.direct.append(round(direct, 3))
            turn.ours.append(round(ours, 3))
            _over(site, [call])
    insist("answers that were timed", (len(turn.direct), len(turn.ours)), (plan.calls, plan.calls))


def _placed(site: Site) -> tuple[float, Call]:
    secret = site.secret()
    return site.place(MENDS, secret)


def _over(site: Site, calls: list[Call]) -> None:
    """Each of these calls was attended to; then the callers hang up, and the rows say that it is over."""
    site.provider.run(site.provider.attended(calls))
    site.insist_on_rows(calls, "open")
    site.provider.run(site.provider.hang_up(calls))
    site.insist_on_rows(calls, "ended")


# — sessions that are watched —


@contextmanager
def _talking(site: Site, sessions: int) -> Iterator[list[Call]]:
    """Have the model speak in so many calls; each of them is there to the end, with its gateway beside it."""
    provider, calls = site.provider, _several(site, MENDS, sessions)
    provider.run(provider.talk(calls))
    yield calls
    provider.run(provider.hush())
    insist("calls that ended by themselves", sum(call.over.is_set() for call in calls), 0)
    insist("calls with a sideband", sum(call.sideband is not None for call in calls), sessions)
    _over(site, calls)


def _several(site: Site, agent: str, number: int) -> list[Call]:
    with ThreadPoolExecutor(PLACED_AT_ONCE) as threads:
        calls = [call for _, call in threads.map(lambda _: site.place(agent), range(number))]
    site.provider.run(site.provider.attended(calls))
    return calls


def _watched(site: Site, plan: Plan, turn: Turn) -> None:
    """Take the gateway's processor time by the system, on a core of its own as the relay has it."""
    gateway, (core, others) = site.processes["gateway"], cores_apart()
    pin(family(gateway), core)
    pin([psutil.Process()], others)
    time.sleep(plan.ramp)
    before, told = use_of(gateway), site.provider.told
    time.sleep(plan.seconds)
    after, told = use_of(gateway), site.provider.told - told
    turn.watched_cpu = round(after.share_since(before) * 1_000 / plan.watched, 3)
    turn.watched_events = round(told / plan.seconds / plan.watched, 1)
    with _profiled(site, plan, "watched"):
        time.sleep(PROFILE_SECONDS if plan.profiles else 0)
    pin([*family(gateway), psutil.Process()], core | others)


# — hostile pages —


def _pages(site: Site, plan: Plan, turn: Turn) -> None:
    kinds = list(itertools.islice(itertools.cycle(KINDS), plan.events * len(KINDS)))
    for mends, found in ((True, turn.mended), (False, turn.hung_up)):
        each = MENDS_OF_A_CALL if mends else 1
        shares = [kinds[start : start + each] for start in range(0, len(kinds), each)]
        for start in range(0, len(shares), PAGES_AT_ONCE):
            now = shares[start : start + PAGES_AT_ONCE]
            calls = _several(site, MENDS if mends else HANGS_UP, len(now))
            for kind, taken in site.provider.run(_attack(site.provider, calls, now, mends=mends)):
                found.setdefault(kind, []).append(round(taken, 3))
            if mends:
                _over(site, calls)
            else:
                site.insist_on_rows(calls, "ended")
        insist(
            "hostile events that were undone",
            {kind: len(found[kind]) for kind in KINDS},
            dict.fromkeys(KINDS, plan.events),
        )


async def _attack(
    provider: Provider, calls: list[Call], shares: list[list[str]], *, mends: bool
) -> list[tuple[str, float]]:
    """Have the pages of all these calls send their events at once, each one after the other."""

    async def page(call: Call, kinds: list[str]) -> list[tuple[str, float]]:
        found = []
        for kind in kinds:
            event, undoes = hostile(kind)
            found.append((kind, await provider.page_sends(call, event, undoes if mends else None)))
        return found

    return [one for of in await asyncio.gather(*map(page, calls, shares)) for one in of]


@contextmanager
def _profiled(site: Site, plan: Plan, name: str) -> Iterator[None]:
    """Look at the gateway meanwhile, if it is asked for."""
    if plan.profiles is None:
        yield
        return
    with ThreadPoolExecutor(1) as thread:
        path = plan.profiles / f"beside-{name}-profile.txt"
        looking = thread.submit(profile, site.processes["gateway"], PROFILE_SECONDS, path)
        yield
        looking.result()
