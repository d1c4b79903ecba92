"""What is written into rows by its fields has none that holds another record."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from ringback.record_fields import by_name
from ringback.tools.behavior import Limits, ToolBehavior
from ringback.tools.gate import Gate
from ringback.usage.prices import Usage

RECORDS = (
    ToolBehavior(scopes=("read",), redact=("card",)),
    Limits(concurrency=1),
    Gate(1.0, 0.0, 0),
    Usage(text_in=1),
)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_the_fields_of_a_record_are_those_that_a_deep_copy_has(record: Any) -> None:
    assert by_name(record) == asdict(record)
