"""The account at Twilio: how it and the gateway know each other, and what the gateway may do with a call there.

Calls are transferred by Twilio's REST API ("Update a Call resource"); a call ends with its stream.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from gateway.auth.resume_tokens import PREFIX
from gateway.http_client import http_client
from gateway.session.context import CallControlFailed
from gateway.telephony.twilio import twiml
from gateway.telephony.twilio.signature import is_signed

SECONDS = 10.0
"""The caller hears nothing meanwhile."""
SID = re.compile(r"[A-Za-z0-9]{1,64}")
"""Twilio's ids, which go into the URL."""


@dataclass(frozen=True, slots=True)
class TwilioAccount:
    """How Twilio and the gateway know each other.

    Args:
        tokens: the account's auth tokens; the first is used, each verifies.
        public_url: the gateway's as Twilio reaches it, as `https://voice.example.com`.
        api_url: of Twilio's REST API.
    """

    tokens: tuple[str, ...] = field(repr=False)
    public_url: str
    api_url: str

    def url_of(self, path: str, query: str = "") -> str:
        """Return the URL of one of the gateway's paths, as Twilio has it."""
        return f"{self.public_url}{path}" + (f"?{query}" if query else "")

    def has_signed(self, given: str, path: str, query: str, form: Sequence[tuple[str, str]]) -> bool:
        """Return whether the request is Twilio's."""
        return is_signed(given, self.tokens, self.url_of(path, query), form)

    def resume_token(self, call_sid: str) -> str:
        """Return the token that resumes the session of a call: every gateway can make it, and no client can."""
        made = hmac.new(self.tokens[0].encode(), f"ringback call {call_sid}".encode(), hashlib.sha256).digest()
        return PREFIX + urlsafe_b64encode(made).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class TwilioCallControl:
    """Control of one call.

    Args:
        api_url: `https://api.twilio.com`, or that of a region.
        account: the account's SID, and `token` its auth token.
        call_sid: of the call.
    """

    api_url: str
    account: str
    token: str = field(repr=False)
    call_sid: str

    async def transfer(self, target: str) -> None:
        """Transfer the call; Twilio ends its stream with that. Raises CallControlFailed; never repeated by itself."""
        if not (SID.fullmatch(self.account) and SID.fullmatch(self.call_sid)):
            raise CallControlFailed("Twilio named the call by an id that is none")
        url = f"{self.api_url}/2010-04-01/Accounts/{self.account}/Calls/{self.call_sid}.json"
        try:
            async with http_client(url, SECONDS) as client:
                form = {"Twiml": twiml.transfer(target)}
                answer = await client.post(url, data=form, auth=(self.account, self.token))
        except (httpx.HTTPError, OSError) as problem:
            raise CallControlFailed(type(problem).__name__) from None
        if not answer.is_success:
            raise CallControlFailed(f"Twilio answers {answer.status_code}")
