"""`ringback agents`: check agents' files before a gateway reads them, and list them.

All modules but typer are imported inside functions: `ringback --help` waits for no library.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ringback.agents.agent import Agent

app = typer.Typer(name="agents", help="Check and list agents' files.", no_args_is_help=True)

WRONG = 1
"""The exit code of a check that found an invalid file; a warning does not count."""

Folder = Annotated[
    Path, typer.Argument(help="The folder of the agents' TOML files.", envvar="RINGBACK_AGENTS", show_default=True)
]
HERE = Path("agents")


@app.command("check")
def check_agents(folder: Folder = HERE) -> None:
    """Check each agent's file.

    Prints for each file that it is ok, or what is wrong with it. Warns of tools that neither RINGBACK_TOOL_MODULES nor
    RINGBACK_TOOL_FILES declares, of a webhook or a hosted tool whose secret is not set, and of a default agent that
    does not exist.
    """
    from ringback.agents.agent import files_in, load_agent
    from ringback.errors import ConfigurationError

    paths = files_in(folder)
    tools = _tools()
    wrong = 0
    for path in paths:
        try:
            agent = load_agent(path)
        except ConfigurationError as problem:
            wrong += 1
            typer.echo(str(problem))
            continue
        typer.echo(f"{path}: ok")
        for warning in _warnings(agent, tools):
            typer.echo(f"{path}: warning: {warning}")
    _warn_of_the_default(folder, [path.stem for path in paths])
    if wrong:
        raise typer.Exit(WRONG)


@app.command("list")
def list_agents(folder: Folder = HERE) -> None:
    """List agents, with their models and tools."""
    from rich.text import Text

    from cli.output.tables import console, print_rows, printable
    from ringback.agents.agent import load_agents

    rows = []
    for agent in load_agents(folder).values():
        session = agent.session([])
        voice = (session["audio"].get("output") or {}).get("voice") or "–"
        hosted = [str(tool.get("server_label") or tool["type"]) for tool in agent.hosted_tools]
        columns = {
            "MODEL": agent.model,
            "VOICE": voice if isinstance(voice, str) else voice["id"],
            "SPEAKS": ", ".join(session["output_modalities"]),
            "WEBHOOK": "yes" if agent.webhook else "–",
        }
        rows.append(
            {
                "AGENT": Text(agent.name, no_wrap=True),
                **{head: Text(printable(value), no_wrap=True) for head, value in columns.items()},
                "TOOLS": Text(printable(", ".join((*agent.tools, *hosted)) or "–")),
            }
        )
    print_rows(console(), rows)


def _warnings(agent: Agent, tools: frozenset[str] | None) -> Iterator[str]:
    import os

    from gateway.background.agent_registry import missing_secret

    missing = sorted({name for name in agent.tools if name != "*"} - tools) if tools is not None else []
    if missing:
        yield f"no tool module or tool file declares {', '.join(missing)}; it is offered if a worker serves it"
    if (unset := missing_secret(agent, os.environ)) is not None:
        yield f"{unset}; a gateway without it does not start"


def _tools() -> frozenset[str] | None:
    """Return the names of the declared tools; if they cannot be loaded, say why and return None."""
    from cli.tools.discovery import declared_tools
    from ringback.errors import ConfigurationError

    try:
        return frozenset(declared_tools())
    except ConfigurationError as problem:
        typer.echo(f"ringback: the agents' tools are not checked: {problem}", err=True)
        return None


def _warn_of_the_default(folder: Path, names: Collection[str]) -> None:
    import os

    from gateway.background.agent_registry import default_of
    from ringback.errors import ConfigurationError

    try:
        default_of(names, os.environ.get("RINGBACK_DEFAULT_AGENT"))
    except ConfigurationError as problem:
        typer.echo(f"{folder}: warning: {problem}; no gateway starts so")
