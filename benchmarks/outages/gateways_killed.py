"""From the kill -9 of a gateway until each of its clients is back on the other, and what they hear of their calls."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

from benchmarks.outages.figures import Counted, Figure, Timed
from benchmarks.outages.guests import JITTER_SECONDS, Guest, baked, visiting
from benchmarks.outages.site import GATEWAYS, Site

RENEWAL_SECONDS = 1.0


@dataclass
class Seen:
    """What the kills came to."""

    seconds: list[float] = field(default_factory=list)
    meanwhile: list[int] = field(default_factory=list)
    """How often each result was heard that came between the kill and the client's return."""
    others: list[int] = field(default_factory=list)
    lost: int = 0


def measure(site: Site, kills: int, sessions: int) -> list[Figure]:
    """All clients are on the gateway that is killed, each with a call that ends just then."""
    seen = asyncio.run(_kill_in_turn(site, kills, sessions))
    results = seen.meanwhile + seen.others
    once = sum(times == 1 for times in seen.meanwhile)
    what = f"gateway killed ({kills} times, {sessions} sessions) -> session.created on the other"
    return [
        Timed(f"{what}; up to {JITTER_SECONDS:g} s of it the client's jitter", seen.seconds, "p99 <= 3"),
        Counted("sessions lost with their gateway", seen.lost, kills * sessions, "0"),
        Counted("results that came before their client was back, heard exactly once", once, len(seen.meanwhile), "all"),
        Counted("results never heard", sum(times == 0 for times in results), len(results), "0"),
        Counted("results heard more than once", sum(times > 1 for times in results), len(results), "0"),
    ]


async def _kill_in_turn(site: Site, kills: int, sessions: int) -> Seen:
    seen = Seen()
    async with visiting(site, (sessions, GATEWAYS)) as guests:
        for number in range(kills):
            await asyncio.to_thread(site.crew.await_up, *GATEWAYS)
            await _kill(site, GATEWAYS[number % len(GATEWAYS)], guests, seen)
    return seen


async def _kill(site: Site, gateway: str, guests: list[Guest], seen: Seen) -> None:
    names = await asyncio.gather(*(guest.order() for guest in guests))
    jobs = site.desk.orders(names)
    await asyncio.sleep(random.uniform(0, RENEWAL_SECONDS))
    before = [guest.resumable for guest in guests]
    at = time.time()
    site.crew.kill(gateway)
    site.open(*names)
    for guest, arrivals, name in zip(guests, before, names, strict=True):
        await guest.arrived(arrivals)
        await guest.hear(baked(name))
    finished = site.desk.finished(list(jobs.values()))
    for guest, name in zip(guests, names, strict=True):
        if guest.lost:
            seen.lost += 1
            continue
        back = next(came for came in guest.arrivals if came > at)
        seen.seconds.append(back - at)
        over = finished[jobs[name]].timestamp()
        (seen.meanwhile if over < back else seen.others).append(guest.told(baked(name)))
