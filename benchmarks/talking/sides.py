"""The sides: the gateway with all that stands behind it, the floors, and other proxies, before the same model."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.measuring.process_use import stack_processes
from benchmarks.measuring.raw_lines import ROOT
from benchmarks.peers_side_by_side.venvs import PINNED, available
from benchmarks.talking.programs import PATH
from cli.local_stack.process_group import Process, ProcessGroup, free_port
from cli.local_stack.saved_stack import is_free
from cli.local_stack.stack import running_stack

OURS = "ringback"
RECORDED = "ringback-recorded"
"""The same with an agent that has both voices recorded: run if it is asked for."""
FASTAPI, PICOWS, LITELLM, NGINX = "fastapi", "picows", "litellm", "nginx"
RELAYS = (OURS, FASTAPI, PICOWS, LITELLM, NGINX)
SIDES = (*RELAYS, RECORDED)
TITLES = {
    OURS: "ringback gateway",
    RECORDED: "ringback gateway, both voices recorded",
    FASTAPI: "FastAPI + websockets, blind",
    PICOWS: "picows, blind",
    LITELLM: "LiteLLM proxy",
    NGINX: "nginx, blind",
}
NO_LOAD = "the load needs picows: let pip reach an index, or give a folder that has it with --venvs"
LITELLM_KEY = "sk-bench"
LITELLM_CONFIG = """
model_list:
  - model_name: gpt-realtime
    litellm_params: {{model: openai/gpt-realtime, api_key: x, api_base: "http://127.0.0.1:{upstream}/v1"}}
    model_info: {{mode: realtime}}
general_settings: {{master_key: {key}}}
"""
NGINX_CONFIG = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location /healthz {{ return 200; }}
    location / {{
      proxy_pass http://127.0.0.1:{upstream}; proxy_http_version 1.1; proxy_read_timeout 1h; proxy_buffering off;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    }}
  }}
}}
"""
AGENT = """
instructions = "Talk about the weather."
tools = ["nothing"]
max_calls_per_minute = 10000
"""
SETTINGS = {
    "RINGBACK_TOOL_MODULES": "benchmarks.talking.tools",
    "RINGBACK_SESSIONS_PER_USER": "10000",
    "RINGBACK_MAX_SESSIONS": "10000",
    "PYTHONPATH": str(ROOT),
}


@dataclass(frozen=True)
class Relay:
    """A side that runs.

    Args:
        process: what relays; None where the callers reach the model directly.
        behind: what else the side needs, by name.
    """

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    process: psutil.Process | None = None
    behind: dict[str, psutil.Process] = field(default_factory=dict)
    database_url: str = ""


def pythons(folder: Path, names: list[str]) -> dict[str, Path]:
    """The Python of each side that can run here; the others are told on standard error."""
    found = dict.fromkeys((OURS, RECORDED, FASTAPI), Path(sys.executable))
    found |= available(folder, [PICOWS, *(name for name in names if name == LITELLM)])
    if nginx := shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"):
        found[NGINX] = Path(nginx)
    elif NGINX in names:
        print("nginx is not installed here: it is left out of this run", file=sys.stderr)
    return found


def versions(programs: dict[str, Path]) -> dict[str, str]:
    """Versions of what is not installed beside the product."""
    told = {name: PINNED[name][0].rpartition("==")[2] for name in (PICOWS, LITELLM) if name in programs}
    if NGINX in programs:
        said = subprocess.run([programs[NGINX], "-v"], capture_output=True, text=True, check=True).stderr
        told[NGINX] = said.strip().rpartition("/")[2]
    return told


@contextmanager
def relaying(side: str, program: Path, upstream: int, folder: Path) -> Iterator[Relay]:
    """Run this side in front of the model at this port while the context lasts."""
    if side in (OURS, RECORDED):
        with _ringback(upstream, folder, AGENT + ("recording = true\n" if side == RECORDED else "")) as relay:
            yield relay
        return
    port, headers = free_port(), {}
    url = f"ws://127.0.0.1:{upstream}{PATH}"
    words: list[str | Path] = [program, ROOT / "benchmarks" / "talking" / "relays" / f"{side}_relay.py", str(port), url]
    ready: str | Callable[[], bool] = f"http://127.0.0.1:{port}/healthz"
    if side == PICOWS:
        ready = lambda: not is_free(port)  # noqa: E731 - it has no page of its own that could be asked for
    elif side == LITELLM:
        config = folder / "litellm.yaml"
        config.write_text(LITELLM_CONFIG.format(upstream=upstream, key=LITELLM_KEY))
        words = [program.with_name("litellm"), "--config", config, "--host", "127.0.0.1", "--port", str(port)]
        headers = {"Authorization": f"Bearer {LITELLM_KEY}"}
        ready = f"http://127.0.0.1:{port}/health/liveliness"
    elif side == NGINX:
        config = folder / "nginx.conf"
        config.write_text(NGINX_CONFIG.format(folder=folder, port=port, upstream=upstream))
        words = [program, "-c", config, "-p", folder]
    with ProcessGroup() as group:
        env = {"LITELLM_LOG": "ERROR", "NO_DOCS": "True"}
        pid = group.start(Process(side, words, env, folder / f"{side}.log", ready=ready, ready_seconds=90))
        yield Relay(f"ws://127.0.0.1:{port}{PATH}", headers, psutil.Process(pid))


@contextmanager
def _ringback(upstream: int, folder: Path, agent: str) -> Iterator[Relay]:
    (folder / "demo.toml").write_text(agent)
    settings = {
        **SETTINGS,
        "RINGBACK_AGENTS": str(folder),
        "REALTIME_URL": f"ws://127.0.0.1:{upstream}/v1/realtime",
    }
    with running_stack(logs=folder, settings=settings, simulate=False) as stack:
        processes = stack_processes(stack)
        gateway = processes.pop("gateway")
        url = stack.url.replace("http", "ws", 1) + PATH
        yield Relay(url, {"Authorization": f"Bearer {stack.token}"}, gateway, processes, stack.database_url)
