"""Tools are found in the modules of the setting, or the error names the setting."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ringback.errors import ConfigurationError, DeclarationError
from workers.execution.runtime import served_on
from workers.tool_registry import load_tools, queues_of

TOOL = '''
from ringback import tool

@tool(queue="{queue}")
def {name}() -> int:
    """A number."""
    return 1
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield an empty folder to import from, and forget what was imported from it."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_the_tools_of_modules_and_of_all_that_is_in_packages_are_found(folder: Path) -> None:
    write(folder / "single_mod.py", TOOL.format(name="one", queue="default"))
    write(folder / "some_pack/__init__.py", TOOL.format(name="two", queue="fast"))
    write(folder / "some_pack/inner/__init__.py", "")
    write(folder / "some_pack/inner/deep.py", TOOL.format(name="three", queue="slow"))
    tools = load_tools(["single_mod", "some_pack"])
    assert sorted(tools) == ["one", "three", "two"]
    assert queues_of(tools.values()) == ["default", "fast", "slow"]
    assert [tool.name for tool in served_on(tools.values(), ["slow", "other"])] == ["three"]


def test_a_tool_that_several_modules_import_is_one_tool(folder: Path) -> None:
    write(folder / "origin_mod.py", TOOL.format(name="one", queue="default"))
    write(folder / "importing_mod.py", "from origin_mod import one as first, one")
    assert sorted(load_tools(["importing_mod", "origin_mod"])) == ["one"]


def test_two_tools_of_one_name_are_refused_and_both_modules_named(folder: Path) -> None:
    write(folder / "left_mod.py", TOOL.format(name="one", queue="default"))
    write(folder / "right_mod.py", TOOL.format(name="one", queue="default"))
    with pytest.raises(ConfigurationError, match=r"left_mod and right_mod both declare a tool named one: rename one"):
        load_tools(["left_mod", "right_mod"])


def test_two_tools_of_one_name_in_one_module_are_refused(folder: Path) -> None:
    write(
        folder / "double_mod.py",
        TOOL.format(name="one", queue="default") + "\nother = tool(name='one')(one.function)\n",
    )
    with pytest.raises(ConfigurationError, match=r"^double_mod declares two tools named one: rename one"):
        load_tools(["double_mod"])


@pytest.mark.parametrize("name", ["my_tools.py", "./my_tools.py", "my-tools", "a/b"])
def test_a_file_where_a_module_is_wanted_is_answered_with_what_to_write(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"names {name}: write what Python imports, such as my_tools for"):
        load_tools([name])


def test_no_module_and_no_file_is_no_tool() -> None:
    with pytest.raises(ConfigurationError, match="RINGBACK_TOOL_MODULES names no module, so it holds no tool"):
        load_tools([])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "RINGBACK_TOOL_MODULES names broken_mod, which cannot be imported: ModuleNotFoundError"),
        ("import no_such_thing", "names broken_mod, which cannot be imported: .* 'no_such_thing'"),
        ("1 / 0", r"names broken_mod, which cannot be imported: ZeroDivisionError: .*broken_mod\.py, line 1\)$"),
        ("def f(:", "names broken_mod, which cannot be imported: SyntaxError"),
        ("import sys\nsys.exit(3)", "names broken_mod, which cannot be imported: SystemExit: 3"),
        ("x = 1", r"RINGBACK_TOOL_MODULES \(broken_mod\) holds no tool: decorate a function with @tool"),
    ],
)
def test_a_module_that_cannot_be_used_is_named_with_the_setting(folder: Path, text: str | None, sentence: str) -> None:
    if text is not None:
        write(folder / "broken_mod.py", text)
    with pytest.raises(ConfigurationError, match=sentence):
        load_tools(["broken_mod"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("@tool\ndef mute(): ...\n", r"orders_mod\.py:3: mute: give it a docstring"),
        ("x = 1\n\n\n@tool(rate='often')\ndef mute():\n    'Do.'\n", r"orders_mod\.py:6: mute: rate='often'"),
        ("def mute(): ...\ntool(mute)\n", r"orders_mod\.py:4: mute: give it a docstring"),
        ("tool('mute')\n", r"orders_mod\.py:3: @tool\('mute'\): write @tool"),
    ],
)
def test_a_declaration_that_no_model_could_call_is_refused_with_its_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    write(folder / "some_pack/__init__.py", "from some_pack import orders_mod")
    write(folder / "some_pack/orders_mod.py", f"from ringback import tool\n\n{text}")
    with pytest.raises(DeclarationError, match=rf"^/.*/some_pack/{sentence}"):
        load_tools(["some_pack"])
    monkeypatch.chdir(folder)
    for name in [name for name in sys.modules if name.startswith("some_pack")]:
        del sys.modules[name]
    with pytest.raises(DeclarationError, match=rf"^some_pack/{sentence}"):
        load_tools(["some_pack"])


ABOVE = """
import functools
from ringback import tool

def plain(function):
    return lambda *args: function(*args)

def wrapping(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args)
    return inner

{line}
@tool
def price() -> int:
    "A price."
    return 1
"""


@pytest.mark.parametrize("line", ["@plain", "@wrapping", "@functools.cache"])
def test_a_decorator_above_the_declaration_is_named(folder: Path, line: str) -> None:
    write(folder / "above_mod.py", ABOVE.format(line=line))
    with pytest.raises(
        DeclarationError, match=r"above_mod\.py:14: price: what stands above @tool hides the tool; write @tool above"
    ):
        load_tools(["above_mod"])


@pytest.mark.parametrize("line", ["del price", "price = None", "price = price.function", "cost = price; price = 1"])
def test_a_tool_that_its_module_takes_away_or_names_anew_is_no_mistake(folder: Path, line: str) -> None:
    text = TOOL.format(name="other", queue="default") + ABOVE.format(line="") + line
    write(folder / "taken_mod.py", text)
    assert "other" in load_tools(["taken_mod"])


def test_the_tools_that_ship_are_these() -> None:
    tools = load_tools(["workers.tools"])
    assert sorted(tools) == ["fetch_url", "order_status", "quote_of_the_day", "random_number", "weather"]
    assert queues_of(tools.values()) == ["default", "slow"]
