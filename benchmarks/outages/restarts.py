"""A rolling restart of both gateways by SIGTERM: how long each client is without one, and what it costs."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.outages.figures import Counted, Figure, Timed
from benchmarks.outages.guests import JITTER_SECONDS, Guest, baked, visiting
from benchmarks.outages.site import GATEWAYS, Site

GREETING, ANSWER = "hello", "Good day."
DRAINING = 4012
FIRST, SECOND = GATEWAYS


@dataclass
class Seen:
    """What the restarts came to."""

    gaps: list[float] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    items: int = 0
    items_lost: int = 0
    sessions: int = 0
    sessions_lost: int = 0
    heard: list[int] = field(default_factory=list)
    """How often each result was heard."""
    outcomes: list[int] = field(default_factory=list)


def measure(site: Site, rounds: int, sessions: int) -> list[Figure]:
    """In each round both gateways are restarted, one after the other, while every session waits for a call."""
    seen = Seen()
    for _ in range(rounds):
        asyncio.run(_restart_both(site, sessions, seen))
    what = f"rolling restart ({rounds} x both gateways, {sessions} sessions): close -> session.created on the other"
    others = Counter(code for code in seen.codes if code != DRAINING)
    codes = f" ({', '.join(map(str, sorted(others)))})" if others else ""
    return [
        Timed(f"{what}; up to {JITTER_SECONDS:g} s of it the client's jitter", seen.gaps),
        Counted(
            f"connections that ended with another code than {DRAINING}{codes}", others.total(), len(seen.codes), "0"
        ),
        Counted("sessions lost in a restart", seen.sessions_lost, seen.sessions, "0"),
        Counted("items lost in a restart", seen.items_lost, seen.items, "0"),
        Counted("jobs without exactly one outcome", sum(n != 1 for n in seen.outcomes), len(seen.outcomes), "0"),
        Counted("results not heard exactly once", sum(n != 1 for n in seen.heard), len(seen.heard), "0"),
    ]


async def _restart_both(site: Site, sessions: int, seen: Seen) -> None:
    on_second = sessions // 2
    await asyncio.to_thread(site.crew.await_up, *GATEWAYS)
    async with visiting(site, (sessions - on_second, GATEWAYS), (on_second, GATEWAYS[::-1])) as guests:
        names = await asyncio.gather(*map(_talk, guests))
        for gateway in GATEWAYS:
            await _restart(site, gateway, [guest for guest in guests if guest.gateways[0] == gateway])
        site.open(*names)
        heard = await asyncio.gather(*(guest.hear(baked(name)) for guest, name in zip(guests, names, strict=True)))
        seen.heard += [guest.told(baked(name)) for guest, name in zip(guests, names, strict=True)]
        _count_items(site, guests, names, seen)
        seen.sessions += sessions
        seen.sessions_lost += heard.count(False)
        for guest in guests:
            seen.codes += [code for _, code in guest.goodbyes]
            seen.gaps += _gaps(guest)
    seen.outcomes += site.desk.outcomes(list(site.desk.orders(names).values()))


def _gaps(guest: Guest) -> list[float]:
    """From the end of a connection that was greeted to the next `session.created`."""
    stays = zip(guest.arrivals, guest.arrivals[1:], strict=False)
    return [back - min(gone for gone, _ in guest.goodbyes if gone > came) for came, back in stays]


async def _talk(guest: Guest) -> str:
    await guest.ask(GREETING)
    await guest.hear(ANSWER)
    guest.expected.append(ANSWER)
    return await guest.order()


async def _restart(site: Site, gateway: str, guests: list[Guest]) -> None:
    before = [guest.resumable for guest in guests]
    site.crew.ask_to_stop(gateway)
    for guest, arrivals in zip(guests, before, strict=True):
        await guest.arrived(arrivals)
    await asyncio.to_thread(site.crew.await_up, gateway)


def _count_items(site: Site, guests: list[Guest], names: list[str], seen: Seen) -> None:
    """What was said before the restarts, and is missing in the conversation that lives after them."""
    heard = site.simulator.heard()
    for guest, name in zip(guests, names, strict=True):
        texts = [_texts(events) for events in heard.values()]
        newest = [said for said in texts if any(name in text for text in said)][-1]
        seen.items += len(guest.expected)
        seen.items_lost += sum(words not in newest for words in guest.expected)


def _texts(events: list[dict[str, object]]) -> list[str]:
    items = [event["item"] for event in events if isinstance(event.get("item"), dict)]
    parts = [part for item in items for part in item.get("content") or []]  # type: ignore[attr-defined]
    return [part.get("text", "") for part in parts]
