"""The catalog of metrics: names by Prometheus' conventions, and no label that names a person or grows without bound."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Metric

from ringback.telemetry import metrics
from ringback.telemetry.instruments import MAX_VALUES, OTHER, Counter, Exposition, Gauge, Histogram

LABELS = {
    "code",  # of an error: gateway.errors
    "did",  # what a guard did
    "how",  # new or resumed
    "kind",  # the class of a failure
    "pool",  # gateway, claims, outcomes
    "python",
    "queue",
    "reason",  # why a session or an epoch ended: gateway.close_codes
    "result",  # of a post to a webhook
    "state",
    "to",  # client or model
    "tool",
    "version",
    "what",  # a step of a sweep, or what a guard has found
}
"""Every label there is. None names a user, a tenant, a session or a job: those have no end."""


def test_no_label_names_a_person_or_a_row() -> None:
    assert {label for metric in metrics.ALL.values() for label in metric.labels} == LABELS


@pytest.mark.parametrize("metric", metrics.ALL.values(), ids=lambda metric: metric.name)
def test_a_name_says_what_it_is_by_the_conventions(metric: Any) -> None:
    assert metric.name.startswith("ringback_")
    assert metric.name.endswith("_total") == isinstance(metric, Counter)
    assert metric.name.endswith("_seconds") or not isinstance(metric, Histogram)
    assert metric.meaning.endswith(".")


def test_every_metric_has_a_name_in_the_module() -> None:
    assert len(metrics.ALL) > 30
    assert all(name == metric.name for name, metric in metrics.ALL.items())


def fresh(instrument: Any) -> CollectorRegistry:
    """A registry in which the instrument measures."""
    registry = CollectorRegistry()
    instrument.begin(registry)
    return registry


def shown(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """What a scrape would show, by the values of the labels."""
    families: list[Metric] = list(registry.collect())
    return {
        tuple(sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith(("_created", "_bucket"))
    }


def test_nothing_is_counted_before_the_process_begins_to_measure() -> None:
    calls = Counter("ringback_tried_total", "Tried.", "tool")
    calls.inc("weather")
    registry = fresh(calls)
    assert shown(registry) == {}
    calls.inc("weather")
    calls.inc("weather", by=2)
    assert shown(registry) == {("weather",): 3}


def test_one_value_too_many_of_a_label_counts_as_other() -> None:
    calls = Counter("ringback_tried_total", "Tried.", "tool", "state")
    registry = fresh(calls)
    for number in range(MAX_VALUES + 7):
        calls.inc(f"tool_{number}", "succeeded")
    calls.inc("tool_0", "failed")
    found = shown(registry)
    assert len(found) == MAX_VALUES + 2
    assert found[OTHER, "succeeded"] == 7
    assert found["tool_0", "failed"] == 1


def test_a_gauge_is_set_and_moved() -> None:
    gauge = Gauge("ringback_tried", "Tried.", across="livesum")
    registry = fresh(gauge)
    gauge.set(5)
    gauge.add(-2)
    assert shown(registry) == {(): 3}


def test_a_duration_below_zero_counts_as_none() -> None:
    waits = Histogram("ringback_tried_seconds", "Tried.", buckets=(1.0,))
    registry = fresh(waits)
    waits.observe(-0.5)
    waits.observe(0.5)
    assert registry.get_sample_value("ringback_tried_seconds_sum") == 0.5
    assert registry.get_sample_value("ringback_tried_seconds_count") == 2


def test_what_is_summed_up_is_written_before_each_scrape() -> None:
    gauge = Gauge("ringback_tried", "Tried.", across="livesum")
    exposition = Exposition([gauge])
    exposition.refreshed_by(lambda: gauge.set(7))
    assert not exposition.has_begun
    with pytest.raises(RuntimeError):
        exposition.text()
    exposition.begin(shared=False)
    assert b"ringback_tried 7.0" in exposition.text()


def test_a_tally_tells_only_what_came_since_it_told_last(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, counted = Counter("ringback_f_total", "F.", "to"), Counter("ringback_b_total", "B.", "to")
    monkeypatch.setattr(metrics, "RELAYED_FRAMES", frames)
    monkeypatch.setattr(metrics, "RELAYED_BYTES", counted)
    registry = fresh(frames)
    tally = metrics.Tally("client")
    for _ in range(2):
        tally.frames += 3
        tally.write()
    tally.write()
    assert shown(registry) == {("client",): 6}


def test_a_series_that_an_alert_waits_for_is_there_before_it_rises() -> None:
    counter = Counter("ringback_odd_total", "Odd things.", "what", at_zero=("seen", "unseen"))
    registry = fresh(counter)
    counter.inc("seen")
    assert {labels[0]: value for labels, value in shown(registry).items()} == {"seen": 1, "unseen": 0}
