"""Lease of a process: how long it lasts, when its holder must stop, and what held it up. Pure: times come in.

A process that could not renew in time stops itself, before others take over what it held. Postgres decides whether
*others* are lost: see `ringback.statements.processes.is_steady`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ringback.errors import ConfigurationError

LEASE_SECONDS = 4.0
"""How long a process may be silent before others take back what it held: a caller waits seconds, not minutes."""
RENEW_SECONDS = 1.0
"""Interval of renewals: two may fail before the holder stops."""
MARGIN_SECONDS = 1.0
"""A process that could not renew stops this long before its lease ends: the time that it needs to stop."""

HELD_UP_SECONDS = 1.0
"""A clock that is late by more means that the process was held up. At a fifth of a core it is late by some tenths."""
SHED_SECONDS = 3.0
"""How long a process that was held up takes no new work: other processes take it, or what it holds comes first."""
BUSY_SHARE = 0.5
"""If a process computed for more than this share of a hold-up, it held itself up; else it lacked the CPU."""
OFTEN_SECONDS = 10.0
"""Hold-ups that follow each other more closely are logged as one line in this many seconds."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Durations of a lease: how long it lasts, its renewal interval, and how long before its end its holder stops.

    Raises:
        ConfigurationError: the three do not fit each other.
    """

    seconds: float = LEASE_SECONDS
    renew: float = RENEW_SECONDS
    margin: float = MARGIN_SECONDS

    def __post_init__(self) -> None:
        if self.margin < self.renew:
            raise ConfigurationError(
                f"RINGBACK_LEASE_MARGIN_SECONDS={self.margin:g} must be at least "
                f"RINGBACK_LEASE_RENEW_SECONDS={self.renew:g}: others know of a silence only after a renewal is missed"
            )
        if self.stop_after < 2 * self.renew:
            least = 2 * self.renew + self.margin
            raise ConfigurationError(
                f"RINGBACK_LEASE_SECONDS={self.seconds:g} must be at least {least:g}: twice "
                f"RINGBACK_LEASE_RENEW_SECONDS, as one renewal may fail, and RINGBACK_LEASE_MARGIN_SECONDS"
            )

    @property
    def stop_after(self) -> float:
        """Return the seconds without a renewal after which the holder stops."""
        return self.seconds - self.margin


@dataclass(slots=True)
class LeaseClock:
    """Clock of a process's own lease. Times are seconds of a monotonic clock, read before a renewal is sent."""

    renewed_at: float
    times: LeaseTimes = field(default_factory=LeaseTimes)

    def renewed(self, now: float) -> None:
        """Record that a renewal that was sent at `now` has succeeded."""
        self.renewed_at = now

    def is_silent(self, now: float, seconds: float) -> bool:
        """Return True if it was not renewed for so many seconds."""
        return now - self.renewed_at >= seconds

    def must_stop(self, now: float) -> bool:
        """Return True if others may take over what is held under this lease at any moment."""
        return now - self.renewed_at > self.times.stop_after


@dataclass(slots=True)
class HoldUps:
    """Detector of hold-ups, from a clock that should tick every `tick` seconds.

    Args:
        who: the process as the log names it, such as "the gateway".
        cause: what holds it up if it computes, such as "a tool keeps the interpreter to itself".
        tick: seconds between two ticks.
        looked: when it was made, by a monotonic clock.
        cpu: seconds that this process had computed by then.
    """

    who: str
    cause: str
    tick: float
    looked: float
    cpu: float = 0.0
    _shed_until: float = field(default=-1.0, init=False)
    _told: float = field(default=float("-inf"), init=False)
    _last: str = field(default="", init=False)

    def begin(self, now: float, cpu: float) -> None:
        """Count from here on: a delay before the first tick is no hold-up."""
        self.looked, self.cpu = now, cpu

    def ticked(self, now: float, cpu: float) -> str | None:
        """Record a tick. Returns a sentence for the log if it came late and none was logged for a while."""
        late, computed = now - self.looked - self.tick, cpu - self.cpu
        self.begin(now, cpu)
        if late < HELD_UP_SECONDS:
            return None
        self._shed_until = now + SHED_SECONDS
        is_own = computed > BUSY_SHARE * late
        cause = self.cause if is_own else "it was paused, or the machine is short of CPU"
        self._last = f"{self.who} was held up for {late:.1f} s, and computed for {computed:.1f} s of them: {cause}"
        if now - self._told < OFTEN_SECONDS:
            return None
        self._told = now
        return f"{self._last}; it takes nothing new for {SHED_SECONDS:g} s"

    def since(self, moment: float) -> str:
        """Return the sentence about the last hold-up if it ended after that moment; else an empty string."""
        return self._last if self._shed_until - SHED_SECONDS > moment else ""

    def sheds(self, now: float) -> bool:
        """Return True while this process should take no new work, because it was just held up."""
        return now < self._shed_until or now - self.looked - self.tick >= HELD_UP_SECONDS
