"""`ringback agents`: check agents' files before a gateway reads them, and list them.

All modules but typer are imported inside functions: `ringback --help` waits for no library.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output.history_queries import AsJson, listing, print_json

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
def check_agents(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """Check each agent's file.

    Prints for each file that it is ok, or what is wrong with it. Warns of tools that neither RINGBACK_TOOL_MODULES nor
    RINGBACK_TOOL_FILES declares, of a webhook or a hosted tool whose secret is not set, and of a default agent that
    does not exist.
    """
    from ringback.agents.agent import files_in, load_agent
    from ringback.errors import ConfigurationError

    paths = files_in(folder)
    tools = _tools()
    checked: list[dict[str, Any]] = []
    for path in paths:
        try:
            agent = load_agent(path)
        except ConfigurationError as problem:
            checked.append({"file": str(path), "problem": str(problem), "warnings": []})
        else:
            checked.append({"file": str(path), "problem": None, "warnings": list(_warnings(agent, tools))})
    of_all = _warnings_of_the_default([path.stem for path in paths])
    if as_json:
        print_json({**listing(checked), "warnings": of_all})
    else:
        _print_checked(folder, checked, of_all)
    if any(each["problem"] for each in checked):
        raise typer.Exit(WRONG)


@app.command("list")
def list_agents(folder: Folder = HERE, as_json: AsJson = False) -> None:
    """List agents, with their models and tools."""
    from rich.text import Text

    from cli.output.tables import console, print_rows, printable
    from ringback.agents.agent import load_agents

    agents = [_document(agent) for agent in load_agents(folder).values()]
    if as_json:
        return print_json(listing(agents))
    rows = []
    for agent in agents:
        columns = {
            "MODEL": agent["model"],
            "VOICE": agent["voice"] or "–",
            "SPEAKS": ", ".join(agent["output_modalities"]),
            "WEBHOOK": "yes" if agent["webhook"] else "–",
        }
        rows.append(
            {
                "AGENT": Text(agent["name"], no_wrap=True),
                **{head: Text(printable(value), no_wrap=True) for head, value in columns.items()},
                "TOOLS": Text(printable(", ".join((*agent["tools"], *agent["hosted_tools"])) or "–")),
            }
        )
    return print_rows(console(), rows)


def _document(agent: Agent) -> dict[str, Any]:
    """Return what a list says of an agent; `voice` None: the model's own."""
    session = agent.session([])
    voice = (session["audio"].get("output") or {}).get("voice")
    return {
        "object": "agent",
        "name": agent.name,
        "model": agent.model,
        "voice": voice["id"] if isinstance(voice, dict) else voice,
        "output_modalities": session["output_modalities"],
        "webhook": agent.webhook is not None,
        "tools": list(agent.tools),
        "hosted_tools": [str(tool.get("server_label") or tool["type"]) for tool in agent.hosted_tools],
    }


def _print_checked(folder: Path, checked: Sequence[dict[str, Any]], of_all: Sequence[str]) -> None:
    """Print a line for each file, then what concerns them all."""
    for each in checked:
        typer.echo(each["problem"] or f"{each['file']}: ok")
        for warning in each["warnings"]:
            typer.echo(f"{each['file']}: warning: {warning}")
    for warning in of_all:
        typer.echo(f"{folder}: warning: {warning}")


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


def _warnings_of_the_default(names: Collection[str]) -> list[str]:
    import os

    from gateway.background.agent_registry import default_of
    from ringback.errors import ConfigurationError

    try:
        default_of(names, os.environ.get("RINGBACK_DEFAULT_AGENT"))
    except ConfigurationError as problem:
        return [f"{problem}; no gateway starts so"]
    return []
