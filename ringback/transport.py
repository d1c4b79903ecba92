"""How the voice of a session goes between its caller and the model."""

from __future__ import annotations

from enum import StrEnum


class Transport(StrEnum):
    """Transport of a session (`sessions.transport`)."""

    WEBSOCKET = "websocket"
    """Through the gateway, which owns the connection to the model."""
    WEBRTC = "webrtc"
    """From a page to the Realtime API; the gateway is beside the call."""
    SIP = "sip"
    """From a telephone to the Realtime API; the gateway is beside the call."""
