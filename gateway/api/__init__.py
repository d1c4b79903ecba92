"""HTTP and WebSocket routes: one module for each part of the API that clients and operators call."""

SOCKETS_AT = ("/v1/realtime", "/openai/v1/realtime", "/openai/realtime")
"""Paths of the WebSocket: as OpenAI's SDKs ask for it, and as Azure's do."""
TWILIO_VOICE_AT, TWILIO_STREAM_AT = "/twilio/voice", "/twilio/media"
"""Paths that Twilio asks: what to do with a call, and the WebSocket of its audio."""
MAX_BODY_BYTES = 64 * 1_024
"""Of a request's body: the largest that a route takes is JSON of a few kilobytes."""
NO_UPGRADE = (
    "This address takes WebSockets, and the request asked for none (no header `Upgrade: websocket`). If the client did "
    "ask, a proxy in between dropped it: let it pass `Upgrade` and `Connection` on, with HTTP/1.1 (in nginx: "
    "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade)."
)
