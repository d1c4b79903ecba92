"""`ringback up`: the whole stack on this machine until Ctrl-C."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rich.console import Console

from cli.embedded import default_folder
from cli.interrupts import Interrupts
from cli.processes import ProcessError
from cli.stack import Stack, agents_folder, running_stack

# The settings of the gateway that `running_stack` has a value of its own for.
CHOICES = ("RINGBACK_AGENTS", "REALTIME_PROVIDER", "REALTIME_URL")

WELCOME = """
[bold]Ringback is up.[/bold] Talk to it as to the Realtime API:

  export RINGBACK_URL={url} RINGBACK_TOKEN={token}

Its base URL for an SDK is {url}/v1. Look at what it did, from another terminal:

  export DATABASE_URL='{database_url}'
  {ringback} jobs list

Add a worker with your own tools, and allow them in an agent's file in {agents} (docs/how-to/add-a-tool.md):

  export REDIS_URL='{redis_url}' RINGBACK_TOOL_MODULES=my_tools
  {ringback} worker

Ctrl-C ends everything. The data stays in {folder}.
"""


def run(folder: Path | None, port: int) -> int:
    """Run until a signal comes or a process ends unasked; returns the exit code."""
    Interrupts().install()
    console = Console()
    home = folder or default_folder()
    provider = os.environ.get("REALTIME_PROVIDER", "simulator")
    try:
        # A simulator of one's own, with a scenario of one's own, is an address: no other one is started then.
        simulate = provider == "simulator" and "REALTIME_URL" not in os.environ
        with running_stack(home, port=port, settings=_given(), simulate=simulate) as stack:
            console.print(_welcome(stack, home), highlight=False, soft_wrap=True)
            ended = stack.processes.wait()
            console.print(f"[red]{ended}[/red]; everything else ends with it.")
            return 1
    except ProcessError as problem:
        console.print(f"[red]{problem}[/red]", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 0


def _welcome(stack: Stack, home: Path) -> str:
    return WELCOME.format(
        url=stack.url,
        token=stack.token,
        database_url=stack.database_url,
        redis_url=stack.redis_url,
        agents=os.environ.get("RINGBACK_AGENTS") or agents_folder(),
        ringback=Path(sys.executable).with_name("ringback"),
        folder=home,
    )


def _given() -> dict[str, str]:
    """What the person set for the gateway wins over what the stack would choose."""
    return {name: os.environ[name] for name in CHOICES if name in os.environ}
