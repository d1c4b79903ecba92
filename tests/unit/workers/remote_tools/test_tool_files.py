"""A tool file is valid, or a sentence names the error in it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from ringback.errors import ConfigurationError
from ringback.tools.decorator import Breaker, tool
from workers.remote_tools.tool_files import BreakerTable, OneOperation, Options, read

ROOT = Path(__file__).parents[4]
WHOLE = """
[mcp.tickets]
command = ["python", "-m", "my_server", ""]
cwd = "servers"
env = { TOKEN = "env:TICKETS_TOKEN", LEVEL = "info" }
tools = ["search", "create_ticket"]
prefix = "tickets_"
identify = true
[mcp.tickets.defaults]
queue = "tickets"
timeout = 20
breaker = { failures = 3 }
[mcp.tickets.tool.create_ticket]
effect = "at_most_once"
requires_approval = true

[mcp.docs]
url = "https://docs.example/mcp"
headers = { Authorization = "Bearer env:DOCS_TOKEN" }
tools = "*"

[openapi.shop]
document = "shop.yaml"
base_url = "http://10.0.0.7:8000/v2"
headers = { X-Client = "ringback" }
[openapi.shop.operation.getOrder]
name = "order_status"
timeout = 10
fixed = { customer = "call:user", limit = 3 }
"""
MCP = '[mcp.x]\ncommand = ["y"]\n'
API = '[openapi.x]\ndocument = "x.yaml"\nbase_url = "https://x"\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tools.toml"


def test_a_whole_file_is_read(path: Path) -> None:
    path.write_text(WHOLE, encoding="utf-8")
    file = read(path)
    tickets, docs = file.mcp["tickets"], file.mcp["docs"]
    assert (tickets.command, tickets.wants_all, docs.wants_all) == (["python", "-m", "my_server", ""], False, True)
    assert tickets.defaults.given() == {"queue": "tickets", "timeout": 20, "breaker": Breaker(failures=3)}
    assert tickets.tool["create_ticket"].given() == {"effect": "at_most_once", "requires_approval": True}
    order = file.openapi["shop"].operation["getOrder"]
    assert (order.name, order.given(), order.fixed) == (
        "order_status",
        {"timeout": 10},
        {"customer": "call:user", "limit": 3},
    )


@pytest.mark.parametrize("page", ["serve-an-mcp-server.md", "call-an-external-api.md"])
def test_the_files_of_the_how_to_pages_are_read(path: Path, page: str) -> None:
    text = (ROOT / "docs/how-to" / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        path.write_text(block, encoding="utf-8")
        read(path)


def test_the_options_are_the_parameters_of_the_decorator() -> None:
    """A file may set each option of `@tool`."""
    assert {*Options.model_fields, "name"} == set(inspect.signature(tool).parameters) - {"function"}
    assert list(BreakerTable.model_fields) == list(inspect.signature(Breaker).parameters)
    assert "name" in OneOperation.model_fields


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "names no tool; it needs a table [mcp.NAME] or [openapi.NAME]"),
        ("x = 1", "x: is not known here"),
        ("[mcp.x", "is not TOML"),
        ("mcp = 3", "mcp: input should be a valid dictionary"),
        ("[mcp]\nx = 3", "[mcp] x: must be a table"),
        (MCP, "[mcp.x] tools: is missing"),
        ("[mcp.x]\ntools = '*'", '[mcp.x]: give it either command = ["…"] or url = "https://…"'),
        (f"{MCP}url = 'https://x'\ntools = '*'", "[mcp.x]: give it either command"),
        (f"{MCP}headers = {{ A = 'b' }}\ntools = '*'", "[mcp.x]: headers go with a url"),
        ("[mcp.x]\nurl = 'https://x'\nenv = { A = 'b' }\ntools = '*'", "[mcp.x]: env and cwd go with a command"),
        (f"{MCP}tools = []", "[mcp.x] tools: write the names of the tools"),
        (f"{MCP}tools = 'all'", "[mcp.x] tools: write the names of the tools"),
        (f"{MCP}tools = ['a', 3]", "[mcp.x] tools: input should be a valid string"),
        (f"{MCP}tools = '*'\ntool = 3", "[mcp.x] tool: input should be a valid dictionary"),
        (
            f"{MCP}tools = ['a']\n[mcp.x.tool.b]",
            "[mcp.x]: there is a table for the tool b, which `tools` does not name",
        ),
        (f"{MCP}tools = '*'\n[mcp.x.defaults]\ntimeout = 'long'", "[mcp.x.defaults] timeout: input should be a valid"),
        (f"{MCP}tools = '*'\n[mcp.x.defaults]\nname = 'y'", "[mcp.x.defaults] name: is not known here"),
        (f"{MCP}tools = '*'\n[mcp.x.tool.a]\nqeue = 'y'", "[mcp.x.tool.a] qeue: is not known here"),
        ("[mcp.x]\ncommand = []\ntools = '*'", "[mcp.x] command: write the program, and then its arguments"),
        ("[mcp.x]\nurl = 'ftp://x'\ntools = '*'", "[mcp.x] url: must look like https://host/path"),
        ("[mcp.x]\nurl = 'http://[x'\ntools = '*'", "[mcp.x] url: must look like https://host/path"),
        ("[mcp.x]\nurl = 'http://x:99999'\ntools = '*'", "[mcp.x] url: must look like https://host/path"),
        ("[mcp.x]\nurl = 'https://a:b@x/'\ntools = '*'", "[mcp.x] url: must have no password"),
        ("[mcp.x]\nurl = 'https://x/?key=1'\ntools = '*'", "[mcp.x] url: must have no password, no ? and no #"),
        (API, "[openapi.x] operation: is missing"),
        (f"{API}operation = {{}}", "[openapi.x] operation: name the operations"),
        (f"{API}[openapi.x.operation.a]\nfixed = {{ b = [1] }}", "[openapi.x.operation.a] fixed: b must be text, a"),
        (
            f"{API}headers = {{ Authorization = 's3cret' }}\noperation = {{ a = {{}} }}",
            '"env:NAME": a secret stands in',
        ),
    ],
)
def test_a_wrong_file_is_named_with_its_table_and_key_and_no_secret_is_shown(
    path: Path, text: str, sentence: str
) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as wrong:
        read(path)
    told = str(wrong.value)
    assert told.startswith(str(path))
    assert sentence in told
    assert "\n" not in told
    assert "s3cret" not in told


def test_a_file_that_is_not_there_is_named_with_its_setting(path: Path) -> None:
    with pytest.raises(ConfigurationError, match=rf"RINGBACK_TOOL_FILES names {path}, which cannot be read"):
        read(path)
