"""The offer of a call, and an answer without media: text that a test can read, and that connects nothing.

The answer has the form of a recorded one.
"""

from __future__ import annotations

import secrets

from simulator.wire import Refused

_SESSION = ("v=0", "o=- {number} 1784852417 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=msid-semantic:WMS *")
_AUDIO = (
    "m=audio 9 UDP/TLS/RTP/SAVPF 0",
    "c=IN IP4 127.0.0.1",
    "a=setup:active",
    "a=mid:{mid}",
    "a=ice-ufrag:{ufrag}",
    "a=ice-pwd:{password}",
    "a=rtcp-mux",
    "a=rtpmap:0 PCMU/8000",
    "a=sendrecv",
)
_CHANNEL = (
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 127.0.0.1",
    "a=setup:active",
    "a=mid:{mid}",
    "a=ice-ufrag:{ufrag}",
    "a=ice-pwd:{password}",
    "a=sctp-port:5000",
)


def checked_offer(body: bytes) -> str:
    """Return an offer's text.

    Raises:
        Refused: it is no SDP, or offers no audio.
    """
    try:
        offer = body.decode()
    except UnicodeDecodeError:
        raise _refused("The SDP offer is not UTF-8 text.") from None
    if not offer.startswith("v=0"):
        raise _refused("The body is no SDP offer: it must begin with 'v=0'.")
    if not any(line.startswith("m=audio") for line in offer.splitlines()):
        raise _refused("The SDP offer has no audio: add a microphone track, or a transceiver for audio.")
    return offer


def answer_without_media(offer: str) -> str:
    """Return an answer to a checked offer, media section by media section, that connects nothing."""
    values = {
        "number": str(secrets.randbits(62)),
        "ufrag": secrets.token_hex(4),
        "password": secrets.token_hex(12),
    }
    fingerprint = ":".join(f"{byte:02X}" for byte in secrets.token_bytes(32))
    sections = _sections(offer)
    mids = " ".join(mid for _, mid in sections)
    lines = [*_SESSION, "a=ice-lite", f"a=fingerprint:sha-256 {fingerprint}", f"a=group:BUNDLE {mids}"]
    for kind, mid in sections:
        template = _CHANNEL if kind == "application" else _AUDIO
        lines += [line.replace("{mid}", mid) for line in template]
    return "".join(f"{line.format(**values)}\r\n" for line in lines)


def _sections(offer: str) -> list[tuple[str, str]]:
    """Return the kind of each media section with its `mid`; audio and data only."""
    sections: list[tuple[str, str]] = []
    for line in offer.splitlines():
        if line.startswith("m="):
            sections.append((line[2:].split(" ", 1)[0], str(len(sections))))
        elif line.startswith("a=mid:") and sections:
            sections[-1] = (sections[-1][0], line.removeprefix("a=mid:").strip())
    return [section for section in sections if section[0] in ("audio", "application")]


def _refused(message: str) -> Refused:
    return Refused("invalid_offer", message, "sdp")
