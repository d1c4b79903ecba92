"""One turn of one side: sessions that are idle, that talk, and twice as many; then the latency at half a core."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measuring.process_use import Use, cores_apart, family, pin, profile, use_of, uses_of
from benchmarks.measuring.receipts import count, insist
from benchmarks.talking.programs import Load, running_load
from benchmarks.talking.sides import PICOWS, Relay, relaying
from ringback.tables import sessions as sessions_table

WARM_UP_SESSIONS = 4
"""Sessions that talk before anything is measured: each side does something for the first time."""
RAMP_SECONDS = 3.0
"""Seconds before each window, of talk or of silence: buffers find their size."""
PROFILE_SECONDS = 8.0
ROOM = 0.45
"""The share of a core up to which twice as many sessions are tried."""
HALF_A_CORE = 0.5
RELAY = "relay"
FRAMES_A_SECOND = 50
"""That each caller sends."""
LEAST_PACE = 0.95
"""Of these frames. A load that is late asks for less work, and the relay would seem cheap."""
MOST_SESSIONS = 250
"""What the load's own core can speak for."""
TALK_AT_ONCE = 60
"""Where memory alone is measured, so many talk at a time, in turn: 200 of them would take more than a core."""


@dataclass(frozen=True)
class Window:
    """Some seconds in which so many sessions talked."""

    sessions: int
    seconds: float
    share: float
    """Of one core, by the relay's process."""
    load_share: float = 0.0
    """Of one core, by the two programs of the load: near the whole of it they are late themselves."""
    behind: dict[str, float] = field(default_factory=dict)
    to_model: dict[str, float] = field(default_factory=dict)
    """Milliseconds from a caller's stamp to its arrival at the model."""
    to_caller: dict[str, float] = field(default_factory=dict)

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of processor time for a second of one session."""
        return self.share * 1_000 / self.sessions


@dataclass
class Turn:
    """What one side took in one turn; memory in KiB a session."""

    side: str
    talk: Window
    idle_kib: float = 0.0
    talking_kib: float = 0.0
    slope_kib: float | None = None
    """By the second half of twice as many; None where the core has no room for them."""
    half: Window | None = None
    """At half a core."""
    direct: Window | None = None
    """The same load without a relay."""

    def line(self) -> dict[str, Any]:
        return {**asdict(self), "cpu_ms": round(self.talk.cpu_ms, 3)}


@dataclass(frozen=True)
class Memory:
    """What a session takes, in KiB: before anyone has spoken, once all have talked, and each of the next as many."""

    side: str
    idle: float
    talking: float
    following: float


@dataclass(frozen=True)
class Plan:
    """How much of what is measured in a turn."""

    sessions: int
    seconds: float
    has_latency: bool
    profile: Path | None = None
    most_sessions: int = MOST_SESSIONS
    ramp: float = RAMP_SECONDS


def measure(side: str, programs: dict[str, Path], plan: Plan) -> Turn:
    """Run the side and the load anew; what was timed must have arrived."""
    with _running(side, programs, plan) as (load, relay):
        turn = _memory_and_cpu(side, load, relay, plan)
        opened = plan.sessions * (1 if turn.slope_kib is None else 2)
        if plan.has_latency:
            sessions = for_half_a_core(turn.talk.cpu_ms, plan.most_sessions)
            opened += sessions
            turn.half = _again(load, relay, sessions, plan)
        _insist_on_rows(relay, opened)
    if turn.half:
        turn.direct = _direct(programs, turn.half.sessions, plan)
    return turn


def measure_memory(side: str, programs: dict[str, Path], plan: Plan) -> Memory:
    """Run the side and the load anew, and look at its memory alone; what was said must have arrived."""
    with _running(side, programs, plan) as (load, relay):
        assert relay.process
        number, empty = plan.sessions, use_of(relay.process)
        _open(load, relay, number)
        time.sleep(plan.ramp)
        idle = use_of(relay.process)
        _talk_in_turn(load, 0, plan)
        talking = use_of(relay.process)
        _open(load, relay, number)
        _talk_in_turn(load, number, plan)
        following = use_of(relay.process)
        _leave(load)
        _insist_on_rows(relay, 2 * number)
    looks = (empty, idle), (empty, talking), (talking, following)
    return Memory(side, *(_each(before, after, number) for before, after in looks))


@contextmanager
def _running(side: str, programs: dict[str, Path], plan: Plan) -> Iterator[tuple[Load, Relay]]:
    """The load, and the side on a core of its own, which has relayed something already."""
    core, others = cores_apart()
    with tempfile.TemporaryDirectory() as name, running_load(programs[PICOWS], others) as load:
        Path(name).chmod(0o755)  # nginx gives up root's rights
        with relaying(side, programs[side], load.port, Path(name)) as relay:
            assert relay.process
            pin(family(relay.process), core)
            _warm_up(load, relay, plan.ramp)
            yield load, relay


def _insist_on_rows(relay: Relay, opened: int) -> None:
    if relay.database_url:
        found = count(relay.database_url, sessions_table)
        insist("sessions by their rows", found, WARM_UP_SESSIONS + opened)


def _talk_in_turn(load: Load, first: int, plan: Plan) -> None:
    """Have as many sessions talk as there are in the plan, from this one on, and some of them at a time."""
    for at in range(first, first + plan.sessions, TALK_AT_ONCE):
        load.talk(min(TALK_AT_ONCE, first + plan.sessions - at), first=at)
        time.sleep(plan.ramp + plan.seconds)


def for_half_a_core(cpu_ms: float, most: int = MOST_SESSIONS) -> int:
    """Return how many sessions take half a core, if one takes so many milliseconds of each second; with a bound."""
    return max(1, round(HALF_A_CORE * 1_000 / max(cpu_ms, HALF_A_CORE * 1_000 / most)))


def _warm_up(load: Load, relay: Relay, ramp: float) -> None:
    _open(load, relay, WARM_UP_SESSIONS)
    load.talk(WARM_UP_SESSIONS)
    time.sleep(ramp)
    _leave(load)


def _memory_and_cpu(side: str, load: Load, relay: Relay, plan: Plan) -> Turn:
    assert relay.process
    number, empty = plan.sessions, use_of(relay.process)
    _open(load, relay, number)
    time.sleep(plan.ramp)
    idle = use_of(relay.process)
    load.talk(number)
    window, talking = _window(load, relay, number, plan)
    turn = Turn(side, window, _each(empty, idle, number), _each(empty, talking, number))
    if plan.profile:
        profile(relay.process, PROFILE_SECONDS, plan.profile)
    if window.share < ROOM:
        _open(load, relay, number)
        load.talk(2 * number)
        time.sleep(plan.ramp + plan.seconds)
        turn.slope_kib = _each(talking, use_of(relay.process), number)
    _leave(load)
    return turn


def _again(load: Load, relay: Relay, sessions: int, plan: Plan) -> Window:
    _open(load, relay, sessions)
    load.talk(sessions)
    window, _ = _window(load, relay, sessions, plan)
    _leave(load)
    return window


def _direct(programs: dict[str, Path], sessions: int, plan: Plan) -> Window:
    _, others = cores_apart()
    with running_load(programs[PICOWS], others) as load:
        return _again(load, Relay(load.model_url), sessions, plan)


def _open(load: Load, relay: Relay, sessions: int) -> None:
    load.callers.order("open", number=sessions, url=relay.url, headers=relay.headers)


def _leave(load: Load) -> None:
    """Count what arrived, then end all sessions."""
    load.hush()
    load.leave()


def _window(load: Load, relay: Relay, sessions: int, plan: Plan) -> tuple[Window, Use]:
    time.sleep(plan.ramp)
    sent = load.mark()
    programs = {name: psutil.Process(pid) for name, pid in load.pids.items()}
    relays = {RELAY: relay.process} if relay.process else {}
    before = uses_of({**programs, **relays, **relay.behind})
    time.sleep(plan.seconds)
    after = uses_of({**programs, **relays, **relay.behind})
    callers, model = load.report()
    pace = (callers["sent"] - sent) / (sessions * FRAMES_A_SECOND * plan.seconds)
    insist(f"the load kept its pace ({pace:.0%})", pace > LEAST_PACE, True)
    shares = {name: round(use.share_since(before[name]), 4) for name, use in after.items()}
    window = Window(
        sessions,
        plan.seconds,
        shares.get(RELAY, 0.0),
        round(sum(shares[name] for name in programs), 4),
        {name: shares[name] for name in relay.behind},
        _latency(model),
        _latency(callers),
    )
    return window, after.get(RELAY, Use(0.0, 0.0, 0.0, 0))


def _latency(report: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {name: report[name] for name in ("p50", "p99", "p999", "max") if name in report}
    insist("latencies were taken", bool(found), True)
    return found


def _each(before: Use, after: Use, sessions: int) -> float:
    return round((after.rss_kib - before.rss_kib) / sessions, 1)
