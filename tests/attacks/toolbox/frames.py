"""Frames that are no events, frames that two readers of JSON read differently, and frames that are too much for one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

MARK = "SMUGGLED"
"""Stands in what must not reach the Realtime API: each odd frame, and the reading that was not checked."""
HEARD = "HEARD"
"""Stands in the reading that was checked, and reaches it."""
FIVE_THOUSAND_DIGITS = "9" * 5_000


def said(text: str = MARK) -> str:
    """A user's message, as JSON text."""
    return f'{{"type":"message","role":"user","content":[{{"type":"input_text","text":"{text}"}}]}}'


def create(item: str) -> str:
    return f'{{"type":"conversation.item.create","item":{item}}}'


def by(roles: str) -> str:
    """A message whose role is written as it stands there."""
    return create(f'{{"type":"message",{roles},"content":[{{"type":"input_text","text":"{MARK}"}}]}}')


def cut(milliseconds: str) -> str:
    """A truncation, with a number that is written as it stands there."""
    where = f'"item_id":"{MARK}","content_index":0'
    return f'{{"type":"conversation.item.truncate",{where},"audio_end_ms":{milliseconds}}}'


def event(kind: str) -> str:
    return f'{{"type":{kind},"event_id":"{MARK}","item":{said()}}}'


ODD: dict[str, str | bytes] = {
    "type twice": f'{{"type":"session.update","type":"input_audio_buffer.commit","event_id":"{MARK}"}}',
    "type twice, forbidden last": f'{{"type":"response.cancel","type":"conversation.item.delete","x":"{MARK}"}}',
    "role twice": by('"role":"user","role":"system"'),
    "not a number": cut("NaN"),
    "infinity": cut("Infinity"),
    "too large a number": cut("1e999"),
    "negative": cut("-1"),
    "a number of 5,000 digits": cut(FIVE_THOUSAND_DIGITS),
    "lone surrogate": create(said(MARK + " \\ud800")),
    "byte order mark": "\ufeff" + create(said()),
    "comment": create(said()).replace("{", f"{{/* {MARK} */", 1),
    "trailing comma": create(said())[:-1] + ",}",
    "two values": '{"type":"input_audio_buffer.clear"}' + create(said()),
    "an array": f"[{create(said())}]",
    "single quotes": create(said()).replace('"', "'"),
    "a control character": event('"conversation.item.create\n"'),
    "type is a list": event('["conversation.item.create"]'),
    "type in another case": event('"Conversation.Item.Create"'),
    "type with a space": event('"conversation.item.create "'),
    "binary, and not UTF-8": create(said()).encode().replace(b"SMUGGLED", b"SMUGGLED\xff\xfe"),
    "binary, UTF-16": create(said()).encode("utf-16"),
    "empty": "",
    "null": "null",
    "an id of ours": f'{{"type":"conversation.item.create","event_id":"rb_{MARK}","item":{said()}}}',
}


TWO_READINGS: dict[str, str] = {
    "role twice, user last": create(f'{{"role":"system",{said(HEARD)[1:]}'),
    "item twice": f'{{"type":"conversation.item.create","item":{said()},"item":{said(HEARD)}}}',
    "item twice, once escaped": f'{{"type":"conversation.item.create","item":{said()},"\\u0069tem":{said(HEARD)}}}',
    "text twice": create(said(f'{MARK}","text":"{HEARD}')),
    "type twice, the same": f'{{"type":"conversation.item.create",{create(said(HEARD))[1:]}',
    "escaped key": '{"\\u0074ype":"conversation.item.create","item":' + said(HEARD) + "}",
    "escaped key inside": create(said(HEARD).replace("role", "r\\u006fle")),
    "escaped type": create(said(HEARD)).replace("create", "cre\\u0061te"),
    "5,000 digits where no field is": create(f'{said(HEARD)[:-1]},"{MARK}":{FIVE_THOUSAND_DIGITS}}}'),
}
"""Each passes, as the event that its last names say: the user says `HEARD`."""


def audio(**more: Any) -> str:
    return json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA", **more})


def wide(keys: int) -> str:
    """So many keys in one object."""
    return audio(**{str(number): 0 for number in range(keys)})


def message_of(*parts: str) -> str:
    content = [{"type": "input_text", "text": part} for part in parts]
    return json.dumps(
        {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}}
    )


TOO_MUCH: dict[str, Callable[[], str]] = {
    "100,000 arrays deep": lambda: audio(x=0).replace("0}", "[" * 100_000 + "]" * 100_000 + "}"),
    "100,000 objects deep": lambda: '{"type":"session.update","session":' + '{"a":' * 100_000 + "1" + "}" * 100_001,
    "5,000 keys": lambda: cut("1").replace("{", "{" + "".join(f'"{each}":0,' for each in range(5_000)), 1),
    "as many parts as fit": lambda: message_of(*[""] * 50_000),
    "a text of 2 MB": lambda: message_of("x" * 2_000_000),
    "a type of 2 MB": lambda: json.dumps({"type": "x" * 2_000_000}),
    "250,000 digits": lambda: cut("9" * 250_000),
}
"""Each fits into RINGBACK_MAX_FRAME_BYTES. They are made when they are wanted: every collection of tests reads this."""
PASSED_OVER: dict[str, Callable[[], str]] = {
    "as many keys as fit": lambda: wide(150_000),
    "two million digits": lambda: audio(x=0).replace("0}", "9" * 2_000_000 + "}"),
}
"""Beside audio, of which the decoder builds two fields and passes over the others."""
TOO_LARGE: dict[str, Callable[[], str]] = {
    "10 MB": lambda: "x" * 10_000_000,
    "a million keys": lambda: wide(1_000_000),
}
