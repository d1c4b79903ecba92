"""An HTTP API, for `examples/my_elsewhere.toml`: an order is looked up, or cancelled. `my_shop.yaml` describes it.

    python -m examples.my_shop

Your API is elsewhere and exists already; it does not know Ringback.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ORDERS = {"A-1042": "on its way", "A-1043": "packed"}


class Shop(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """/orders/{id}."""
        self._answer_about(self.path.removeprefix("/orders/"))

    def do_POST(self) -> None:
        """/orders/{id}/cancel. A call that is made again has the same key."""
        number = self.path.removeprefix("/orders/").removesuffix("/cancel")
        if number in ORDERS:
            ORDERS[number] = f"cancelled by {self.headers['X-Customer']}"
        self._answer_about(number)

    def _answer_about(self, number: str) -> None:
        if number in ORDERS:
            self._answer(HTTPStatus.OK, {"id": number, "state": ORDERS[number]})
        else:
            self._answer(HTTPStatus.NOT_FOUND, {"detail": f"There is no order {number}. Ask for the number again."})

    def _answer(self, status: HTTPStatus, data: Any) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log no requests."""


if __name__ == "__main__":
    with ThreadingHTTPServer(("127.0.0.1", 8090), Shop) as shop:
        print("http://127.0.0.1:8090")
        shop.serve_forever()
