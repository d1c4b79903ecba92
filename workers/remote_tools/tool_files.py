"""TOML files that RINGBACK_TOOL_FILES names: their format, and the sentence for each error in one.

    [mcp.NAME]        an MCP server: a command, or a url
    [openapi.NAME]    an HTTP API: its OpenAPI document, its address, and the operations to serve

The arguments of `@tool` may stand under `defaults` of either, and under `tool.NAME` or `operation.NAME` for one tool.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ringback.config.web_address import parts_of
from ringback.errors import ConfigurationError
from ringback.tools.decorator import Breaker

SETTING = "RINGBACK_TOOL_FILES"
ALL = "*"
SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "api-key"})
"""Headers that grant access to their bearer: a file must not hold their values."""


def address(text: str) -> str:
    """Return the address if a file may give it; ValueError says why not."""
    url = parts_of(text, "http", "https")
    if url is None:
        raise ValueError("must look like https://host/path")
    if url.username or url.password or url.query or url.fragment:
        raise ValueError("must have no password, no ? and no #; a secret goes into headers, as env:NAME")
    return text


def _address(text: str) -> str:
    return text if text.startswith("env:") else address(text)


def _no_secrets(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if name.lower() in SECRET_HEADERS and "env:" not in value:
            raise ValueError(f'write {name} = "env:NAME": a secret stands in the environment, not in this file')
    return headers


def _program_first(command: list[str]) -> list[str]:
    if not command or not command[0]:
        raise ValueError('write the program, and then its arguments, such as ["python", "-m", "my_server"]')
    return command


def _listed(tools: Any) -> Any:
    if tools == ALL:
        return [ALL]
    if not isinstance(tools, list) or not tools:
        raise ValueError('write the names of the tools to serve, or "*" for all of them')
    return tools


def _some(operations: dict[str, OneOperation]) -> dict[str, OneOperation]:
    if not operations:
        raise ValueError("name the operations to serve, each in a table of its own")
    return operations


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        if not isinstance(value, str | int | float | bool):
            raise ValueError(f"{name} must be text, a number or a boolean")
    return values


Address = Annotated[str, AfterValidator(_address)]
Headers = Annotated[dict[str, str], AfterValidator(_no_secrets)]
Filled = Annotated[str, Field(min_length=1)]


class Table(BaseModel):
    """Table of the file: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class BreakerTable(Table):
    failures: int = 5
    seconds: float = 30.0


class Options(Table):
    """Parameters of `@tool`, as it describes them; those left out have its defaults."""

    queue: str | None = None
    timeout: float | None = None
    retries: int | None = None
    backoff: float | None = None
    effect: str | None = None
    concurrency: int | None = None
    rate: str | None = None
    burst: int | None = None
    breaker: BreakerTable | None = None
    say_after: float | None = None
    say: str | None = None
    say_every: float | None = None
    on_barge_in: str | None = None
    late: str | None = None
    drop_after: float | None = None
    on_duplicate: str | None = None
    cancellable: bool | None = None
    requires_approval: bool | None = None
    approval_seconds: float | None = None
    audience: str | None = None
    scopes: list[str] | None = None
    untrusted: bool | None = None
    redact: list[str] | None = None

    def given(self) -> dict[str, Any]:
        """Return what the file says, as `@tool` takes it."""
        said = {name: getattr(self, name) for name in Options.model_fields if name in self.model_fields_set}
        if self.breaker is not None:
            said["breaker"] = Breaker(self.breaker.failures, self.breaker.seconds)
        return said


class OneTool(Options):
    """Options of one tool, and what a model is told of it instead of what its server says."""

    name: Filled | None = None
    description: Filled | None = None


class OneOperation(OneTool):
    fixed: Annotated[dict[str, Any], AfterValidator(_plain)] = {}
    """Arguments that the model does not choose; `call:user` and `call:session` stand for the call's user and
    session.
    """


class McpTable(Table):
    """Table `[mcp.NAME]`."""

    command: Annotated[list[str], AfterValidator(_program_first)] | None = None
    cwd: Filled | None = None
    env: dict[str, str] = {}
    url: Address | None = None
    headers: Headers = {}
    tools: Annotated[list[Filled], BeforeValidator(_listed)]
    prefix: str = ""
    identify: bool = False
    """Whether the server is told the session and the user of each call."""
    defaults: Options = Options()
    tool: dict[str, OneTool] = {}

    @property
    def wants_all(self) -> bool:
        return ALL in self.tools

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError('give it either command = ["…"] or url = "https://…"')
        if self.url is None and self.headers:
            raise ValueError("headers go with a url; a command takes env")
        if self.command is None and (self.env or self.cwd):
            raise ValueError("env and cwd go with a command; a url takes headers")
        strangers = sorted(set(self.tool) - set(self.tools))
        if strangers and not self.wants_all:
            raise ValueError(f"there is a table for the tool {strangers[0]}, which `tools` does not name")
        return self


class OpenApiTable(Table):
    """Table `[openapi.NAME]`."""

    document: Filled
    base_url: Address
    headers: Headers = {}
    prefix: str = ""
    defaults: Options = Options()
    operation: Annotated[dict[str, OneOperation], AfterValidator(_some)]


class ToolFile(Table):
    """Tool file."""

    mcp: dict[str, McpTable] = {}
    openapi: dict[str, OpenApiTable] = {}


Kind = Literal["mcp", "openapi"]


def read(path: Path) -> ToolFile:
    """Return what the file says.

    Raises:
        ConfigurationError: it cannot be read, or is not of this format; names the file, the table and the key.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"{SETTING} names {path}, which cannot be read: {problem}") from problem
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError(f"{path} is not TOML: {problem}") from problem
    try:
        file = ToolFile.model_validate(tables)
    except ValidationError as problem:
        raise ConfigurationError(f"{path}: {_complaint(problem)}") from None
    if not file.mcp and not file.openapi:
        raise ConfigurationError(f"{path}: names no tool; it needs a table [mcp.NAME] or [openapi.NAME]")
    return file


def _complaint(problem: ValidationError) -> str:
    first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
    *table, key = map(str, (part for part in first["loc"] if not isinstance(part, int)))
    place = f"[{'.'.join(table)}] {key}" if table else key
    match first["type"]:
        case "extra_forbidden":
            return f"{place}: is not known here; check how it is spelt, and under which table it stands"
        case "missing":
            return f"{place}: is missing"
        case "model_type":  # pydantic names a class here
            return f"{place}: must be a table"
        case "value_error" if len(table) == 1:  # of a whole table: there is no one key
            return f"[{table[0]}.{key}]: {_words(first['msg'])}"
    return f"{place}: {_words(first['msg'])}"


def _words(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
