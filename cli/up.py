"""`ringback up`: the whole stack on this machine until Ctrl-C."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console

from cli.embedded import default_folder
from cli.main import end_on_sigterm
from cli.processes import ProcessError
from cli.stack import Stack, running_stack

# The settings of the gateway that `running_stack` has a value of its own for.
CHOICES = ("RINGBACK_AGENTS", "REALTIME_PROVIDER", "REALTIME_URL")

WELCOME = """
[bold]Ringback is up.[/bold] Talk to it as to the Realtime API:

  base URL   {url}/v1
  token      {token}

Look at what it did, from another terminal:

  export DATABASE_URL='{database_url}'
  ringback jobs list

Add a worker of your own, with your tools:

  export REDIS_URL='{redis_url}' RINGBACK_TOOL_MODULES=my_tools
  ringback worker

Ctrl-C ends everything. The data stays in {folder}.
"""


def run(folder: Path | None, port: int) -> int:
    """Run until a signal comes or a process ends unasked; returns the exit code."""
    end_on_sigterm()
    console = Console()
    home = folder or default_folder()
    provider = os.environ.get("REALTIME_PROVIDER", "simulator")
    try:
        with running_stack(home, port=port, settings=_given(), simulate=provider == "simulator") as stack:
            console.print(_welcome(stack, home), highlight=False, soft_wrap=True)
            ended = stack.processes.wait()
            console.print(f"[red]{ended}[/red]; everything else ends with it.")
            return 1
    except ProcessError as problem:
        console.print(f"[red]{problem}[/red]", highlight=False)
        return 1
    except KeyboardInterrupt:
        return 0


def _welcome(stack: Stack, home: Path) -> str:
    return WELCOME.format(
        url=stack.url, token=stack.token, database_url=stack.database_url, redis_url=stack.redis_url, folder=home
    )


def _given() -> dict[str, str]:
    """What the person set for the gateway wins over what the stack would choose."""
    return {name: os.environ[name] for name in CHOICES if name in os.environ}
