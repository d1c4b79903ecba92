"""What is mutated: frames of clients and events of the Realtime API, good ones and hostile ones."""

from __future__ import annotations

from typing import Any

from tests.unit.gateway.protocol.client_frames import AS_IT_CAME

CANARY = "the-vault-is-7391"
"""Stands in every field that is not a client's to set, and in what a client is not to see."""

TEXT = {"type": "input_text", "text": "Hello"}
MESSAGE = {"type": "message", "role": "user", "content": [TEXT]}
TOOL = {
    "type": "function",
    "name": "look_up",
    "description": "Look it up.",
    "parameters": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
}
CREATE, UPDATE = "conversation.item.create", "session.update"
DETECTION = {"type": "server_vad", "threshold": 0.5, "create_response": True, "idle_timeout_ms": 5_000}
EVERY_FIELD = {
    "type": "realtime",
    "model": CANARY,
    "instructions": CANARY,
    "prompt": {"id": CANARY},
    "tracing": CANARY,
    "truncation": "auto",
    "output_modalities": ["audio"],
    "max_output_tokens": "inf",
    "tool_choice": "auto",
    "include": ["item.input_audio_transcription.logprobs"],
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24_000},
            "turn_detection": DETECTION,
            "noise_reduction": {"type": "near_field"},
            "transcription": {"model": "gpt-4o-transcribe", "language": "en"},
        },
        "output": {"format": {"type": "audio/pcm"}, "voice": "marin", "speed": 1.0},
    },
}

CLIENT: list[dict[str, Any]] = [
    *AS_IT_CAME.values(),
    {"type": "input_audio_buffer.append", "audio": "AAECAwQF" * 40},
    {"type": "input_audio_buffer.append", "event_id": "mine", "audio": ""},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear", "event_id": "mine"},
    {"type": CREATE, "item": MESSAGE},
    {"type": CREATE, "previous_item_id": "root", "item": {**MESSAGE, "id": "item_1", "status": "completed"}},
    {
        "type": CREATE,
        "item": {**MESSAGE, "content": [TEXT, {"type": "input_audio", "audio": "AAEC", "transcript": "x"}]},
    },
    {
        "type": CREATE,
        "item": {**MESSAGE, "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}]},
    },
    {"type": CREATE, "item": {"type": "function_call_output", "call_id": "call_1", "output": '{"a": 1}'}},
    {"type": CREATE, "item": {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}},
    {"type": CREATE, "item": {**MESSAGE, "role": "system"}},
    {"type": CREATE, "item": {"type": "mcp_approval_response", "approval_request_id": "x", "approve": True}},
    {"type": "conversation.item.truncate", "item_id": "item_a", "content_index": 0, "audio_end_ms": 1_500},
    {"type": "conversation.item.delete", "item_id": "item_a"},
    {"type": "conversation.item.retrieve", "item_id": "item_a"},
    {"type": "output_audio_buffer.clear"},
    {"type": "response.create"},
    {"type": "response.create", "response": {"output_modalities": ["text"], "metadata": {"topic": "weather"}}},
    {"type": "response.create", "response": {"instructions": CANARY, "tools": [TOOL], "tool_choice": "required"}},
    {"type": "response.create", "response": {"conversation": "none", "input": [MESSAGE], "max_output_tokens": 5}},
    {"type": "response.cancel", "response_id": "resp_1"},
    {"type": UPDATE, "session": {}},
    {"type": UPDATE, "event_id": "mine", "session": EVERY_FIELD},
    {"type": UPDATE, "session": {"type": "realtime", "tools": [TOOL], "audio": {"input": {"turn_detection": None}}}},
    {"type": UPDATE, "session": {"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://example.com"}]}},
    {"type": "ringback.approval.respond", "job_id": "c9091c61-915b-5ff6-a80f-70d5ab22e78a", "approved": True},
    {"type": "ringback.playback", "item_id": "item_1", "played_ms": 1500},
]

