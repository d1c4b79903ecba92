"""What a stack says of itself while its servers do not answer."""

from __future__ import annotations

import pytest

from cli.local_stack.process_group import ProcessGroup
from cli.local_stack.stack import Stack

pytestmark = pytest.mark.loopback


def test_a_worker_is_not_ready_yet_while_postgres_takes_no_connection() -> None:
    postgres = "postgresql+psycopg://ringback@127.0.0.1:1/ringback"
    stack = Stack("http://127.0.0.1:1", "rb_token", postgres, "", "", ProcessGroup())
    assert not stack.runs(1)
    assert stack.unoffered() == []
