"""What a model reads of docstrings: of the function, and of the models that it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from ringback import Call, tool
from tests.unit.ringback.tools.test_schema import schema_of


def google(city: str, call: Call, days: int = 1) -> None:
    """Look up the weather.

    It asks the warehouse first.

    Args:
        city: the name of the city,
            as people say it.
        days: how many days ahead.
    """


def numpy(city: str, days: int = 1) -> None:
    """Look up the weather.

    It asks the warehouse first.

    Parameters
    ----------
    city : str
        the name of the city,
        as people say it.
    days
        how many days ahead.
    """


def rest(city: str, days: int = 1) -> None:
    """Look up the weather.

    It asks the warehouse first.

    :param city: the name of the city,
        as people say it.
    :param int days: how many days ahead.
    """


@pytest.mark.parametrize("function", [google, numpy, rest])
def test_docstrings_of_three_styles_are_read(function: Callable[..., Any]) -> None:
    announcement = tool(function).announcement
    assert announcement.description == "Look up the weather.\nIt asks the warehouse first."
    properties = announcement.parameters["properties"]
    assert set(properties) == {"city", "days"}
    assert " ".join(properties["city"]["description"].split()) == "the name of the city, as people say it."
    assert properties["days"]["description"] == "how many days ahead."


def test_the_docstring_speaks_before_the_annotation() -> None:
    def both(city: Annotated[str, Field(description="from the annotation")]) -> None:
        """Do.

        Args:
            city: from the docstring
        """

    assert schema_of(both)["properties"]["city"]["description"] == "from the docstring"


class Parcel(BaseModel):
    """What is sent.

    Attributes:
        weight: in grams,
            with the wrapping.
        note: from the docstring
        gone: a field of an older version
    """

    weight: int
    note: Annotated[str, Field(description="from the field")] = ""


class Sender(BaseModel):
    """Who sends it.

    Parameters
    ----------
    name : str
        as on the door.
    """

    name: str


@dataclass
class Insured:
    """How it is insured.

    :param value: in euros.
    """

    value: int


def test_the_docstring_of_a_nested_model_tells_of_its_fields() -> None:
    def send(parcel: Parcel, sender: Sender, insured: Insured | None = None) -> None:
        """Do.

        Args:
            parcel: what to send.
        """

    properties = schema_of(send)["properties"]
    assert properties["parcel"]["description"] == "what to send.", "said of the argument before said of its kind"
    told = {name: field["description"] for name, field in properties["parcel"]["properties"].items()}
    assert {name: " ".join(text.split()) for name, text in told.items()} == {
        "weight": "in grams, with the wrapping.",
        "note": "from the field",
    }
    assert properties["sender"]["description"] == "Who sends it."
    assert properties["sender"]["properties"]["name"]["description"] == "as on the door."
    value = properties["insured"]["anyOf"][0]["properties"]["value"]
    assert value["description"] == "in euros."


def test_a_nested_docstring_that_tells_of_no_field_is_left_as_it_is() -> None:
    class Note(BaseModel):
        """First.

        Second: with a colon.
        """

        text: str

    def write(note: Note) -> None:
        """Do."""

    write.__annotations__["note"] = Note
    assert schema_of(write)["properties"]["note"]["description"] == "First.\n\nSecond: with a colon."
