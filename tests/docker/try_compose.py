"""Try docker-compose.yml for real: `.venv/bin/python tests/docker/try_compose.py`. No part of `make test`.

Needs an engine and a few minutes. It builds from what a clone would hold, talks to the stack with the official SDK,
scales, kills and restarts it, looks at what its containers may do, and removes all it made. Exit code 0: all held.
`DOCKER="podman"` names another engine; the variables of .env.example work as ever.
"""

# ruff: noqa: T201 (a program that a person watches)

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
PROJECT = "ringback-try"
PUBLISHED = "127.0.0.1:18080"
TOKEN = "ringback-development"
IMAGES = {"RINGBACK_IMAGE": "ringback-try:app", "RINGBACK_SIMULATOR_IMAGE": "ringback-try:simulator"}
OURS = ("gateway", "worker", "worker-slow", "simulator")
LONG_RUNNING = (*OURS, "postgres", "redis")
SETTLED_SECONDS = 90.0
ENGINE = shlex.split(os.environ.get("DOCKER", "docker"))
MINE = f"label=com.docker.compose.project={PROJECT}"

WRITES = "for place in / /app /opt/ringback; do touch $place/x 2>/dev/null && echo $place; done; id -u"
TOLD = "only-the-build-is-told.invalid"


class Failed(Exception):
    """Something did not hold; the text says what."""


