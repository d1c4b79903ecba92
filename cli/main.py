"""The `ringback` command. Wrong input gets one sentence on stderr and exit code 2."""

from __future__ import annotations

import atexit
import gc
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer
from typer.exceptions import TyperException
from typer.main import get_command_name
from typer.models import CommandInfo

from cli.output.history_queries import AsJson, print_json
from ringback.config import logs
from ringback.config.setting_names import insist_on_readable_dotenv
from ringback.errors import ConfigurationError

app = typer.Typer()
"""The commands of this module. `program` adds those of others."""
GROUPS = ("jobs", "sessions", "token", "users", "tenants", "queues", "agents", "tools")
ALONE = ("usage", "workers", "audit", "doctor", "top")
"""First words of the commands that other modules hold: groups, and commands without words below them."""


def program(word: str = "") -> typer.Typer:
    """Return the command that this first word names, or all of them for help, completion and a word that names none.

    So a command waits for no other command's modules.
    """
    found = typer.Typer(
        name="ringback",
        help="Run functions for voice models: a gateway holds the conversations, workers run the tools.",
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    found.callback()(options)
    own = {_name_of(command): command for command in app.registered_commands}
    every = (*ALONE, *own, *GROUPS)
    for name in (word,) if word in every else every:
        if name in own:
            found.registered_commands.append(own[name])
        elif name in ALONE:
            found.command(name)(_alone(name))
        else:
            found.add_typer(_group(name))
    return found


def _name_of(command: CommandInfo) -> str:
    return command.name or (get_command_name(command.callback.__name__) if command.callback else "")


def _group(name: str) -> typer.Typer:
    match name:
        case "jobs":
            from cli.jobs import app
        case "sessions":
            from cli.sessions import app
        case "token":
            from cli.tokens import app
        case "users":
            from cli.users import app
        case "tenants":
            from cli.tenants import app
        case "queues":
            from cli.operations.queues import app
        case "agents":
            from cli.agents import app
        case _:
            from cli.tools.commands import app
    return app


def _alone(name: str) -> Callable[..., None]:
    match name:
        case "usage":
            from cli.usage import usage

            return usage
        case "workers":
            from cli.operations.workers import workers

            return workers
        case "audit":
            from cli.operations.audit import audit

            return audit
        case "doctor":
            from cli.operations.doctor import doctor

            return doctor
        case _:
            from cli.operations.top import top

            return top


@contextmanager
def imported_without_collection() -> Iterator[None]:
    """Import many modules without garbage collection. They stay, so later collections leave them out as well."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        from importlib.metadata import version
        from platform import platform, python_version

        typer.echo(f"ringback {version('ringback')} (Python {python_version()}, {platform(terse=True)})")
        raise typer.Exit


SHORT_LIVED = frozenset(
    {
        *("agents", "audit", "check", "doctor", "jobs", "queues", "sessions", "tenants", "token", "usage", "users"),
        "workers",
    }
)
"""Commands that end within seconds: garbage collection among what they import would be a fifth of their CPU."""


def options(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version, and exit.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    """Take the options of every command."""


PROBLEMS = 1
"""The exit code of `check` if a setting must be changed first."""
# Libraries that log every request: a health check every few seconds is no news.
TALKATIVE = ("alembic", "httpx", "watchfiles", "websockets")


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="The WAV file for the spoken answer.")] = Path("demo-answer.wav"),
) -> None:
    """Run a demo conversation.

    It starts the whole stack on this machine, without a key, asks questions, shows each call, and ends the stack.
    """
    with imported_without_collection():
        from cli.local_stack.demo import run

    raise SystemExit(run(output))


@app.command()
def up(
    folder: Annotated[Path | None, typer.Option(help="The folder that keeps the data between runs.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The gateway's port; 0 takes a free one.")] = 8080,
    tls: Annotated[
        bool, typer.Option("--tls", help="Speak TLS, with a certificate that this command creates.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Reload tools when their files change.")] = False,
) -> None:
    """Run the whole stack on this machine until Ctrl-C.

    It starts Postgres, Valkey, a gateway and a worker, with the simulated Realtime API or the provider that
    REALTIME_PROVIDER and REALTIME_API_KEY name. The token and the ports stay the same from one start to the next. The
    gateway reloads agents' files when they change, with or without --watch.
    """
    with imported_without_collection():
        from cli.local_stack.up import run

    raise SystemExit(run(folder, port, tls=tls, watch=watch))


@app.command()
def gateway(
    processes: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            help="Processes that serve the port, one for each core; by default RINGBACK_GATEWAY_PROCESSES.",
        ),
    ] = None,
    page_control: Annotated[Path | None, typer.Option(hidden=True)] = None,  # given by `ringback up` alone
) -> None:
    """Run a gateway. Settings come from the environment and .env; see .env.example."""
    with imported_without_collection():
        from gateway.server.run import END_SECONDS, serve
    from cli.supervisor import fork_processes
    from gateway.settings import GatewaySettings
    from ringback.config.settings import load

    settings = load(GatewaySettings, **({} if processes is None else {"RINGBACK_GATEWAY_PROCESSES": processes}))
    extend = None
    if page_control is not None:
        from cli.local_stack.page.control_route import add_control

        extend = partial(add_control, page_control)
    if settings.processes == 1:
        serve(settings, extend=extend)
    else:
        stop_seconds = settings.drain_seconds + END_SECONDS
        serve(settings, lambda listener: fork_processes(settings.processes, stop_seconds, listener.close), extend)


@app.command()
def worker(
    queues: Annotated[
        str | None, typer.Option(help="The queues to serve, such as default,slow; by default those of all its tools.")
    ] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, max=10_000, help="How many calls it runs at once.")] = None,
    pool: Annotated[
        Literal["threads", "prefork"],
        typer.Option(
            help="threads for tools that wait; prefork, a process for each call, for those that compute or hang."
        ),
    ] = "threads",
    processes: Annotated[
        int, typer.Option(min=1, max=64, help="Worker processes, one for each core, each with its own --concurrency.")
    ] = 1,
) -> None:
    """Run a worker, like `celery -A workers.app worker -Q … -P …`."""
    names = [name.strip() for name in queues.split(",") if name.strip()] if queues is not None else None
    if names == []:
        raise ConfigurationError("--queues names no queue: give one or more, such as --queues default,slow")
    if processes > 1:
        if pool == "prefork":
            raise ConfigurationError(
                "--processes is for --pool threads: in prefork --concurrency is how many there are"
            )
        _fork_workers(processes)
    with imported_without_collection():
        from workers.app import run

    raise SystemExit(run(queues=names, concurrency=concurrency, pool=pool))


def _fork_workers(count: int) -> None:
    """Return in each of so many children. The tools are imported in them only: a fork copies no thread of a tool."""
    with imported_without_collection():
        from workers.lifecycle.metrics_endpoint import endpoint
        from workers.lifecycle.process import END_SECONDS, read_settings_and_tools
    from cli.supervisor import fork_processes, try_in_child
    from ringback.config.settings import load
    from workers.settings import WorkerSettings

    settings = load(WorkerSettings)
    try_in_child(read_settings_and_tools)
    endpoint.open(settings, shared=True)
    fork_processes(count, settings.drain_seconds + END_SECONDS)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def simulator(context: typer.Context) -> None:
    """Run a Realtime API that needs no key. `ringback simulator --help` lists its options."""
    with imported_without_collection():
        from simulator.__main__ import main as simulate

    raise SystemExit(simulate(context.args))


@app.command()
def migrate(
    down_to: Annotated[
        str | None,
        typer.Option(help="Migrate down to this revision instead; base drops every table.", metavar="REVISION"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Migrate the database at DATABASE_URL to the newest revision."""
    with imported_without_collection():
        from alembic.util import CommandError
        from sqlalchemy.exc import DBAPIError

        from cli.operations.acting import progress
        from ringback.config.database_url import database_url
        from ringback.postgres import migrate as migrating

    url = database_url()
    try:
        if down_to is None:
            with progress("migrating", None) as done:
                migrating.upgrade(url, applied=lambda: done(1))
        else:
            migrating.downgrade(url, down_to)
        revision = migrating.revision(url)
    except CommandError as problem:
        raise ConfigurationError(f"--down-to {down_to} is no revision below the database's: {problem}") from None
    except DBAPIError as problem:
        _fail(1, f"the database at DATABASE_URL cannot be used: {str(problem.orig).strip().splitlines()[0]}")
    if as_json:
        return print_json({"object": "migration", "revision": revision})
    return typer.echo(f"The database is at {revision}." if revision else "The database holds no table of ringback's.")


@app.command()
def check(as_json: AsJson = False) -> None:
    """Check the settings for production.

    Prints one sentence for each setting that must be changed, and exits with code 1 if there is one. With
    RINGBACK_MODE=production, gateways and workers do not start until they are changed.
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
        typer.echo("Redis does not answer, so it was not checked whether it asks for a password.", err=True)
    if as_json:
        print_json({"object": "check", "is_ready": not found, "to_change": found, "mode": settings.mode})
    elif found:
        typer.echo("\n".join(f"- {sentence}" for sentence in found))
    else:
        said = "" if settings.mode == "production" else " Set RINGBACK_MODE=production to enforce them."
        typer.echo(f"The settings are ready for production.{said}")
    if found:
        raise typer.Exit(PROBLEMS)


@app.command("data-key")
def data_key() -> None:
    """Print a new key for RINGBACK_DATA_KEY, which encrypts the values that are redacted in the rows."""
    from ringback.privacy.encryption import new_key

    typer.echo(new_key())


@app.command("new-tool")
def new_tool(
    name: Annotated[str, typer.Argument(help="The function's name, such as order_status.")],
    folder: Annotated[Path, typer.Option(help="The folder for both files; created if missing.")] = Path(),
) -> None:
    """Write a new tool and its test.

    Creates NAME.py and test_NAME.py, which run unchanged. It overwrites no file.
    """
    from cli.tools.scaffold import write

    typer.echo(write(name, folder))


def main() -> None:
    """Run a command, and print every expected error as one sentence."""
    sys.argv[0] = "ringback"  # However the program was started, usage and errors name the command that users type.
    if sys.argv[1:2] and sys.argv[1] in SHORT_LIVED:
        gc.disable()
        atexit.register(gc.freeze)  # or Python looks for garbage among all of it as it ends, for a quarter of its CPU
    try:
        insist_on_readable_dotenv()
        logs.configure()
        for name in TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        words = sys.argv[1:] or ["--help"]
        raise SystemExit(program(words[0])(words, prog_name="ringback", standalone_mode=False))
    except ConfigurationError as problem:
        _fail(2, str(problem))
    except typer.Abort:
        _fail(1, "not confirmed, so no change was made")
    except TyperException as problem:
        context = getattr(problem, "ctx", None)
        command = context.command_path if context else "ringback"
        said = problem.format_message().rstrip(".").replace(": Value error, ", ": ")
        _fail(problem.exit_code, f"{said}{'' if said.endswith('?') else '.'} See `{command} --help`.")


def _fail(code: int, sentence: str) -> NoReturn:
    print(f"ringback: {logs.masked(sentence)}", file=sys.stderr)
    raise SystemExit(code)
