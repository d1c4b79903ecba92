"""The API beside the WebSocket: calls are placed and controlled, client secrets are made.

    POST /v1/realtime/calls     an SDP offer, alone or with a session: 201 and the answer
    POST /v1/realtime/calls/{call_id}/accept|reject|refer|hangup
    POST /v1/realtime/client_secrets

Azure has the same below ``/openai``; its ``?webrtcfilter=on`` shows the caller's program a few events only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from simulator.calls.call import Call
from simulator.calls.calls import Calls, PhoneCall
from simulator.calls.sdp import checked_offer
from simulator.performer import Speech
from simulator.server.connection_rules import ConnectionRequest, key_of, refusal_body
from simulator.server.control import Act
from simulator.server.door import Door
from simulator.server.http_connection import HttpAnswer, HttpRequest
from simulator.wire import Refused, invalid, mapping, missing, text

_ROOTS = ("/v1/realtime/", "/openai/v1/realtime/")
# Recorded: any page may place a call, and read where it is.
_FOR_PAGES = {"access-control-allow-origin": "*", "access-control-expose-headers": "Location, X-Request-Id"}
_PREFLIGHT = {
    **_FOR_PAGES,
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": "Authorization, Content-Type",
}
_SECRET_SECONDS = (10, 600, 7200)
"""The shortest life of a client secret, the usual and the longest."""
_DECLINED = 603
"""The SIP status of a rejection that names none."""


def is_for_api(line: str) -> bool:
    """Return whether a request line is for this API."""
    words = line.split(" ")
    return len(words) > 1 and words[1].startswith(_ROOTS)


@dataclass
class HttpApi:
    """The routes.

    ``no_media`` says why offers cannot be answered, or is None. ``record`` takes a request, and returns what takes its
    answer.
    """

    door: Door
    calls: Calls
    speech: Speech
    no_media: str | None = None
    record: Callable[[HttpRequest], Callable[[HttpAnswer], None]] = lambda request: lambda answer: None

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """Answer a request, and record it; what it asks for is recorded before it is done."""
        answered = self.record(request)
        answer = await self._answer(request)
        answered(answer)
        return answer

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        path = urlsplit(request.target).path
        parts = path[path.index("/realtime/") + len("/realtime/") :].split("/")
        if request.method == "OPTIONS":
            return HttpAnswer(204, headers=_PREFLIGHT)
        if request.method != "POST":
            return _refused(405, f"{request.method} is not supported here; use POST.")
        wanted = ConnectionRequest.of(request.target)
        refusal = self.door.refusal(wanted, _capitalised(request.headers))
        if refusal is not None:
            return _refused(*refusal)
        act = _act_of(parts)
        ordered = self.door.control.answer_to(act) if act and self.door.control else None
        if ordered is not None and not ordered.done:
            return _refused(ordered.status, ordered.message, ordered.code)
        answer = await self._answered(parts, wanted, request)
        if act and self.door.control:
            await self.door.control.released(act)
        return answer if ordered is None else _refused(ordered.status, ordered.message, ordered.code)

    async def _answered(self, parts: list[str], wanted: ConnectionRequest, request: HttpRequest) -> HttpAnswer:
        try:
            return await self._route(parts, wanted, request)
        except Refused as error:
            return HttpAnswer(400, json.dumps({"error": _shown(error)}), headers=_FOR_PAGES)

    async def _route(self, parts: list[str], wanted: ConnectionRequest, request: HttpRequest) -> HttpAnswer:
        match parts:
            case ["calls"]:
                return await self._place(wanted, request)
            case ["calls", call_id, "accept" | "reject" | "refer" | "hangup" as verb]:
                return self._control(call_id, verb, request.body)
            case ["client_secrets"]:
                return self._make_secret(request.body)
        return _refused(404, f"Unknown path {urlsplit(request.target).path}.")

    async def _place(self, wanted: ConnectionRequest, request: HttpRequest) -> HttpAnswer:
        if self.no_media is not None:
            return _refused(501, self.no_media)
        offer, session = _offer_and_session(request)
        secret = self.door.secret(key_of(_capitalised(request.headers)))
        filtered = parse_qs(urlsplit(request.target).query).get("webrtcfilter") == ["on"]
        call = Call(self.door.conversation(wanted), self.speech, filtered=filtered)
        call.conversation.configure({**(secret.session if secret else {}), **session})
        answer = await self.calls.place(call, offer)
        headers = {**_FOR_PAGES, "location": f"/v1/realtime/calls/{call.id}"}
        return HttpAnswer(201, answer, "text/plain; charset=utf-8", headers)

    def _control(self, call_id: str, verb: str, body: bytes) -> HttpAnswer:
        live, phone = self.calls.live.get(call_id), self.calls.phones.get(call_id)
        if live is None and (phone is None or verb == "hangup"):
            return _refused(404)
        if live is not None and verb == "hangup":
            live.end()
        elif phone is None:
            raise Refused("invalid_call", f"No phone placed this call: only 'hangup' is possible, not '{verb}'.")
        else:
            _tell(phone, verb, _object(body, "body"))
        return HttpAnswer(200)

    def _make_secret(self, body: bytes) -> HttpAnswer:
        fields = _object(body, "body")
        least, usual, most = _SECRET_SECONDS
        seconds = mapping(fields.get("expires_after"), "expires_after").get("seconds", usual)
        if not isinstance(seconds, int) or not least <= seconds <= most:
            raise invalid("expires_after.seconds", f"Invalid value: expected an integer from {least} to {most}.")
        session = mapping(fields.get("session"), "session")
        conversation = self.door.conversation(ConnectionRequest("/v1/realtime"))
        conversation.configure(session)
        made = self.door.make_secret(seconds, session)
        shown = {**conversation.player.session, "expires_at": 0}
        return HttpAnswer(
            200,
            json.dumps({"value": made.value, "expires_at": made.expires_at, "session": shown}),
            headers=_FOR_PAGES,
        )


def _tell(phone: PhoneCall, verb: str, fields: Mapping[str, Any]) -> None:
    """Have a phone call accepted, rejected or passed on."""
    if verb == "accept":
        phone.accept(fields)
    elif verb == "reject":
        status = fields.get("status_code", _DECLINED)
        if not isinstance(status, int) or not 400 <= status < 700:
            raise invalid("status_code", "Invalid value: expected a SIP status from 400 to 699.")
        phone.reject(status)
    else:
        if "target_uri" not in fields:
            raise missing("target_uri")
        phone.refer(text(fields["target_uri"], "target_uri"))


def _offer_and_session(request: HttpRequest) -> tuple[str, Mapping[str, Any]]:
    """Return the offer, and the session's fields if the request has them, of either form of request.

    Raises:
        Refused: the request has another form.
    """
    kind = request.headers.get("content-type", "")
    if kind.startswith("application/sdp"):
        return checked_offer(request.body), {}
    if not kind.startswith("multipart/form-data"):
        raise invalid("content-type", "Expected 'application/sdp', or 'multipart/form-data' with 'sdp' and 'session'.")
    parts = _parts(kind, request.body)
    if "sdp" not in parts:
        raise missing("sdp")
    session = _object(parts["session"], "session") if "session" in parts else {}
    return checked_offer(parts["sdp"]), session


def _parts(content_type: str, body: bytes) -> dict[str, bytes]:
    """Return the parts of a form by their names."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    form = message_from_bytes(head + body, policy=policy.HTTP)
    parts: dict[str, bytes] = {}
    for part in form.iter_parts() if form.is_multipart() else ():
        content = part.get_payload(decode=True)
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str) and isinstance(content, bytes):
            parts[name] = content
    return parts


def _object(body: bytes, param: str) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError as error:
        raise Refused("invalid_json", f"The '{param}' is not valid JSON: {error}", param) from error
    return mapping(value, param)


def _act_of(parts: list[str]) -> Act | None:
    match parts:
        case ["calls"]:
            return "place"
        case ["calls", _, "accept" | "reject" | "refer" | "hangup" as verb]:
            return cast(Act, verb)
    return None


def _refused(status: int, message: str | None = None, code: str | None = None) -> HttpAnswer:
    return HttpAnswer(status, refusal_body(status, message, code), headers=_FOR_PAGES)


def _shown(error: Refused) -> dict[str, Any]:
    return {"message": error.message, "type": error.type, "param": error.param, "code": error.code}


def _capitalised(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return headers by the names under which the rules look for them."""
    return {**headers, **({"Authorization": headers["authorization"]} if "authorization" in headers else {})}
