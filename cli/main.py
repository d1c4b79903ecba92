"""The `ringback` command. Wrong input is answered by one sentence on stderr and exit code 2."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from typer.exceptions import TyperException

from cli import agents, jobs, sessions, tenants, tokens, users
from cli.tools import commands
from cli.usage import usage
from ringback.config import logs
from ringback.errors import ConfigurationError

app = typer.Typer(
    name="ringback",
    help="Run functions for voice models: a gateway holds the conversations, workers run the tools.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(jobs.app, name="jobs", help="What was asked for, and what became of it.")
app.add_typer(sessions.app, name="sessions", help="The conversations.")
app.add_typer(tokens.app, name="token", help="Who may call: API keys, and tokens for the settings.")
app.add_typer(users.app, name="users", help="Sign somebody out.")
app.add_typer(tenants.app, name="tenants", help="What each tenant may use.")
app.command("usage")(usage)
app.add_typer(agents.app, name="agents", help="Who the model is in a conversation.")
app.add_typer(commands.app, name="tools", help="What can be called; one called by hand.")


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version
        from platform import platform, python_version

        typer.echo(f"ringback {version('ringback')} (Python {python_version()}, {platform(terse=True)})")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version, and exit.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """Options of every command."""


PROBLEMS = 1
"""The exit code of `check` if a setting must be changed first."""
# Libraries that tell of every request: a health check every few seconds is no news.
TALKATIVE = ("alembic", "httpx", "watchfiles", "websockets")


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Where the spoken answer goes, as WAV.")] = Path("demo-answer.wav"),
) -> None:
    """Show a call going all the way round.

    On this machine, with nothing installed and no key: it starts the whole stack, talks to it, and ends it.
    """
    from cli.local_stack.demo import run

    raise SystemExit(run(output))


@app.command()
def up(
    folder: Annotated[Path | None, typer.Option(help="Where the data is kept between runs.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The gateway's port; 0 takes a free one.")] = 8080,
    tls: Annotated[bool, typer.Option("--tls", help="Speak TLS, with a certificate made here.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Load tools anew when their files change.")] = False,
) -> None:
    """Keep the whole stack running here.

    Postgres, Valkey, a gateway and a worker, until Ctrl-C; with the simulated Realtime API, or with the provider that
    REALTIME_PROVIDER and REALTIME_API_KEY name. The token and the ports stay the same from one start to the next.
    Agents' files are read anew when they change, with or without --watch.
    """
    from cli.local_stack.up import run

    raise SystemExit(run(folder, port, tls=tls, watch=watch))


@app.command()
def gateway() -> None:
    """Run a gateway. Settings come from the environment and .env; see .env.example."""
    from gateway.server.run import serve
    from gateway.settings import GatewaySettings
    from ringback.config.settings import load

    serve(load(GatewaySettings))


@app.command()
def worker(
    queues: Annotated[
        str | None, typer.Option(help="The queues to serve, such as default,slow; all its tools' unless given.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, max=1_000, help="Calls it runs at once.")] = None,
    pool: Annotated[
        Literal["threads", "prefork"],
        typer.Option(
            help="threads for tools that wait; prefork, a process for each call, for those that compute or hang."
        ),
    ] = "threads",
) -> None:
    """Run a worker.

    The same as `celery -A workers.app worker -Q … -P …`.
    """
    from workers.command import run

    names = [name.strip() for name in queues.split(",") if name.strip()] if queues is not None else None
    if names == []:
        raise ConfigurationError("--queues names no queue: give one or more, such as --queues default,slow")
    raise SystemExit(run(queues=names, concurrency=concurrency, pool=pool))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def simulator(context: typer.Context) -> None:
    """Run a Realtime API that needs no key. `ringback simulator --help` lists its options."""
    from simulator.__main__ import main as simulate

    raise SystemExit(simulate(context.args))


@app.command()
def migrate(
    down_to: Annotated[
        str | None, typer.Option(help="Go down to this revision instead; base drops every table.", metavar="REVISION")
    ] = None,
) -> None:
    """Bring the database up to date.

    It is the one at DATABASE_URL.
    """
    from alembic.util import CommandError
    from sqlalchemy.exc import DBAPIError

    from ringback.config.settings import Database, load
    from ringback.postgres import migrate as migrating

    url = load(Database).database_url
    try:
        if down_to is None:
            migrating.upgrade(url)
        else:
            migrating.downgrade(url, down_to)
        revision = migrating.revision(url)
    except CommandError as problem:
        raise ConfigurationError(f"--down-to {down_to} is no revision below the database's: {problem}") from None
    except DBAPIError as problem:
        _fail(1, f"the database at DATABASE_URL cannot be used: {str(problem.orig).strip().splitlines()[0]}")
    typer.echo(f"The database is at {revision}." if revision else "The database holds no table of ringback's.")


@app.command()
def check() -> None:
    """Say what stands against production.

    Each thing in one sentence; exit code 1 where there is any. With RINGBACK_MODE=production, a gateway or a worker
    does not start then.
    """
    from gateway.production_checks import facts_of, refuse_a_cluster
    from gateway.settings import GatewaySettings
    from ringback.config.production import complaints
    from ringback.config.settings import load

    settings = load(GatewaySettings)
    refuse_a_cluster(settings.redis_url)
    facts = facts_of(settings)
    found = complaints(facts)
    if facts.redis_is_open is None:
        typer.echo("Redis does not answer: whether it lets in clients without a password is not known.", err=True)
    for sentence in found:
        typer.echo(f"- {sentence}")
    if found:
        raise typer.Exit(PROBLEMS)
    said = "" if settings.mode == "production" else " RINGBACK_MODE=production makes it the rule."
    typer.echo(f"Nothing stands against production.{said}")


@app.command("data-key")
def data_key() -> None:
    """Print a new key for RINGBACK_DATA_KEY.

    With it, what is redacted in the rows is kept encrypted for those who need it.
    """
    from ringback.privacy.encryption import new_key

    typer.echo(new_key())


@app.command("new-tool")
def new_tool(
    name: Annotated[str, typer.Argument(help="The function's name, such as order_status.")],
    folder: Annotated[Path, typer.Option(help="Where both files go; made if it is not there.")] = Path(),
) -> None:
    """Write a tool and its test.

    Two files, NAME.py and test_NAME.py, which run as they are; nothing is overwritten.
    """
    from cli.tools.scaffold import write

    typer.echo(write(name, folder))


def main() -> None:
    """The entry point: every expected error is one sentence."""
    sys.argv[0] = "ringback"  # Whichever way we were started, usage and errors name the command that people type.
    logs.configure()
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        raise SystemExit(app(sys.argv[1:] or ["--help"], prog_name="ringback", standalone_mode=False))
    except ConfigurationError as problem:
        _fail(2, str(problem))
    except typer.Abort:
        _fail(1, "nothing was done, as nobody said yes")
    except TyperException as problem:
        context = getattr(problem, "ctx", None)
        command = context.command_path if context else "ringback"
        said = problem.format_message().rstrip(".")
        _fail(problem.exit_code, f"{said}{'' if said.endswith('?') else '.'} See `{command} --help`.")


def _fail(code: int, sentence: str) -> NoReturn:
    print(f"ringback: {logs.masked(sentence)}", file=sys.stderr)
    raise SystemExit(code)
