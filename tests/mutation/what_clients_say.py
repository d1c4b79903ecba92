"""The guards of what a client may say, and of what is read at all."""

from __future__ import annotations

from tests.mutation.mutant import gone

READING, STRICTNESS = "gateway/protocol/client_decoder.py", "gateway/protocol/json_strictness.py"
OPENING, EVENTS = "gateway/protocol/field_filter.py", "gateway/protocol/server_events.py"
T_STRICT, T_ALLOWED = (
    "tests/unit/gateway/protocol/test_json_strictness.py",
    "tests/unit/gateway/protocol/test_field_filter.py",
)
T_TOOLS = "tests/unit/gateway/protocol/test_client_tools.py"
T_REFUSALS, T_EVENTS = (
    "tests/unit/gateway/protocol/test_rejections.py",
    "tests/unit/gateway/protocol/test_server_events.py",
)
T_FUZZ = "tests/unit/gateway/protocol/test_fuzz.py"

WHAT_CLIENTS_SAY = [
    gone("a client's frame: no name stands twice", T_STRICT, STRICTNESS, "if written in names:", "if False:"),
    gone(
        "a client's frame: names are compared as they are meant",
        T_STRICT,
        STRICTNESS,
        "        written = _meant(written)\n",
    ),
    gone("a client's frame: no needless escape", T_STRICT, STRICTNESS, "is_strict and not", "False and not"),
    gone("a client's frame: no half of a pair", T_STRICT, STRICTNESS, "    if _halved(meant):", "    if False:"),
    gone("a client's frame: no NUL", T_STRICT, STRICTNESS, 'if "\\x00" in meant:', "if False:"),
    gone("a client's frame: depth", T_STRICT, STRICTNESS, "if depth > MAX_DEPTH:", "if False:"),
    gone("a client's frame: numbers", T_STRICT, STRICTNESS, "broken if math.isinf(float(mark)) else None", "None"),
    gone(
        "a client's audio is looked through unless its quotation marks are its own",
        T_STRICT,
        READING,
        " and frame.count('\"') == QUOTES_OF_AUDIO + more",
    ),
    gone(
        "a client's audio is looked through where something is escaped",
        T_STRICT,
        READING,
        '"\\\\" not in frame and ',
    ),
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
    gone("a client's ids are not the server's", T_REFUSALS, READING, "item.id.startswith(SERVER_ITEMS)", "False"),
    gone("a client's word is not the gateway's", T_REFUSALS, READING, "if OUR_MARK in", "if False and OUR_MARK in"),
    gone("the model's events have a depth", T_EVENTS, EVENTS, " and _is_too_deep(event)", " and False"),
    gone("the model's events hold no NUL", T_EVENTS, EVENTS, "event = _without_nul(event)", "pass"),
    gone(
        "the model's events have the shape that is looked at", T_FUZZ, EVENTS, "    content: list[Any] | None = None\n"
    ),
]
