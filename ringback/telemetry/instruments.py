"""Counters, gauges and histograms that do nothing until the process begins to measure.

A module counts without asking whether metrics are on. `begin` gives each instrument its metric of `prometheus_client`;
before that, and with RINGBACK_METRICS=off, a count is one comparison. No label has more than `MAX_VALUES` values: each
further one counts as `OTHER`, so that names that come from outside cannot fill the memory of Prometheus.
"""

from __future__ import annotations

import atexit
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

import prometheus_client
from prometheus_client import CollectorRegistry, ProcessCollector, multiprocess, values
from prometheus_client.values import MultiProcessValue

from ringback.telemetry.slots import Slots

MAX_VALUES = 100
"""Values of one label of one metric: more tools, queues or reasons than a dashboard can show."""
OTHER = "(other)"
"""Value of a label for all that come after those."""
CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST

Across = Literal["livesum", "livemax", "livemostrecent"]
"""How the values of several processes become one: their sum, their largest, or the one that was set last."""
M = TypeVar("M", prometheus_client.Counter, prometheus_client.Gauge, prometheus_client.Histogram)


class Instrument(ABC, Generic[M]):
    """One metric. `name` is as Prometheus shows it, `labels` are the names of its labels, in order."""

    def __init__(self, name: str, meaning: str, *labels: str) -> None:
        self.name = name
        self.meaning = meaning
        self.labels = labels
        self._metric: M | None = None
        self._series: dict[tuple[str, ...], M] = {}
        self._known: defaultdict[str, set[str]] = defaultdict(set)

    @abstractmethod
    def make(self, registry: CollectorRegistry) -> M:
        """Make the metric, in this registry."""

    def begin(self, registry: CollectorRegistry) -> None:
        """Measure from now on."""
        self._metric, self._series = self.make(registry), {}

    def _of(self, labels: tuple[str, ...]) -> M | None:
        """Return the series with these values of the labels; None while the process does not measure."""
        if self._metric is None:
            return None
        found = self._series.get(labels)
        return found if found is not None else self._new(self._metric, labels)

    def _new(self, metric: M, labels: tuple[str, ...]) -> M:
        bounded = tuple(self._bounded(label, value) for label, value in zip(self.labels, labels, strict=True))
        series = metric.labels(*bounded) if bounded else metric
        if bounded == labels:
            self._series[labels] = series
        return series

    def _bounded(self, label: str, value: str) -> str:
        known = self._known[label]
        if value not in known and len(known) >= MAX_VALUES:
            return OTHER
        known.add(value)
        return value


class Counter(Instrument[prometheus_client.Counter]):
    """Number that only rises. Its name ends with `_total`.

    Args:
        at_zero: values of its one label whose series are there from the beginning. Prometheus sees how much a series
            rises: of one that begins with 1 it does not see that, and an alert would miss the first time.
    """

    def __init__(self, name: str, meaning: str, *labels: str, at_zero: tuple[str, ...] = ()) -> None:
        super().__init__(name, meaning, *labels)
        self.at_zero = at_zero

    def begin(self, registry: CollectorRegistry) -> None:
        """Measure from now on."""
        super().begin(registry)
        for value in self.at_zero:
            self._of((value,))

    def make(self, registry: CollectorRegistry) -> prometheus_client.Counter:
        return prometheus_client.Counter(self.name, self.meaning, self.labels, registry=registry)

    def inc(self, *labels: str, by: float = 1) -> None:
        """Add to the series with these values of the labels."""
        if (series := self._of(labels)) is not None:
            series.inc(by)


class Gauge(Instrument[prometheus_client.Gauge]):
    """Number that rises and falls.

    Args:
        across: how the values of several processes of one command become one.
    """

    def __init__(self, name: str, meaning: str, *labels: str, across: Across) -> None:
        super().__init__(name, meaning, *labels)
        self.across = across

    def make(self, registry: CollectorRegistry) -> prometheus_client.Gauge:
        return prometheus_client.Gauge(
            self.name, self.meaning, self.labels, registry=registry, multiprocess_mode=self.across
        )

    def set(self, value: float, *labels: str) -> None:
        """Set the series with these values of the labels."""
        if (series := self._of(labels)) is not None:
            series.set(value)

    def add(self, change: float, *labels: str) -> None:
        """Raise it, or lower it by a negative change."""
        if (series := self._of(labels)) is not None:
            series.inc(change)


class Histogram(Instrument[prometheus_client.Histogram]):
    """Durations, counted in buckets. Its name ends with `_seconds`.

    Args:
        buckets: upper bounds in seconds.
    """

    def __init__(self, name: str, meaning: str, *labels: str, buckets: tuple[float, ...]) -> None:
        super().__init__(name, meaning, *labels)
        self.buckets = buckets

    def make(self, registry: CollectorRegistry) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(
            self.name, self.meaning, self.labels, buckets=self.buckets, registry=registry
        )

    def observe(self, seconds: float, *labels: str) -> None:
        """Count a duration. One below 0, as between two clocks, counts as 0."""
        if (series := self._of(labels)) is not None:
            series.observe(max(0.0, seconds))


class Exposition:
    """Metrics of this process, and of the processes that share its slots.

    Args:
        instruments: what is measured.
    """

    def __init__(self, instruments: list[Instrument[Any]]) -> None:
        self._instruments = instruments
        self._sources: list[Callable[[], None]] = []
        self._registry: CollectorRegistry | None = None
        self._slots: Slots | None = None

    @property
    def has_begun(self) -> bool:
        """True once this process measures."""
        return self._registry is not None

    def begin(self, *, shared: bool) -> None:
        """Measure from now on. A process that is about to fork says `shared`: its children count with it, as one."""
        if self._registry is not None:
            return
        self._registry = CollectorRegistry()
        # Else each counter has a second series, of which no query makes use.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        if shared:
            self._slots = Slots()
            atexit.register(self.close)
            values.ValueClass = MultiProcessValue(self._slots.number)  # type: ignore[no-untyped-call]
        else:
            ProcessCollector(registry=self._registry)
        for instrument in self._instruments:
            instrument.begin(self._registry)

    def close(self) -> None:
        """Remove the files of this process and its children, once all of them have ended. The maker alone does it."""
        if self._slots is not None:
            self._slots.remove()

    def refreshed_by(self, source: Callable[[], None]) -> None:
        """Call `source` before each scrape, and several times a second: it writes what it has summed up meanwhile."""
        self._sources.append(source)

    def refresh(self) -> None:
        """Have all sources write. Each process does so several times a second: another may be scraped for it."""
        if self._registry is not None:
            for source in self._sources:
                source()

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format. Takes milliseconds, and reads files if there are slots.

        Raises:
            RuntimeError: the process does not measure.
        """
        if self._registry is None:
            raise RuntimeError("metrics are off")
        self.refresh()
        if self._slots is None:
            return prometheus_client.generate_latest(self._registry)
        self._slots.forget_dead()
        shown = CollectorRegistry()
        multiprocess.MultiProcessCollector(shown, str(self._slots.folder))  # type: ignore[no-untyped-call]
        return prometheus_client.generate_latest(shown)
