"""Operations of a real HTTP API, over real connections: the request, and the result or error of each answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringback.errors import ToolError
from ringback.tools.call import Call
from ringback.tools.decorator import Tool
from tests.integration.toolbox.shop import Shop, serving
from workers.execution.results import arguments_for
from workers.remote_tools.declaration import CALL
from workers.remote_tools.failures import ConnectionLost
from workers.remote_tools.loader import load

EVERY = (
    *("getOrder", "listOrders", "placeOrder", "changeOrder", "busy", "broken", "pay", "moved", "slow"),
    *("text", "picture", "large", "nothing", "cookies"),
)
ADA = Call(job_id="11111111-1111-1111-1111-111111111111", user="ada")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, dict[str, Tool]]]:
    """Yield an API below /v2, and each of its operations as a tool."""
    shop, folder = Shop(), tmp_path_factory.mktemp("shop")
    shop.write_document(folder)
    with serving(below_v2(shop.app)) as address:
        yield shop, tools_at(f"{address}/v2/", folder)


@pytest.fixture
def shop(served: tuple[Shop, dict[str, Tool]]) -> Shop:
    served[0].asked.clear()
    served[0].tries.clear()
    return served[0]


@pytest.fixture
def tools(served: tuple[Shop, dict[str, Tool]]) -> dict[str, Tool]:
    return served[1]


def below_v2(app: Any) -> Any:
    async def below(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            assert scope["path"].startswith("/v2/")
            scope = {**scope, "path": scope["path"][3:], "raw_path": scope["raw_path"][3:]}
        await app(scope, receive, send)

    return below


def tools_at(address: str, folder: Path) -> dict[str, Tool]:
    operations = "\n".join(f"[openapi.shop.operation.{name}]" for name in EVERY if name != "listOrders")
    file = folder / "tools.toml"
    file.write_text(
        f"""
        [openapi.shop]
        document = "shop.json"
        base_url = "{address}"
        headers = {{ Authorization = "Bearer env:SHOP_TOKEN" }}
        {operations}
        [openapi.shop.operation.listOrders]
        fixed = {{ customer = "call:user" }}
        """,
        encoding="utf-8",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOP_TOKEN", "open sesame")
        return {tool.name: tool for tool in load([str(file)])}


def ask(tool: Tool, *calls: dict[str, Any]) -> Any:
    """Return what the tool returns to the last of these calls, made one after the other on one loop."""

    async def asked() -> Any:
        return [await tool.function(**arguments_for(tool, arguments), **{CALL: ADA}) for arguments in calls or ({},)]

    return asyncio.run(asked())[-1]


def test_a_lookup_brings_what_the_api_answers(tools: dict[str, Tool]) -> None:
    answer = ask(tools["getOrder"], {"order_id": "A-1042", "verbose": True, "x-region": "north"})
    assert answer == {"id": "A-1042", "verbose": True, "region": "north"}


@pytest.mark.parametrize("order_id", ["a b", "a?b=c", "a#b", "ä€", "50%", "%2e%2e", "a.b"])
def test_a_value_of_the_path_arrives_as_it_was_given(tools: dict[str, Tool], order_id: str) -> None:
    assert ask(tools["getOrder"], {"order_id": order_id})["id"] == order_id


@pytest.mark.parametrize("order_id", ["", "..", ".", "../orders", "a/../../b", "a\\..\\b"])
def test_a_value_that_leads_out_of_its_place_is_refused_and_nothing_is_asked(
    tools: dict[str, Tool], shop: Shop, order_id: str
) -> None:
    with pytest.raises(ToolError, match="order_id cannot be sent"):
        ask(tools["getOrder"], {"order_id": order_id})
    assert shop.asked == []


def test_the_path_of_a_value_with_a_slash_is_still_that_of_the_operation(tools: dict[str, Tool], shop: Shop) -> None:
    with pytest.raises(ToolError):  # FastAPI takes %2F for a slash, and has no such path
        ask(tools["getOrder"], {"order_id": "a/b"})
    assert shop.asked[0].scope["raw_path"] == b"/orders/a%2Fb"


def test_a_header_with_a_second_line_is_refused(tools: dict[str, Tool]) -> None:
    with pytest.raises(ToolError, match="x-region cannot be sent"):
        ask(tools["getOrder"], {"order_id": "1", "x-region": "north\r\nAuthorization: mine"})


def test_what_the_file_fixes_the_model_does_not_choose(tools: dict[str, Tool]) -> None:
    assert ask(tools["listOrders"], {"tag": ["a", "b"]}) == {"tags": ["a", "b"], "customer": "ada"}
    with pytest.raises(ToolError, match="customer"):
        ask(tools["listOrders"], {"tag": ["a"], "customer": "bob"})


def test_an_order_is_placed_with_the_key_of_its_call_and_the_secret_of_the_environment(tools: dict[str, Tool]) -> None:
    answer = ask(tools["placeOrder"], {"customer": "ada", "items": [{"article": "X1"}]})
    assert answer == {
        "items": [{"article": "X1", "count": 1}],
        "customer": "ada",
        "key": ADA.idempotency_key,
        "authorization": "Bearer open sesame",
    }


def test_path_and_body_are_one_set_of_arguments(tools: dict[str, Tool]) -> None:
    assert ask(tools["changeOrder"], {"order_id": "7", "customer": "ada", "items": []}) == {
        "id": "7",
        "customer": "ada",
    }


def test_no_cookie_of_one_call_is_sent_with_the_next(tools: dict[str, Tool]) -> None:
    assert ask(tools["cookies"], {}, {}) == {}


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("text", "plain words"),
        ("nothing", {"status": 204}),
        ("picture", {"status": 200, "answer": "[image/png, 8 bytes: it cannot be told here]"}),
    ],
)
def test_an_answer_that_is_no_json_is_told_as_what_it_is(tools: dict[str, Tool], name: str, answer: Any) -> None:
    assert ask(tools[name]) == answer


@pytest.mark.parametrize(
    ("name", "arguments", "code", "retryable", "words"),
    [
        ("getOrder", {"order_id": "none"}, "http_404", False, "ask for the number again"),
        ("busy", {"good_try": 9}, "http_429", True, "later"),
        ("broken", {}, "http_503", True, "shop failed"),
        ("moved", {}, "http_307", False, "redirects"),
        ("large", {}, "result_too_large", False, "262144 bytes"),
    ],
)
def test_a_refusal_is_told_in_words_to_act_on(
    tools: dict[str, Tool], name: str, arguments: dict[str, Any], code: str, retryable: bool, words: str
) -> None:
    with pytest.raises(ToolError, match=words) as refused:
        ask(tools[name], arguments)
    assert (refused.value.code, refused.value.retryable) == (code, retryable)
    assert "secret" not in refused.value.message


def test_a_payment_that_fails_may_have_been_made(tools: dict[str, Tool], shop: Shop) -> None:
    with pytest.raises(ConnectionLost):
        ask(tools["pay"])
    assert shop.tries == {"pay": 1}


def test_an_api_that_is_not_there_has_done_nothing(shop: Shop, tmp_path: Path) -> None:
    shop.write_document(tmp_path)
    with serving(shop.app) as address:
        pass
    with pytest.raises(ToolError, match="nothing was done") as refused:
        ask(tools_at(address, tmp_path)["pay"])
    assert (refused.value.code, refused.value.retryable) == ("not_reached", True)


def test_an_api_that_breaks_off_may_have_done_it(shop: Shop, tmp_path: Path) -> None:
    shop.write_document(tmp_path)

    async def cut(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})
        raise OSError

    with serving(cut) as address, pytest.raises(ConnectionLost):
        ask(tools_at(address, tmp_path)["pay"])


@pytest.mark.parametrize(("encoding", "body"), [(b"br", b"packed"), (b"gzip", b"no gzip at all")])
@pytest.mark.parametrize(("status", "problem"), [(200, ToolError), (503, ConnectionLost)])
def test_an_answer_that_cannot_be_unpacked_is_not_told_as_if_nothing_was_done(
    shop: Shop, tmp_path: Path, encoding: bytes, body: bytes, status: int, problem: type[Exception]
) -> None:
    shop.write_document(tmp_path)

    async def packed(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-encoding", encoding)]})
        await send({"type": "http.response.body", "body": body})

    with serving(packed) as address, pytest.raises(problem, match=r"was carried out|failed") as raised:
        ask(tools_at(address, tmp_path)["pay"])
    assert getattr(raised.value, "code", "bad_result") == "bad_result"
