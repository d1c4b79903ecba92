"""When traces are on: OpenTelemetry's own variables say so, and what cannot work is told in a sentence."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ringback.telemetry.tracing import current_ids, open_tracing, unusable, wanted_endpoint

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
SOMEWHERE = "http://collector.example:4318"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine where none is set, in a folder without a `.env`."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, ""),
        ({ENDPOINT: ""}, ""),
        ({ENDPOINT: SOMEWHERE}, ENDPOINT),
        ({TRACES_ENDPOINT: SOMEWHERE}, TRACES_ENDPOINT),
        ({ENDPOINT: SOMEWHERE, TRACES_ENDPOINT: SOMEWHERE}, TRACES_ENDPOINT),
        ({ENDPOINT: SOMEWHERE, "OTEL_SDK_DISABLED": "True"}, ""),
        ({ENDPOINT: SOMEWHERE, "OTEL_SDK_DISABLED": "false"}, ENDPOINT),
        ({ENDPOINT: SOMEWHERE, "OTEL_TRACES_EXPORTER": "none"}, ""),
        ({"OTEL_SERVICE_NAME": "mine"}, ""),
    ],
)
def test_an_endpoint_turns_traces_on(environment: dict[str, str], wanted: str) -> None:
    assert wanted_endpoint(environment) == wanted


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, ""),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_TRACES_EXPORTER": "otlp"}, ""),
        ({ENDPOINT: "collector:4318"}, "must begin with http://"),
        ({ENDPOINT: "http://[collector:4318"}, "must begin with http://"),
        ({ENDPOINT: "http://collector:43180000"}, "a port from 1 to 65535"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL must be"),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER must be otlp or none"),
    ],
)
def test_what_cannot_work_is_told_in_a_sentence(
    environment: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {ENDPOINT: SOMEWHERE, **environment}
    said = unusable(environment)
    assert words in said
    if words:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with caplog.at_level(logging.WARNING):
            assert open_tracing("test") is None
        assert caplog.messages == [f"traces off: {said}"]


def test_without_the_extra_a_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(ENDPOINT, SOMEWHERE)
    monkeypatch.setitem(sys.modules, "ringback.telemetry.call_spans", None)
    assert open_tracing("test") is None
    assert caplog.messages == [
        f"traces off: {ENDPOINT} is set, and OpenTelemetry is not installed; install ringback[otel]"
    ]


def test_variables_are_read_from_dotenv_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "")
    lines = (f"{ENDPOINT}={SOMEWHERE}", "OTEL_SERVICE_NAME=other", "OTEL_TRACES_SAMPLER_ARG=", "MY=1")
    (tmp_path / ".env").write_text("\n".join([*lines, "OTEL_TRACES_EXPORTER=none"]))
    monkeypatch.setattr(os, "environ", {**os.environ})
    assert open_tracing("test") is None
    found = {name: value for name, value in os.environ.items() if name.startswith("OTEL_") or name == "MY"}
    assert found == {ENDPOINT: SOMEWHERE, "OTEL_SERVICE_NAME": "mine", "OTEL_TRACES_EXPORTER": "none"}


def test_outside_of_a_span_there_are_no_ids() -> None:
    assert current_ids() is None


def test_where_traces_are_off_the_module_imports_nothing_of_opentelemetry() -> None:
    asked = (
        "import sys; from ringback.telemetry.tracing import current_ids, open_tracing;"
        "assert open_tracing('test') is None is current_ids();"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    done = subprocess.run([sys.executable, "-c", asked], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
