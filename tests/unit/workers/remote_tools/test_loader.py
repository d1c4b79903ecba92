"""Tool files of an API: one sentence says what does not fit between the file and the document."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.errors import ConfigurationError
from workers.remote_tools.loader import load

DOCUMENT = """
openapi: 3.1.0
info: {title: Shop, version: "1"}
paths:
  /orders/{id}:
    get:
      operationId: getOrder
      summary: Where an order is.
      parameters:
        - {name: id, in: path, required: true, schema: {type: string}}
      responses: {"200": {description: it}}
"""
FILE = """
[openapi.shop]
document = "shop.yaml"
base_url = "http://127.0.0.1:1"
[openapi.shop.operation.getOrder]
"""


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ("fixed = { town = 'Rome' }", "fixed: there is no argument town; there are id"),
        ("fixed = { id = 'call:name' }", "fixed: id = 'call:name': of the call there are call:user, call:session"),
    ],
)
def test_what_cannot_be_fixed_is_named(tmp_path: Path, more: str, sentence: str) -> None:
    (tmp_path / "shop.yaml").write_text(DOCUMENT, encoding="utf-8")
    file = tmp_path / "tools.toml"
    file.write_text(FILE + more, encoding="utf-8")
    with pytest.raises(ConfigurationError) as raised:
        load([str(file)])
    assert str(raised.value) == f"{file}: [openapi.shop] getOrder: {sentence}"
