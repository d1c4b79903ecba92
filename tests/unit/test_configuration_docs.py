"""docs/configuration.md, .env.example and docker-compose.yml tell of the settings that the program reads: all of
them, with the defaults and limits that it has.
"""

from __future__ import annotations

import importlib
import re
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le
from opentelemetry.sdk import environment_variables
from pydantic import Field, create_model
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from tests.collector import VARIABLES as OF_OPENTELEMETRY

ROOT = Path(__file__).parents[2]
PACKAGES = ("ringback", "gateway", "workers", "simulator", "cli")
NOTHING = "–"
# A tool's own, which no settings class holds: the constant says its name.
OF_TOOLS = {"RINGBACK_ORDER_DELAY": "workers.tools.order_status"}

ROW = re.compile(r"^\| `([A-Z][A-Z0-9_]+)` \|([^|]*)\|([^|]*)\|([^|]*)\|$", re.MULTILINE)
IN_EXAMPLE = re.compile(r"^(?:# )?([A-Z][A-Z0-9_]+)=", re.MULTILINE)
IN_COMPOSE = re.compile(r"(?<!\$)\$\{([A-Z][A-Z0-9_]+):-([^}]*)\}")


class Row(NamedTuple):
    default: str
    accepts: str
    why: str


def settings_classes() -> set[type[BaseSettings]]:
    """Every class of settings; they live in the `settings.py` of a package."""
    names = [f"{package}.settings" for package in PACKAGES if (ROOT / package / "settings.py").exists()]
    found = chain.from_iterable(vars(importlib.import_module(name)).values() for name in names)
    return {value for value in found if isinstance(value, type) and issubclass(value, BaseSettings)} - {BaseSettings}


def settings() -> dict[str, FieldInfo]:
    """Each variable of each class, with its field."""
    fields = chain.from_iterable(settings_class.model_fields.values() for settings_class in settings_classes())
    return {str(field.alias): field for field in fields}


def documented() -> dict[str, Row]:
    rows = ROW.findall((ROOT / "docs/configuration.md").read_text(encoding="utf-8"))
    return {name: Row(*(cell.strip() for cell in cells)) for name, *cells in rows}


def exemplified() -> list[str]:
    return IN_EXAMPLE.findall((ROOT / ".env.example").read_text(encoding="utf-8"))


def in_compose() -> dict[str, str]:
    """Each variable that compose reads, with its default there."""
    return dict(IN_COMPOSE.findall((ROOT / "docker-compose.yml").read_text(encoding="utf-8")))


def default_of(field: FieldInfo) -> str:
    """The default as the table writes it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    plain = value.get_secret_value() if hasattr(value, "get_secret_value") else value
    if plain is None or plain in ("", (), {}):
        return NOTHING
    return f"`{_written(plain)}`"


def limits_of(field: FieldInfo) -> str | None:
    """The limits as the table writes them; None where the type has none that can be counted or listed."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(get_args(field.annotation))
    least = next((limit.ge for limit in field.metadata if isinstance(limit, Ge)), None)
    above = next((limit.gt for limit in field.metadata if isinstance(limit, Gt)), None)
    most = next((limit.le for limit in field.metadata if isinstance(limit, Le)), None)
    if above is not None:
        return f"above {above}, up to {most}" if most is not None else f"above {above}"
    if least is not None:
        return f"{least} to {most}" if most is not None else f"{least} or more"
    return f"up to {most}" if most is not None else None


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def test_no_settings_class_hides_outside_the_settings_modules() -> None:
    sources = chain.from_iterable((ROOT / package).rglob("*.py") for package in PACKAGES)
    holders = [path for path in sources if "(BaseSettings)" in path.read_text(encoding="utf-8")]
    assert holders
    assert {path.name for path in holders} == {"settings.py"}


@pytest.mark.parametrize("name", sorted(settings()))
def test_a_setting_is_documented_with_its_default_and_its_limits(name: str) -> None:
    field, row = settings()[name], documented()[name]
    assert row.default == default_of(field)
    assert row.accepts == (limits_of(field) or row.accepts)


def test_each_tool_names_its_own_variable() -> None:
    for name, module in OF_TOOLS.items():
        assert name in vars(importlib.import_module(module)).values()


def test_opentelemetry_knows_its_variables() -> None:
    assert set(dir(environment_variables)) >= OF_OPENTELEMETRY


def test_the_table_holds_what_is_read_and_nothing_else() -> None:
    assert set(documented()) == {*settings(), *OF_TOOLS, *OF_OPENTELEMETRY, *in_compose()}


@pytest.mark.parametrize("name", sorted(documented()))
def test_a_row_says_what_is_accepted_and_why(name: str) -> None:
    row = documented()[name]
    assert row.accepts
    assert len(row.why.split()) >= 3


@pytest.mark.parametrize("name", sorted(set(in_compose()) - set(settings())))
def test_a_variable_of_compose_is_documented_with_its_default(name: str) -> None:
    default = in_compose()[name]
    assert documented()[name].default == (f"`{default}`" if default else NOTHING)


def test_the_example_shows_each_variable_once() -> None:
    assert sorted(exemplified()) == sorted(documented())


DECLARATIONS: tuple[tuple[Any, dict[str, Any], str, str | None], ...] = (
    (float, {"default": 25.0}, "`25`", None),
    (int, {"default": 2 * 1024 * 1024, "ge": 65_536}, "`2097152`", "65536 or more"),
    (float, {"default": 0.25, "gt": 0, "le": 60}, "`0.25`", "above 0, up to 60"),
    (int | None, {"default": None, "ge": 1, "le": 9}, NOTHING, "1 to 9"),
    (Literal["a", "b"], {"default": "a"}, "`a`", "a, b"),
    (tuple[str, ...], {"default": ("x", "y")}, "`x,y`", None),
    (dict[str, str], {"default_factory": dict}, NOTHING, None),
    (str, {}, "required", None),
)


@pytest.mark.parametrize(("kind", "declared", "default", "limits"), DECLARATIONS)
def test_a_field_is_written_as_the_table_writes_it(
    kind: Any, declared: dict[str, Any], default: str, limits: str | None
) -> None:
    field = create_model("Declared", field=(kind, Field(**declared))).model_fields["field"]
    assert default_of(field) == default
    assert limits_of(field) == limits
