"""docker-compose.yml, the Dockerfile and .env.example, read without an engine.

tests/docker/try_compose.py runs them; what can go wrong in writing alone is caught here, on every machine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from gateway.background.draining import GOODBYE_SECONDS
from gateway.server.run import SHUTDOWN_SECONDS
from gateway.settings import GatewaySettings
from ringback.config.settings import load
from ringback.errors import ConfigurationError
from tests.collector import VARIABLES as OF_OPENTELEMETRY
from workers.lifecycle.shutdown_policy import HAND_BACK_SECONDS
from workers.settings import WorkerSettings

ROOT = Path(__file__).parents[3]
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
VARIABLE = re.compile(r"(?<!\$)\$(?!\$)\{?(\w+)(:-([^}]*))?\}?")
PRIVILEGED_AT_START = {"postgres", "redis"}
ONE_SHOT = {"migrate"}
TLS = {"RINGBACK_TLS_CERTIFICATE", "RINGBACK_TLS_KEY"}  # a proxy speaks it in front of containers
MOUNTED = {"RINGBACK_AGENTS"}  # the host's folder, where the program looks by itself


def services(env: Mapping[str, str | None] | None = None) -> dict[str, dict[str, Any]]:
    """The services as compose reads them with that .env."""
    given = env or {}
    text = VARIABLE.sub(lambda match: given.get(match[1]) or match[3] or "", COMPOSE)
    found: dict[str, dict[str, Any]] = yaml.safe_load(text)["services"]
    return found


def environment(service: str, env: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """What a container gets: a variable without a value comes from .env, or stays away."""
    declared = services(env)[service]["environment"]
    given = {name: (env or {}).get(name) if value is None else value for name, value in declared.items()}
    return {name: value for name, value in given.items() if value is not None}


def gateway_settings(env: Mapping[str, str | None], monkeypatch: pytest.MonkeyPatch) -> GatewaySettings:
    for field in GatewaySettings.model_fields.values():
        monkeypatch.delenv(str(field.alias), raising=False)
    for name, value in environment("gateway", env).items():
        monkeypatch.setenv(name, value)
    return load(GatewaySettings, _env_file=None)


def filled_in() -> dict[str, str | None]:
    """.env.example after its reader has done as it says."""
    token = "me:a-token-of-my-own"
    return {**dotenv_values(ROOT / ".env.example"), "REALTIME_API_KEY": "sk-mine", "RINGBACK_TOKENS": token}


def grace_of(service: str) -> int:
    return int(SERVICES[service]["stop_grace_period"].removesuffix("s"))


SERVICES = services()
OURS = sorted(set(SERVICES) - PRIVILEGED_AT_START)
LONG_RUNNING = sorted(set(SERVICES) - ONE_SHOT)


def test_every_variable_has_a_default_so_that_no_env_file_is_needed() -> None:
    assert [match[0] for match in VARIABLE.finditer(COMPOSE) if match[2] is None] == []


def test_nothing_stands_in_it_that_only_one_compose_knows() -> None:
    tree = yaml.safe_load(COMPOSE)
    assert {key for key in tree if not key.startswith("x-")} == {"services", "networks", "volumes"}
    modern = {"deploy", "develop", "pull_policy", "profiles", "extends", "env_file", "secrets", "configs", "models"}
    assert {name: modern & set(service) for name, service in SERVICES.items() if modern & set(service)} == {}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_gains_no_rights_and_writes_where_it_is_let(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "user", "pid", "network_mode"} & set(service)
    assert ("cap_add" in service) == (name in PRIVILEGED_AT_START)


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_a_service_that_stays_is_watched_and_started_again(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"]
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_waits_for_what_it_needs_to_be_there(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        wanted = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
        assert how == {"condition": wanted}


@pytest.mark.parametrize("name", ["worker", "worker-slow"])
def test_workers_can_be_scaled(name: str) -> None:
    assert not {"ports", "container_name", "hostname"} & set(SERVICES[name])


def test_only_the_gateway_is_published_and_only_to_this_machine() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "gateway": ["127.0.0.1:8080:8080"]
    }


def test_postgres_and_redis_reach_nobody_outside() -> None:
    assert yaml.safe_load(COMPOSE)["networks"]["stores"] == {"internal": True}
    assert {name: SERVICES[name]["networks"] for name in PRIVILEGED_AT_START} == {
        name: ["stores"] for name in PRIVILEGED_AT_START
    }


def test_each_image_is_built_once() -> None:
    built = [service["image"] for service in SERVICES.values() if "build" in service]
    assert sorted(built) == sorted({SERVICES[name]["image"] for name in OURS})


@pytest.mark.parametrize("name", ["worker", "worker-slow"])
def test_docker_lets_a_worker_finish_draining(name: str) -> None:
    assert grace_of(name) > WorkerSettings.model_fields["drain_seconds"].default + HAND_BACK_SECONDS


def test_docker_lets_a_gateway_finish_draining() -> None:
    drain = GatewaySettings.model_fields["drain_seconds"].default
    assert grace_of("gateway") > drain + GOODBYE_SECONDS + SHUTDOWN_SECONDS


def test_each_setting_of_the_gateway_reaches_it() -> None:
    wanted = {str(field.alias) for field in GatewaySettings.model_fields.values()} - MOUNTED - TLS
    assert set(SERVICES["gateway"]["environment"]) == wanted | OF_OPENTELEMETRY


@pytest.mark.parametrize("name", ["worker", "worker-slow"])
def test_each_setting_of_a_worker_reaches_it_and_a_tool_s_own(name: str) -> None:
    wanted = {str(field.alias) for field in WorkerSettings.model_fields.values()} | {"RINGBACK_ORDER_DELAY"}
    assert set(SERVICES[name]["environment"]) == wanted | OF_OPENTELEMETRY


def test_without_an_env_file_the_gateway_has_settings_that_work(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = gateway_settings({}, monkeypatch)
    assert settings.realtime_provider == "simulator"
    assert list(settings.tokens) == ["demo"]


def test_the_example_turns_it_to_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = gateway_settings(filled_in(), monkeypatch)
    called = settings.target("a-model", "me")
    assert called.url == "wss://api.openai.com/v1/realtime?model=a-model"
    assert called.headers["Authorization"] == "Bearer sk-mine"


@pytest.mark.parametrize("forgotten", ["REALTIME_API_KEY", "RINGBACK_TOKENS"])
def test_the_example_as_it_came_is_refused(forgotten: str, monkeypatch: pytest.MonkeyPatch) -> None:
    example = dotenv_values(ROOT / ".env.example")
    with pytest.raises(ConfigurationError, match=forgotten):
        gateway_settings({**filled_in(), forgotten: example[forgotten]}, monkeypatch)


def test_the_simulator_is_called_where_it_listens() -> None:
    listens = SERVICES["simulator"]["command"]
    port = listens[listens.index("--port") + 1]
    assert SERVICES["gateway"]["environment"]["RINGBACK_SIMULATOR_URL"] == f"ws://simulator:{port}/v1/realtime"
    assert f"127.0.0.1:{port}/healthz" in SERVICES["simulator"]["healthcheck"]["test"][-1]


def test_whatever_the_images_install_is_locked() -> None:
    installs = re.findall(r"pip --python \S+ install (.*?)(?: &&|\n)", DOCKERFILE)
    assert len(installs) >= 5
    assert all("--require-hashes" in words or "--no-index" in words for words in installs)


def test_what_the_build_is_told_stays_in_the_stages_that_no_image_keeps() -> None:
    before, _, kept = DOCKERFILE.partition("\n##### What runs")
    assert "ARG PIP_INDEX_URL" in before
    assert "ARG " not in kept
    assert re.findall(r"^FROM (\S+) AS", kept, re.MULTILINE) == ["${PYTHON_IMAGE}", "runtime", "runtime"]
    assert kept.count("USER 10001:10001") == 2


def test_the_build_sees_what_it_copies_and_no_more() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    allowed = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    sources = re.findall(r"^COPY ((?!--from).*) \S+$", DOCKERFILE, re.MULTILINE)
    copied = {source for words in sources for source in words.split()}
    assert "*" in ignore
    assert {name for name in copied if not any(fnmatch(name, rule) for rule in allowed)} == set()
    assert {rule for rule in allowed if not any(fnmatch(name, rule) for name in copied)} == set()
