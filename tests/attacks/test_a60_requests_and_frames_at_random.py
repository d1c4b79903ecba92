"""A60: requests that nobody would write; frames that nobody would are `make fuzz`, and a unit test with a few of them.

Schemathesis reads what the gateway says of itself (OpenAPI), and sends what fits and what does not.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from tests.attacks.toolbox.fort import FIRST, Fort, marker

pytestmark = pytest.mark.long

EXAMPLES = 20
"""Of each operation, that fit, and as many that do not."""
SEED = 20261124
NOT_HELD = [
    positive_data_acceptance,  # no schema says which cursor belongs to which list
    ignored_auth,  # each route without a token: `test_a57_whoever_has_no_token_reads_nothing`
]
BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
def test_a60_no_request_makes_the_server_fail_or_answer_otherwise_than_it_says(
    fort: Fort, mode: GenerationMode
) -> None:
    """Every operation, with a token that may do everything: nothing is refused for want of a right."""
    token = fort.key(marker("user"), scopes="realtime,secrets,history,control,admin")
    described = fort.request("GET", "/openapi.json", token).json()
    found = schemathesis.openapi.from_dict(described).get_all_operations()
    operations = [one.ok() for one in found if isinstance(one, Ok)]
    assert len(operations) > 10
    for operation in operations:

        @seed(SEED)
        @BOUNDED
        @given(case=operation.as_strategy(generation_mode=mode))
        def holds(case: Case[Any]) -> None:
            answer = case.call(base_url=fort.line.url, headers={"Authorization": f"Bearer {token}"})
            case.validate_response(answer, excluded_checks=NOT_HELD)

        with suppress(Unsatisfiable):  # nothing of it can be got wrong
            holds()
    assert fort.request("GET", "/healthz", None).json() == {"status": "ok"}
    assert "Traceback" not in fort.logs(FIRST)
