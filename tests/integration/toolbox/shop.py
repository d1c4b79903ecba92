"""An HTTP API with every way to answer, served from a thread of the test."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from pydantic import BaseModel, Field

ELSEWHERE = "http://localhost:1/"
"""Another host; nobody answers there, and nobody should ask."""


class Item(BaseModel):
    article: str = Field(description="the number in the catalogue", pattern="^[A-Z]")
    count: int = Field(1, ge=1)


class Order(BaseModel):
    customer: str
    items: list[Item]
    gift: Item | None = None


class Shop:
    """The API, and what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.tries: dict[str, int] = {}
        self.hold = asyncio.Event()
        self.app = FastAPI(title="Shop")
        self.app.middleware("http")(self._note)
        for routes in (_orders, _trouble, _answers):
            routes(self)

    async def _note(self, request: Request, call_next: Any) -> Any:
        self.asked.append(request)
        return await call_next(request)

    def try_of(self, what: str) -> int:
        """How often this was asked for, now included."""
        self.tries[what] = self.tries.get(what, 0) + 1
        return self.tries[what]

    def write_document(self, folder: Path) -> Path:
        """The OpenAPI document, as FastAPI writes it."""
        path = folder / "shop.json"
        path.write_text(json.dumps(self.app.openapi()), encoding="utf-8")
        return path


def _orders(shop: Shop) -> None:
    @shop.app.get("/orders/{order_id}", operation_id="getOrder", summary="Look an order up.")
    def get_order(order_id: str, verbose: bool = False, x_region: Annotated[str | None, Header()] = None) -> Any:
        if order_id == "none":
            raise HTTPException(404, "there is no such order; ask for the number again")
        return {"id": order_id, "verbose": verbose, "region": x_region}

    @shop.app.get("/orders", operation_id="listOrders")
    def list_orders(tag: Annotated[list[str], Query()], customer: str) -> Any:
        """Find orders."""
        return {"tags": tag, "customer": customer}

    @shop.app.post("/orders", operation_id="placeOrder", status_code=201)
    def place_order(order: Order, request: Request) -> Any:
        """Place an order."""
        headers = request.headers
        return {
            "items": [item.model_dump() for item in order.items],
            "customer": order.customer,
            "key": headers.get("idempotency-key"),
            "authorization": headers.get("authorization"),
        }

    @shop.app.put("/orders/{order_id}", operation_id="changeOrder")
    def change_order(order_id: str, order: Order) -> Any:
        """Change an order."""
        return {"id": order_id, "customer": order.customer}


def _trouble(shop: Shop) -> None:
    @shop.app.get("/busy", operation_id="busy", summary="Be busy at first.")
    def busy(good_try: int) -> Any:
        tries = shop.try_of("busy")
        return {"try": tries} if tries >= good_try else JSONResponse({"detail": "later"}, 429)

    @shop.app.get("/broken", operation_id="broken", summary="Fail.")
    def broken() -> Any:
        return JSONResponse({"detail": "secret trace"}, 503)

    @shop.app.post("/payments", operation_id="pay", summary="Pay, and fail.")
    def pay() -> Any:
        shop.try_of("pay")
        return PlainTextResponse("boom", 500)

    @shop.app.get("/moved", operation_id="moved", summary="Be elsewhere.")
    def moved() -> Any:
        return RedirectResponse(ELSEWHERE)

    @shop.app.get("/slow", operation_id="slow", summary="Take for ever.")
    async def slow() -> Any:
        shop.try_of("slow")
        await shop.hold.wait()
        return {}


def _answers(shop: Shop) -> None:
    @shop.app.get("/text", operation_id="text", summary="Answer in text.")
    def text() -> Any:
        return PlainTextResponse("plain words")

    @shop.app.get("/picture", operation_id="picture", summary="Answer with a picture.")
    def picture() -> Any:
        return Response(b"12345678", media_type="image/png")

    @shop.app.get("/large", operation_id="large", summary="Answer too much.")
    def large() -> Any:
        return {"text": "x" * 300_000}

    @shop.app.delete("/nothing", operation_id="nothing", status_code=204, summary="Answer nothing.")
    def nothing() -> None:
        return None

    @shop.app.get("/cookies", operation_id="cookies", summary="Give a cookie.")
    def cookies(request: Request, response: Response) -> Any:
        response.set_cookie("caller", "ada")
        return request.cookies


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The app's address, while it is served; what it still answers at the end is cut."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=0)
        server = uvicorn.Server(config)
        started = Event()
        thread = Thread(target=_serve, args=(server, listening, started), daemon=True)
        thread.start()
        started.wait(10)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


def _serve(server: uvicorn.Server, listening: socket.socket, started: Event) -> None:
    async def serve() -> None:
        asyncio.get_running_loop().call_later(0, started.set)  # the socket listens already
        await server.serve([listening])

    asyncio.run(serve())
