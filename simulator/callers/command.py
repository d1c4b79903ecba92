"""``python -m simulator phone`` and ``… twilio``: a caller who speaks a file, and hears into another one."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from websockets.exceptions import InvalidHandshake

from simulator.callers import phone, twilio
from simulator.callers.sound import SoundError, read, write

_USAGE_ERROR = 2


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"ringback simulator {name}")
    if name == "phone":
        parser.description = "Call the simulator by phone: it rings at your webhook, as a provider with SIP does."
        parser.add_argument("--simulator", default="ws://127.0.0.1:8765", help="runs with --control (%(default)s)")
        parser.add_argument("--webhook", required=True, metavar="URL", help="such as …/webhooks/openai")
        parser.add_argument("--secret", required=True, help="of the webhook, whsec_…")
    else:
        parser.description = "Call a gateway as Twilio does: the signed voice webhook, then the media stream."
        parser.add_argument("--voice", required=True, metavar="URL", help="such as …/twilio/voice")
        parser.add_argument("--token", required=True, help="of the Twilio account, which signs the webhook")
    parser.add_argument("--from", dest="caller", default="+15550100", help="the caller's number (%(default)s)")
    parser.add_argument("--to", dest="called", default="+15550199", help="the number that is called (%(default)s)")
    parser.add_argument("--says", type=Path, metavar="WAV", help="spoken when the call is answered: 24 kHz, mono")
    parser.add_argument("--keys", default="", help="pressed behind the words, such as 12#")
    parser.add_argument("--hears", type=Path, metavar="WAV", help="where to write what the caller hears")
    parser.add_argument("--seconds", type=float, default=30.0, help="hang up after so long (%(default)s)")
    return parser


def main(name: str, argv: Sequence[str]) -> int:
    """Call, print what happened as JSON, and return the exit code: 2 for wrong input, 1 if the call failed."""
    options = _parser(name).parse_args(argv)
    try:
        says = read(options.says) if options.says else b""
        heard, told = asyncio.run(_phone(options, says) if name == "phone" else _twilio(options, says))
    except (SoundError, FileNotFoundError) as error:
        sys.stderr.write(f"{name}: {error}\n")
        return _USAGE_ERROR
    except (OSError, InvalidHandshake, twilio.TwilioError) as error:
        sys.stderr.write(f"{name}: the call failed: {error}\n")
        return 1
    if options.hears:
        write(options.hears, heard)
    print(json.dumps(told))  # noqa: T201
    return 0


async def _phone(options: argparse.Namespace, says: bytes) -> tuple[bytes, object]:
    headers = {"From": f"sip:{options.caller}@sip.example.com", "To": f"sip:{options.called}@sip.example.com"}
    call = await phone.call(
        options.simulator,
        options.webhook,
        options.secret,
        says=says,
        keys=options.keys,
        headers=headers,
        longest_s=options.seconds,
    )
    return bytes(call.heard), {"call_id": call.call_id, "news": call.news, "heard_seconds": len(call.heard) / 48_000}


async def _twilio(options: argparse.Namespace, says: bytes) -> tuple[bytes, object]:
    form = {"From": options.caller, "To": options.called}
    call = await twilio.call(
        options.voice, options.token, says=says, keys=options.keys, form=form, longest_s=options.seconds
    )
    told = {"call_sid": call.call_sid, "verbs": call.verbs, "marks": call.marks, "clears": call.clears}
    return call.heard, {**told, "heard_seconds": len(call.played) / 8_000}
