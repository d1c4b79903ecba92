"""What Twilio is told to do with a call, in its language (TwiML). Pure."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
HANG_UP = f"{HEAD}<Response><Hangup/></Response>"
BUSY = f'{HEAD}<Response><Reject reason="busy"/></Response>'
REJECT = f'{HEAD}<Response><Reject reason="rejected"/></Response>'


def connect(stream_url: str, next_url: str, token: str) -> str:
    """Return the words that bring the call's audio to `stream_url`, and have Twilio ask `next_url` once it is over.

    It is over when either side hangs up, and when the gateway closes the WebSocket or is gone (Twilio, `<Connect>`:
    `action`; its errors 31921 and 31903). The stream's URL takes no query, so the token is a parameter (31920).
    """
    parameter = f'<Parameter name="token" value={quoteattr(token)}/>'
    stream = f"<Stream url={quoteattr(stream_url)}>{parameter}</Stream>"
    return f"{HEAD}<Response><Connect action={quoteattr(next_url)}>{stream}</Connect></Response>"


def transfer(target: str) -> str:
    """Return the words that transfer a call to a `tel:` or `sip:` address."""
    if target.startswith("tel:"):
        return f"{HEAD}<Response><Dial>{escape(target.removeprefix('tel:'))}</Dial></Response>"
    return f"{HEAD}<Response><Dial><Sip>{escape(target)}</Sip></Dial></Response>"
