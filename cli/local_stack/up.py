"""`ringback up`: runs the whole stack on this machine until Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import NoReturn

from rich.console import Console

from cli.local_stack.backoff import Backoff
from cli.local_stack.embedded_servers import default_folder
from cli.local_stack.page.stack_control import Moments, StackControl, listening
from cli.local_stack.process_group import ProcessError, ProcessGroup
from cli.local_stack.reload import reload_tools
from cli.local_stack.signals import SignalWatch
from cli.local_stack.stack import Stack, agents_folder, running_stack

# The gateway's settings for which `running_stack` has its own defaults.
CHOICES = ("RINGBACK_AGENTS", "REALTIME_PROVIDER", "REALTIME_URL")

WELCOME = """
[bold]Ringback is up.[/bold] Talk to it with your microphone, in a browser on this machine:

  {page}

Or as to the Realtime API:

  export RINGBACK_URL={url} RINGBACK_TOKEN={token}

Its base URL for an SDK is {url}/v1. See its calls in the console (this link signs in once, within an hour):

  {console}

Or from another terminal:

  export DATABASE_URL='{database_url}'
  {ringback} jobs list

Add a worker with your own tools, and allow them in an agent's file in {agents} (docs/how-to/add-a-tool.md):

  export REDIS_URL='{redis_url}' RINGBACK_TOOL_MODULES=my_tools
  {ringback} worker

{more}Ctrl-C ends all processes. The data, the token and the ports stay in {folder}.
"""

WITH_TLS = """It speaks TLS with a certificate that it signed itself. Have your client trust it:

  export NODE_EXTRA_CA_CERTS={certificate}    # Node
  export SSL_CERT_FILE={certificate}          # Python

"""
WITHOUT_TLS = """A client that insists on TLS, as openai for Node does, needs `{ringback} up --tls`.

"""

PHONE = """Call it by phone, at a number of an agent's file (docs/how-to/take-phone-calls.md):

  {ringback} simulator phone --simulator {simulator} --webhook {url}/webhooks/openai --secret {secret} --to +18005551212

"""

UNOFFERED = """[yellow]No agent allows {tools}[/yellow]: add it to `tools` in an agent's file in {agents}.
"""


def run(folder: Path | None, port: int, *, tls: bool = False, watch: bool = False) -> int:
    """Run until a signal comes, or a process that ended cannot be started again; return the exit code.

    Args:
        folder: of the data; None: `default_folder()`.
        port: the gateway's; 0 takes a free one.
        tls: the gateway speaks TLS.
        watch: a new worker starts when a tool's file changes.
    """
    SignalWatch().install()
    console = Console()
    home = folder or default_folder()
    provider = os.environ.get("REALTIME_PROVIDER", "simulator")
    try:
        # If REALTIME_URL names a simulator that already runs, no other one is started.
        simulate = provider == "simulator" and "REALTIME_URL" not in os.environ
        with running_stack(home, port=port, settings=_given(), simulate=simulate, tls=tls, has_page=True) as stack:
            moments = Moments()
            with listening(StackControl(stack, moments), stack.page_socket):
                console.print(_welcome(stack, home, has_simulator=simulate), highlight=False, soft_wrap=True)
                if unoffered := stack.unoffered():
                    console.print(UNOFFERED.format(tools=", ".join(unoffered), agents=_agents()))
                if watch:
                    reload_tools(stack, lambda sentence: console.print(sentence, highlight=False, soft_wrap=True))
                outlast(stack.processes, lambda sentence: console.print(f"[yellow]{sentence}[/yellow]"), moments.note)
    except ProcessError as problem:
        console.print(f"[red]{problem}[/red]", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 0


def outlast(
    processes: ProcessGroup,
    tell: Callable[[str], None],
    note: Callable[[str, str], None] = lambda process, what: None,
    wait: Callable[[float], None] = sleep,
) -> NoReturn:
    """Start each process again that ends, for ever: at once if it was killed, else after a pause.

    Args:
        processes: started ones.
        tell: takes a sentence for the person at the terminal.
        note: takes a process' name and what happened to it, for the page.
        wait: takes the seconds of a pause.

    Raises:
        ProcessError: a restarted process did not get ready.
    """
    began = monotonic()
    backoffs: defaultdict[str, Backoff] = defaultdict(lambda: Backoff(began))
    while True:
        ended = processes.wait()
        backoff = backoffs[ended.name]
        pause = backoff.pause(monotonic(), killed=ended.returncode == -signal.SIGKILL)
        sentence = f"{ended}: starting it again {f'in {pause:g} s' if pause else 'at once'}"
        note(ended.name, sentence)
        tell(sentence)
        wait(pause)
        pid = processes.restart(ended.name)
        backoff.started = monotonic()
        note(ended.name, f"{ended.name} is back, as process {pid}")


def _welcome(stack: Stack, home: Path, *, has_simulator: bool) -> str:
    ringback = Path(sys.executable).with_name("ringback")
    certificate = stack.certificate and stack.certificate.certificate
    more = WITH_TLS.format(certificate=certificate) if certificate else WITHOUT_TLS.format(ringback=ringback)
    if has_simulator and not certificate and "OPENAI_WEBHOOK_SECRET" in os.environ:
        simulator, secret = stack.simulator_url.removesuffix("/v1/realtime"), '"${OPENAI_WEBHOOK_SECRET%%,*}"'
        more += PHONE.format(ringback=ringback, simulator=simulator, url=stack.url, secret=secret)
    return WELCOME.format(
        more=more,
        url=stack.url,
        page=stack.page_link,
        console=stack.console_link(),
        token=stack.token,
        database_url=stack.database_url,
        redis_url=stack.redis_url,
        agents=_agents(),
        ringback=ringback,
        folder=home,
    )


def _agents() -> str:
    return os.environ.get("RINGBACK_AGENTS") or str(agents_folder())


def _given() -> dict[str, str]:
    """Return the gateway's settings of the environment, which override the stack's defaults."""
    return {name: os.environ[name] for name in CHOICES if name in os.environ}
