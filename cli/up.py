"""`ringback up`: the whole stack on this machine until Ctrl-C."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from cli.embedded import default_folder
from cli.main import end_on_sigterm
from cli.processes import ProcessError
from cli.stack import Stack, running_stack

WELCOME = """
[bold]Ringback is up.[/bold] Talk to it as to the Realtime API:

  base URL   {url}/v1
  token      {token}

Look at what it did, from another terminal:

  export DATABASE_URL='{database_url}'
  ringback jobs list

Ctrl-C ends everything. The data stays in {folder}.
"""


def run(folder: Path | None, port: int) -> int:
    """Run until a signal comes or a process ends unasked; returns the exit code."""
    end_on_sigterm()
    console = Console()
    home = folder or default_folder()
    try:
        with running_stack(home, port=port) as stack:
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
    return WELCOME.format(url=stack.url, token=stack.token, database_url=stack.database_url, folder=home)
