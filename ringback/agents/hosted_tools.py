"""Hosted MCP tools of an agent: `[[session.tools]]`. The Realtime API calls them; no worker and no row sees them.

    [[session.tools]]
    type = "mcp"
    server_label = "docs"
    server_url = "https://docs.example/mcp"
    allowed_tools = ["search"]
    require_approval = "never"

Secrets stay out of the file and out of the conversation: `authorization_env` and `headers_env` name variables of the
gateway's environment, and `with_secrets` reads them when the session is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, Tag, model_validator

from ringback.config.toml_tables import BY_SHAPE, Table, belongs_elsewhere

APPROVAL = (
    'a hosted tool cannot wait for a user\'s yes here: write require_approval = "never", and list in `allowed_tools` '
    "what may run without one; what needs a yes is served by a worker, with requires_approval "
    "(docs/how-to/serve-an-mcp-server.md)"
)
NO_SECRETS = "a file that is checked in holds no secret: write authorization_env, the name of an environment variable"
A_FUNCTION = "a function is a worker's: name it in `tools` at the top of the file"
NOT_MCP = 'the Realtime API has tools of the type "mcp"; your provider\'s own stand in [[session.provider.tools]]'
REFUSED = {
    "authorization": NO_SECRETS,
    "require_approval.always": APPROVAL,
    "require_approval.never": APPROVAL,
    "name": A_FUNCTION,
    "description": A_FUNCTION,
    "parameters": A_FUNCTION,
}
"""Fields of the Realtime API's tools that this table refuses, with the reason."""

VariableName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]


class ToolFilter(Table):
    read_only: bool | None = None
    tool_names: list[str] | None = None


class McpTool(Table):
    """MCP server that the Realtime API calls."""

    type: Literal["mcp"]
    server_label: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")
    server_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")] | None = None
    connector_id: Annotated[str, Field(pattern=r"^connector_[a-z0-9_]+$")] | None = None
    tunnel_id: Annotated[str, Field(min_length=1)] | None = None
    server_description: str | None = None
    allowed_callers: list[Literal["direct", "programmatic"]] | None = None
    allowed_tools: (
        Annotated[Annotated[list[str], Tag("<word>")] | Annotated[ToolFilter, Tag("<table>")], BY_SHAPE] | None
    ) = None
    require_approval: Literal["never"]
    """A session in which a hosted call waits for approval would hang: the gateway does not ask for it."""
    defer_loading: bool | None = None
    headers: dict[str, str] | None = None
    authorization_env: VariableName | None = None
    headers_env: dict[str, VariableName] | None = None

    @model_validator(mode="before")
    @classmethod
    def _explained(cls, given: Any) -> Any:
        """Say what to do, where pydantic would only list what exists."""
        if not isinstance(given, dict):
            return given
        if given.get("type") != "mcp":
            raise belongs_elsewhere("type", A_FUNCTION if given.get("type") == "function" else NOT_MCP)
        if given.get("require_approval") != "never":
            raise belongs_elsewhere("require_approval", APPROVAL)
        if "authorization" in given:
            raise belongs_elsewhere("authorization", NO_SECRETS)
        return given

    @model_validator(mode="after")
    def _is_somewhere(self) -> McpTool:
        given = [name for name in ("server_url", "connector_id", "tunnel_id") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("write one of server_url, connector_id and tunnel_id")
        return self


SECRET_FIELDS = frozenset({"authorization", "headers", "authorization_env", "headers_env"})
"""Fields of a hosted tool that no client sees."""


def hosted_variables(tools: Iterable[dict[str, Any]]) -> list[str]:
    """Return the environment variables that hosted tools need."""
    authorizations = [tool["authorization_env"] for tool in tools if "authorization_env" in tool]
    return [*authorizations, *(name for tool in tools for name in tool.get("headers_env", {}).values())]


def with_secrets(session: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the session with the variables that its hosted tools name read from the environment."""
    tools = session.get("tools")
    if not tools or not any(tool.get("type") == "mcp" for tool in tools):
        return session
    return {**session, "tools": [_with_secrets(tool, environment) for tool in tools]}


def _with_secrets(tool: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    if tool.get("type") != "mcp":
        return tool
    sent = {key: value for key, value in tool.items() if not key.endswith("_env")}
    if "authorization_env" in tool:
        sent["authorization"] = environment.get(tool["authorization_env"], "")
    if "headers_env" in tool:
        read = {header: environment.get(name, "") for header, name in tool["headers_env"].items()}
        sent["headers"] = {**tool.get("headers", {}), **read}
    return sent
