"""A process's lease: how long it lasts, when its holder must stop, and what held the holder up. Pure: times come in.

A process that could not renew in time stops by itself, before others take over what it held. Whether *others* are
lost is Postgres' to say: see `ringback.statements.processes.is_steady`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ringback.errors import ConfigurationError

LEASE_SECONDS = 4.0
"""How long a process may be silent before what it held is taken back: a caller waits seconds, not minutes."""
RENEW_SECONDS = 1.0
"""A lease is renewed this often: two renewals may fail before its holder stops."""
MARGIN_SECONDS = 1.0
"""A process that could not renew stops this long before its lease ends: what it needs to stop in."""

HELD_UP_SECONDS = 1.0
"""A clock that is late by more: this process was held up. At a fifth of a core it is late by some tenths."""
SHED_SECONDS = 3.0
"""How long a process that was held up takes nothing new: others are there for it, or what it has comes first."""
BUSY_SHARE = 0.5
"""A process that computed for more than this share of a hold-up held itself up; else it was not given the machine."""
OFTEN_SECONDS = 10.0
"""Hold-ups that follow each other more closely are told as one line in so many seconds."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """How long a lease lasts, how often it is renewed, and how long before its end its holder stops.

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
        """Seconds without a renewal after which the holder stops."""
        return self.seconds - self.margin


@dataclass(slots=True)
class LeaseClock:
    """A process's view of its own lease; times are seconds of a monotonic clock, read before a renewal is sent."""

    renewed_at: float
    times: LeaseTimes = field(default_factory=LeaseTimes)

    def renewed(self, now: float) -> None:
        """Note that a renewal that was sent at `now` has succeeded."""
        self.renewed_at = now

    def must_stop(self, now: float) -> bool:
        """Return True where what is held under this lease may be given to others at any moment."""
        return now - self.renewed_at > self.times.stop_after


@dataclass(slots=True)
class HoldUps:
    """What a clock that should tick every `tick` seconds says of the process it ticks in.

    Args:
        who: as the log names it, such as "the gateway".
        cause: what holds it up where it computes itself, such as "a tool keeps the interpreter to itself".
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
        """Count from here on: what came before the first tick was no hold-up."""
        self.looked, self.cpu = now, cpu

    def ticked(self, now: float, cpu: float) -> str | None:
        """Note a tick, and return a sentence for the log where it came late and none was told for a while."""
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
        """Return the sentence about the last hold-up that was over after that moment; empty where there was none."""
        return self._last if self._shed_until - SHED_SECONDS > moment else ""

    def sheds(self, now: float) -> bool:
        """Return True while this process should take nothing new: it was held up a moment ago."""
        return now < self._shed_until or now - self.looked - self.tick >= HELD_UP_SECONDS
