"""The dashboard and the alerts that ship name metrics that there are, and each alert has its page for the night."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml
from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Call,
    MatrixSelector,
    ParenExpr,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
)

from ringback.telemetry import metrics
from ringback.telemetry.instruments import Counter, Histogram
from tests.architecture.source_tree import ROOT

BOARD: dict[str, Any] = json.loads((ROOT / "ops/grafana/ringback.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "ops/prometheus/alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
OF_PROMETHEUS = {"up", "job", "instance"}
"""The one metric and the labels that Prometheus itself adds to each scrape."""
INTERVAL = {"$__rate_interval": "1m"}
"""Variables of Grafana that may stand in an expression."""
PARTS = ("- **Means:**", "- **Look at:**", "- **Do:**")


def expressions() -> dict[str, str]:
    """Every PromQL expression that ships, by where it stands."""
    found = {f"alert {rule['alert']}": str(rule["expr"]) for rule in RULES}
    for panel in PANELS:
        found |= {f"panel {panel['title']} {target['refId']}": target["expr"] for target in panel["targets"]}
    return found


def series() -> dict[str, set[str]]:
    """The name of every series that a scrape may show, with its labels."""
    found = {"up": set[str]()}
    for metric in metrics.ALL.values():
        labels = set(metric.labels)
        if isinstance(metric, Histogram):
            found |= {
                f"{metric.name}_bucket": labels | {"le"},
                f"{metric.name}_sum": labels,
                f"{metric.name}_count": labels,
            }
        else:
            found[metric.name] = labels
    return found


def parsed(expression: str) -> Any:
    for variable, value in INTERVAL.items():
        expression = expression.replace(variable, value)
    return promql_parser.parse(expression)


def parts(node: Any) -> Iterator[Any]:
    """An expression and all that it holds."""
    yield node
    match node:
        case BinaryExpr():
            inner = [node.lhs, node.rhs]
        case Call():
            inner = list(node.args)
        case MatrixSelector():
            inner = [node.vector_selector]
        case AggregateExpr() | ParenExpr() | SubqueryExpr() | UnaryExpr():
            inner = [node.expr]
        case _:
            inner = []
    for each in inner:
        yield from parts(each)


def selectors(expression: Any) -> list[tuple[str, Any]]:
    """Each series that an expression names, with its matchers."""
    return [(str(node.name), node.matchers.matchers) for node in parts(expression) if isinstance(node, VectorSelector)]


def unknown_names(expression: str) -> set[str]:
    """Names of metrics and labels in an expression that no process shows. A label must be of a metric beside it."""
    whole, known = parsed(expression), series()
    unknown = {name for name, _ in selectors(whole)} - known.keys()
    for name, matchers in selectors(whole):
        unknown |= {matcher.name for matcher in matchers} - known.get(name, set()) - OF_PROMETHEUS
    for node in parts(whole):
        if isinstance(node, AggregateExpr) and node.modifier is not None:
            there = OF_PROMETHEUS.union(*(known.get(name, set()) for name, _ in selectors(node.expr)))
            unknown |= set(node.modifier.labels) - there
    return unknown


@pytest.mark.parametrize(("where", "expression"), expressions().items(), ids=expressions().keys())
def test_each_expression_parses_and_names_metrics_and_labels_that_there_are(where: str, expression: str) -> None:
    assert unknown_names(expression) == set(), where


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("sum(ringback_sesions)", {"ringback_sesions"}),
        ('rate(ringback_calls_ended_total{sate="failed"}[5m]) > 0', {"sate"}),
        ("sum by (user) (ringback_sessions)", {"user"}),
        ("histogram_quantile(0.9, sum by (le, tool) (rate(ringback_queue_wait_seconds_bucket[5m])))", {"tool"}),
        ("ringback_run_seconds > 1", {"ringback_run_seconds"}),
    ],
)
def test_a_wrong_name_is_found(expression: str, wrong: set[str]) -> None:
    assert unknown_names(expression) == wrong


def test_every_metric_is_on_the_dashboard() -> None:
    targets = [target for panel in PANELS for target in panel["targets"]]
    shown = {name for target in targets for name, _ in selectors(parsed(target["expr"]))}
    told = {re.sub("_(bucket|sum|count)$", "", name) for name in shown}
    assert metrics.ALL.keys() - told == {metrics.CALLS_RECORDED.name, metrics.CALLS_UNRECORDED.name}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    assert len([each for each in PANELS if each["title"] == panel["title"]]) == 1


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_bad_it_is_and_leads_to_its_page(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["for"]
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{rule['alert'].lower()}"
    section = PAGE.partition(f"\n### {rule['alert']}\n")[2].partition("\n### ")[0]
    assert [part for part in PARTS if part not in section] == []
    labels = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    kept = {
        label
        for node in parts(parsed(rule["expr"]))
        if isinstance(node, AggregateExpr) and node.modifier
        for label in node.modifier.labels
    }
    assert labels <= kept | OF_PROMETHEUS


def test_each_page_for_the_night_has_its_alert() -> None:
    assert re.findall(r"^### (\w+)$", PAGE, re.MULTILINE) == [rule["alert"] for rule in RULES]


def test_each_path_in_the_example_of_a_scrape_is_served() -> None:
    jobs = yaml.safe_load((ROOT / "ops/prometheus/prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    found = [config for job in jobs for config in job["dns_sd_configs"]]
    assert {name for config in found for name in config["names"]} <= services.keys()
    ports = {name: config["port"] for config in found for name in config["names"]}
    assert str(ports["gateway"]) == services["gateway"]["environment"]["RINGBACK_PORT"]
    assert str(ports["worker"]) == services["worker"]["environment"]["RINGBACK_METRICS_PORT"]


CASES: list[dict[str, Any]] = [
    case
    for test in yaml.safe_load((ROOT / "ops/prometheus/alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    for case in test["alert_rule_test"]
]


def test_each_alert_is_seen_to_fire() -> None:
    """`promtool test rules ops/prometheus/alerts_test.yml` runs the cases; here none is missing."""
    assert {case["alertname"] for case in CASES if case.get("exp_alerts")} == {rule["alert"] for rule in RULES}


def never_seen_to_rise(rule: dict[str, Any]) -> set[str]:
    """Counters of an alert at once whose first rise Prometheus does not see: their series begin with it."""
    if rule["for"] != "0m":
        return set()
    known = {metric.name: metric for metric in metrics.ALL.values() if isinstance(metric, Counter)}
    counters = {known[name] for name, _ in selectors(parsed(str(rule["expr"]))) if name in known}
    return {counter.name for counter in counters if counter.labels and not counter.at_zero}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_at_once_does_not_miss_the_first_time(rule: dict[str, Any]) -> None:
    assert never_seen_to_rise(rule) == set()


def test_a_counter_that_is_not_there_at_zero_is_found() -> None:
    rule = {"for": "0m", "expr": "increase(ringback_calls_retried_total[5m]) > 0"}
    assert never_seen_to_rise(rule) == {"ringback_calls_retried_total"}
