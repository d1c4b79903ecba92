"""What is said about tools without a scenario's words."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.understanding.wording import abilities, approval, result
from tests.unit.simulator.understanding.tools import TOOLS, tool

ORDER = (
    "Before this is done, the user must agree to it: {calls}. In one short sentence, say what would be done, and ask "
    "whether you may."
)


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ('{"status": "packed", "eta_days": 3}', "The status is packed and the eta days is 3."),
        ('{"number": "INV-1", "paid": true}', "The paid is yes."),
        ('{"number": "INV-1"}', "The number is INV-1."),
        ('{"tags": ["a", "b", "c"], "size": {"x": 1, "y": 2}}', "The tags are a, b and c and the size is x 1 and y 2."),
        ('{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}', "The a is 1, the b is 2, the c is 3 and the d is 4."),
        ('{"note": "' + "x" * 1000 + '"}', None),
        ("{}", None),
        ('{"a": null}', None),
        ("[1]", None),
        ("foggy", None),
    ],
)
def test_a_result_is_a_short_sentence(output: str, told: str | None) -> None:
    said = result("lookup_invoice", output, {"number": "INV-1"})
    if "xxx" in output:
        assert said is not None
        assert len(said) < 350
    else:
        assert said == told


@pytest.mark.parametrize(
    ("name", "output", "told"),
    [
        ("answer_approval", '{"approved": "close_account"}', "All right, I am doing it."),
        ("answer_approval", '{"denied": "close_account"}', "All right, then I leave it."),
        ("cancel_call", '{"cancelled": "report"}', "All right, I have stopped it."),
        ("cancel_call", '{"other": 1}', None),
    ],
)
def test_a_yes_a_no_and_a_stop_are_confirmed(name: str, output: str, told: str | None) -> None:
    assert result(name, output, {}) == told


def test_it_says_what_it_can_do() -> None:
    beside = [tool("answer_approval", "Pass on a yes."), tool("cancel_call", "Stop a function.")]
    from simulator.understanding.offered import offered

    assert abilities([]) == abilities(offered(beside)) == ""
    assert abilities(TOOLS[1:2]) == "I can give the quote of the day."
    few = offered([*beside, tool("find_part", ""), tool("add", "Add two numbers. Quickly."), tool("x", "Long " * 40)])
    assert abilities(few, also=True) == "I can also use find part, add two numbers or use x."
    assert abilities(TOOLS).count(",") == 3


@pytest.mark.parametrize(
    ("calls", "question"),
    [
        ('close_account with {"name": "Alice"}', "May I use close account with name Alice? Please say yes or no."),
        ("close_account with {}", "May I use close account? Please say yes or no."),
        (
            'a_b with {"x": {"y": 1}}; c with {"z": [1, 2]}',
            "May I use a b with x y 1 and use c with z 1 and 2? Please say yes or no.",
        ),
        ('long with {"x": "aaa… (and more, which is too long to say)', None),
    ],
)
def test_the_user_is_asked_for_a_yes(calls: str, question: str | None) -> None:
    asked = approval(ORDER.format(calls=calls))
    assert asked == question if question else str(asked).startswith("May I ")


@pytest.mark.parametrize("directive", ["", "Speak slowly.", "report has been running for 3 seconds: say so."])
def test_no_other_order_asks_for_a_yes(directive: Any) -> None:
    assert approval(directive) is None