_CALL = {"type": "function_call", "id": "item_c", "call_id": "call_1", "name": "weather", "status": "completed"}
_CALL["arguments"] = '{"city": "Oslo"}'
_OWN_CALL = {**_CALL, "id": "item_d", "call_id": "call_2", "name": "look_up", "arguments": '{"what": "x"}'}
_SAID = {
    "type": "message",
    "id": "item_a",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_audio", "transcript": "It is sunny.", "audio": None}],
}
_HEARD = {"type": "message", "id": "item_u", "role": "user", "content": [{"type": "input_audio", "transcript": None}]}
_USAGE = {
    "total_tokens": 30,
    "input_tokens": 20,
    "output_tokens": 10,
    "input_token_details": {"text_tokens": 5, "audio_tokens": 15, "cached_tokens": 3},
    "output_token_details": {"text_tokens": 2, "audio_tokens": 8},
}
_RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "realtime.response",
    "status": "in_progress",
    "output": [],
    "usage": None,
}
_DONE = {
    **_RESPONSE,
    "status": "completed",
    "output": [_SAID, _CALL],
    "usage": _USAGE,
    "metadata": {"ringback": "rb_1"},
}
_FAILED = {**_RESPONSE, "status": "failed", "status_details": {"type": "failed", "error": {"code": "x"}}}
SESSION = {
    **EVERY_FIELD,
    "id": "sess_1",
    "object": "realtime.session",
    "instructions": "Be kind.",
    "tools": [TOOL],
    "expires_at": 1_900_000_000,
}

MODEL: list[dict[str, Any]] = [
    {"type": "session.created", "event_id": "event_1", "session": SESSION},
    {"type": "session.updated", "event_id": "event_2", "session": SESSION},
    {"type": "input_audio_buffer.speech_started", "item_id": "item_u", "audio_start_ms": 10},
    {"type": "input_audio_buffer.speech_stopped", "item_id": "item_u", "audio_end_ms": 900},
    {"type": "input_audio_buffer.committed", "item_id": "item_u", "previous_item_id": None},
    {"type": "input_audio_buffer.timeout_triggered", "item_id": "item_u", "audio_start_ms": 0, "audio_end_ms": 1},
    {"type": "conversation.item.added", "item": _HEARD, "previous_item_id": None},
    {"type": "conversation.item.done", "item": _HEARD, "previous_item_id": "item_c"},
    {"type": "conversation.item.created", "item": _SAID, "previous_item_id": "item_u"},
    {"type": "conversation.item.added", "item": {**_CALL, "status": "in_progress"}, "previous_item_id": "item_u"},
    {"type": "conversation.item.done", "item": _OWN_CALL, "previous_item_id": "item_c"},
    {"type": "conversation.item.input_audio_transcription.delta", "item_id": "item_u", "delta": "What"},
    {"type": "conversation.item.input_audio_transcription.completed", "item_id": "item_u", "transcript": "What now?"},
    {"type": "conversation.item.truncated", "item_id": "item_a", "content_index": 0, "audio_end_ms": 300},
    {"type": "response.created", "response": _RESPONSE},
    {"type": "response.output_item.added", "response_id": "resp_1", "output_index": 0, "item": _SAID},
    {"type": "response.output_audio_transcript.delta", "response_id": "resp_1", "item_id": "item_a", "delta": "It is"},
    {"type": "response.output_text.delta", "response_id": "resp_1", "item_id": "item_a", "delta": " sunny"},
    {"type": "response.output_audio.delta", "response_id": "resp_1", "item_id": "item_a", "delta": "AAEC" * 100},
    {"type": "response.function_call_arguments.delta", "response_id": "resp_1", "item_id": "item_c", "delta": "{"},
    {"type": "response.function_call_arguments.done", "item_id": "item_c", "call_id": "call_1", "arguments": "{}"},
    {"type": "response.output_item.done", "response_id": "resp_1", "output_index": 1, "item": _CALL},
    {"type": "response.output_item.done", "response_id": "resp_1", "output_index": 2, "item": _OWN_CALL},
    {"type": "response.done", "response": _DONE},
    {"type": "response.done", "response": _FAILED},
    {
        "type": "rate_limits.updated",
        "rate_limits": [{"name": "tokens", "limit": 1, "remaining": 1, "reset_seconds": 0.1}],
    },
    {
        "type": "error",
        "error": {"type": "invalid_request_error", "code": "invalid_value", "message": "x", "event_id": "mine"},
    },
    {"type": "error", "error": {"code": "conversation_already_has_active_response", "event_id": None, "param": None}},
    {"type": "error", "error": {"code": "invalid_tool_call_id", "message": CANARY, "event_id": "rb_output_1_3"}},
    {"type": "error", "error": {"code": "session_expired", "message": "over"}},
    {"type": "brand.new", "item_id": "item_a", "anything": [1, {"a": None}]},
]

