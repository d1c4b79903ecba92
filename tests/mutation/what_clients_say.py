"""The guards of what a client may say, and of what is read at all."""

from __future__ import annotations

from tests.mutation.mutant import gone

READING, BOUNDS = "gateway/protocol/client_decoder.py", "gateway/protocol/decode_errors.py"
OPENING, EVENTS = "gateway/protocol/field_filter.py", "gateway/upstream/realtime_events.py"
T_BOUNDS, T_ALLOWED = (
    "tests/unit/gateway/protocol/test_decode_errors.py",
    "tests/unit/gateway/protocol/test_field_filter.py",
)
T_TOOLS = "tests/unit/gateway/protocol/test_client_tools.py"
T_REFUSALS, T_EVENTS = (
    "tests/unit/gateway/protocol/test_rejections.py",
    "tests/unit/gateway/upstream/test_realtime_events.py",
)
T_AUDIO = "tests/unit/gateway/protocol/test_client_audio.py"
READER, T_READER = "gateway/session/client_reader.py", "tests/unit/gateway/session/test_client_reader.py"
T_FUZZ = "tests/unit/gateway/protocol/test_fuzz.py"

WHAT_CLIENTS_SAY = [
    gone("a client's frame: no NUL", T_BOUNDS, READING, "if holds_nul(frame):", "if False:"),
    gone("a client's frame: depth", T_BOUNDS, BOUNDS, "if depth > MAX_DEPTH:", "if False:"),
    gone("a client's frame: values", T_BOUNDS, BOUNDS, "if values > most:", "if False:"),
    gone("a client's frame: brackets in texts are none", T_BOUNDS, BOUNDS, '"(?:[^"\\\\]++|\\\\.)*+"?|', ""),
    gone("a long frame carries audio or pictures", T_BOUNDS, READING, "len(frame) > MAX_PLAIN_CHARS", "False"),
    gone(
        "a client's events are those of its policy", T_ALLOWED, READING, "if kind not in allowed.events:", "if False:"
    ),
    gone(
        "a client's fields are those of its policy",
        T_ALLOWED,
        OPENING,
        "elif whole or name in opened.groups:",
        "else:",
    ),
    gone(
        "a client's answers are of its own functions",
        T_TOOLS,
        READING,
        "allowed.brings_tools if isinstance(item, FunctionCallOutput)",
        "True if isinstance(item, FunctionCallOutput)",
    ),
    gone("a client's audio passes only where its policy allows it", T_AUDIO, READING, " and APPEND in allowed", ""),
    gone(
        "a client's audio waits while no conversation is open",
        T_READER,
        READER,
        "self._link = None",
        "pass",
        "def pause",
    ),
    gone(
        "a client's audio passes as it came only where it stands alone",
        T_AUDIO,
        READING,
        "len(frame) == PLAIN_CHARS + len(append.audio) // 3 * 4",
        "True",
    ),
    gone(
        "a client's audio passes as it came only where it is written as the gateway writes it",
        T_AUDIO,
        READING,
        " and frame.startswith(PLAIN_HEAD)",
        "",
    ),
    gone("a client's ids are not the server's", T_REFUSALS, READING, "item.id.startswith(SERVER_ITEMS)", "False"),
    gone("a client's word is not the gateway's", T_REFUSALS, READING, "if OUR_MARK in", "if False and OUR_MARK in"),
    gone("the model's events have a depth", T_EVENTS, EVENTS, " and _is_too_deep(raw)", " and False"),
    gone("the model's events hold no NUL", T_EVENTS, EVENTS, "raw = _without_nul(raw)", "pass"),
    gone(
        "the model's events have the shape that is looked at",
        T_FUZZ,
        "gateway/upstream/events.py",
        "content: list[Any] | None",
        "content: Any",
    ),
]