def engine(*words: str) -> str:
    done = subprocess.run([*ENGINE, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{shlex.join([*ENGINE, *words])}: {done.stderr[-2_000:]}")
    return done.stdout


def containers(service: str) -> list[str]:
    return engine("ps", "-q", "--filter", MINE, "--filter", f"label=com.docker.compose.service={service}").split()


def inspected(container: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine("inspect", container))[0]
    return found


def until(what: str, holds: Callable[[], bool]) -> float:
    """Seconds until it held."""
    began = time.monotonic()
    while not _answered(holds):
        if time.monotonic() - began > SETTLED_SECONDS:
            raise Failed(f"not within {SETTLED_SECONDS:.0f} s: {what}")
        time.sleep(0.25)
    return time.monotonic() - began


def _answered(holds: Callable[[], bool]) -> bool:
    """Whether it holds; a gateway that does not answer yet, as on a machine that is busy, says nothing of that."""
    try:
        return holds()
    except httpx.TransportError:
        return False


def healthy() -> bool:
    running = {service: [inspected(one)["State"] for one in containers(service)] for service in LONG_RUNNING}
    return all(running.values()) and all(
        state["Health"]["Status"] == "healthy" for states in running.values() for state in states
    )


def asked(path: str) -> Any:
    answer = httpx.get(f"http://{PUBLISHED}{path}", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=5)
    return answer.raise_for_status().json()["data"]


def live_workers(queue: str) -> int:
    return sum(worker["alive"] and queue in worker["queues"] for worker in asked("/v1/workers"))


class Compose:
    """`docker compose` on the copy of the tree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: str) -> str:
        command = [*ENGINE, "compose", "-p", PROJECT, *words]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"{shlex.join(command)}:\n{done.stdout[-3_000:]}{done.stderr[-3_000:]}")
        return done.stdout


@contextmanager
def a_clone() -> Iterator[Path]:
    """What git tracks or would, and nothing else: no .env, no .venv."""
    listed = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"]
    with tempfile.TemporaryDirectory(prefix="ringback-try-") as folder:
        files = subprocess.run(listed, capture_output=True, check=True).stdout.split(b"\0")
        there = b"\0".join(name for name in files if name and (ROOT / name.decode()).exists())
        pack = ["tar", "-C", str(ROOT), "--null", "-T", "-", "-cf", "-"]
        packed = subprocess.run(pack, input=there, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-C", folder, "-xf", "-"], input=packed, check=True)
        yield Path(folder)


def conversation() -> subprocess.Popen[bytes]:
    script = [sys.executable, str(ROOT / "tests/docker/converse.py"), f"http://{PUBLISHED}", TOKEN]
    return subprocess.Popen(script, env={**os.environ, "PYTHONPATH": str(ROOT)})


def a_conversation(_compose: Compose) -> None:
    if conversation().wait(120):
        raise Failed("the conversation did not go as it should")


def the_doctor_finds_nothing_that_fails(_compose: Compose) -> None:
    for service in ("gateway", "worker"):
        command = [*ENGINE, "exec", containers(service)[0], "ringback", "doctor", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if '"fail"' in done.stdout or not done.stdout:
            raise Failed(f"{service}: the doctor says {done.stdout[-3_000:]}{done.stderr[-1_000:]}")


def what_a_container_may_do(_compose: Compose) -> None:
    for service in OURS:
        container = containers(service)[0]
        said = engine("exec", container, "sh", "-c", WRITES).split()
        if said != ["10001"]:
            raise Failed(f"{service}: may write to, and is user: {said}")
        host = inspected(container)["HostConfig"]
        if host["CapDrop"] != ["ALL"] or host["CapAdd"] or not host["ReadonlyRootfs"]:
            raise Failed(f"{service}: has more rights than it needs: {host}")


def no_secret_in_an_image(_compose: Compose) -> None:
    for image in IMAGES.values():
        kept = engine("history", "--no-trunc", image) + engine("image", "inspect", image)
        if TOLD in kept or TOKEN in kept or "postgresql://" in kept:
            raise Failed(f"{image} holds what it was told at its build, or a development password")


def one_queue_scales_alone(compose: Compose) -> None:
    compose("up", "-d", "--no-build", "--scale", "worker-slow=4")
    until("four workers on the queue slow", lambda: live_workers("slow") == 4)
    if live_workers("default") != 1:
        raise Failed(f"{live_workers('default')} workers on the queue default, not 1")
    until("all healthy", healthy)


def killed_workers_come_back(_compose: Compose) -> None:
    """While one of them runs a call: the call is answered all the same."""
    before = {one: inspected(one)["RestartCount"] for name in ("worker", "worker-slow") for one in containers(name)}
    talking = conversation()
    until("a slow call runs", lambda: any(job["state"] == "running" for job in asked("/v1/jobs?queue=slow")))
    for one in before:
        engine("exec", one, "sh", "-c", "kill -9 -1")  # all but process 1, which then ends as its child did
    until("all restarted", lambda: all(inspected(one)["RestartCount"] > count for one, count in before.items()))
    if talking.wait(120):
        raise Failed("the conversation did not survive its workers")
    until("all healthy", healthy)


def redis_may_restart(compose: Compose) -> None:
    compose("restart", "redis")
    until("all healthy", healthy)
    a_conversation(compose)


def nothing_is_left(compose: Compose) -> None:
    compose("down", "-v", "--remove-orphans")
    for kind in ("volume", "network"):
        if left := engine(kind, "ls", "-q", "--filter", MINE).split():
            raise Failed(f"left behind: {kind} {left}")
    if left := engine("ps", "-aq", "--filter", MINE).split():
        raise Failed(f"left behind: containers {left}")


STEPS = (
    a_conversation,
    the_doctor_finds_nothing_that_fails,
    what_a_container_may_do,
    no_secret_in_an_image,
    one_queue_scales_alone,
    killed_workers_come_back,
    redis_may_restart,
    nothing_is_left,
)


def try_it(compose: Compose) -> None:
    began = time.monotonic()
    compose("build")
    print(f"built in {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    compose("up", "-d")
    until("all healthy", healthy)
    print(f"healthy {time.monotonic() - began:.1f} s after `up`")
    for image in IMAGES.values():
        print(f"{image}: {int(engine('image', 'inspect', '--format', '{{.Size}}', image)) / 1e6:.0f} MB")
    for step in STEPS:
        began = time.monotonic()
        step(compose)
        print(f"ok  {step.__name__.replace('_', ' ')}  ({time.monotonic() - began:.1f} s)", flush=True)


def main() -> int:
    os.environ.update(IMAGES, RINGBACK_PUBLISH=PUBLISHED)
    # Stands for an index with a password in its URL: what the build is told must end up in no image.
    os.environ["PIP_TRUSTED_HOST"] = f"{os.environ.get('PIP_TRUSTED_HOST', '')} {TOLD}".strip()
    with a_clone() as folder:
        compose = Compose(folder)
        try:
            try_it(compose)
        except Failed as problem:
            print(f"failed: {problem}", file=sys.stderr)
            print(compose("logs", "--tail=20"))
            return 1
        finally:
            compose("down", "-v", "--remove-orphans")
            subprocess.run([*ENGINE, "rmi", *IMAGES.values()], capture_output=True, check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