RAW: list[str] = [
    "",
    "null",
    "[]",
    '{"type": ',
    '{"type": "input_audio_buffer.clear", "type": "conversation.item.delete", "item_id": "i"}',
    '{"\\u0074ype": "input_audio_buffer.clear"}',
    '\ufeff{"type": "input_audio_buffer.clear"}',
    '{"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 1e999}',
    '{"type": "input_audio_buffer.clear", "x": ' + "[" * 5_000 + "]" * 5_000 + "}",
    '{"type": "input_audio_buffer.clear", "x": ' + '{"a":' * 5_000,
    '{"type": "input_audio_buffer.clear", "x": ' + "9" * 5_000 + "}",
    '{"type": "input_audio_buffer.clear", "x": [' + "0," * 5_000 + "0]}",
    '{"type": ' + '\\"' * 5_000,
    '{"type": "' + "\\ud83d" * 1_000 + '"}',
]

FRAGMENTS = [
    *("{", "}", "[", "]", ",", ":", '"', "\\", "\\u", "\\ud800", "\\u0000", "\\u0074", "\\/", "null", "true", "NaN"),
    *("-0", "1e999", "-1e-999", "9" * 400, "9" * 5_000, "0x1", "1.", ".5", "{}", "[[]]", '"type"', '"type":"x"'),
    *('"event_id":"rb_1"', '"item":{}', '"response":null', '"session":[]', '"audio":"AAEC"', '"tools":[]', "\ufeff"),
    *("\ud800", "\x00", "\x7f", "\u2028", "\U0001f600", "=", "==", "A" * 10_000, '"instructions":"' + CANARY + '"'),
]
"""What is thrown into the text."""

VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, 2**64, -(2**64), 10**30, 0.5, -0.0, 1e308, 5e-324),
    *("", "x", "x" * 70_000, "rb_client_1", "fco_1", "\x00", "\U0001f600", "\x1b[31m\r\n", "realtime", "function"),
    *("function_call", "function_call_output", "completed", "in_progress", "user", "assistant", "system", "item_a"),
    *("item_c", "call_1", "weather", "order", "look_up", "cancel_call", "resp_1", "audio/pcm", "server_vad", "inf"),
    *([], {}, [[]], [None], [{}], {"": {}}, {"type": "x"}, {"id": "item_a"}, {"ringback": "rb_1"}, list(range(300))),
    *({"type": []}, {"id": {}}, TEXT, MESSAGE, TOOL, _CALL, _SAID, _USAGE, SESSION, _RESPONSE),
]
"""What is put in the place of a value."""

NAMES = [
    *sorted({name for event in [*CLIENT, *MODEL] for name in event}),
    *("id", "name", "role", "content", "text", "transcript", "arguments", "status", "output", "metadata", "usage"),
    *("call_id", "instructions", "tools", "tool_choice", "audio", "input", "turn_detection", "format", "ringback"),
    *("code", "param", "message", "expires_at", "__class__", "$ref", "", "constructor"),
]
