"""Names of spans and attributes: the only module that spells them.

`gen_ai.*` are those of OpenTelemetry's semantic conventions for generative AI, 0.1.0, all in development
(github.com/open-telemetry/semantic-conventions-genai); `messaging.*` those for queues. Two proposals for voice were
open in November 2026, and may be accepted under other names: live generation (pull request 394) and the end of an
invocation (390). Audio tokens have the names of 393. What no convention names begins with `ringback.`. What may be
personal has `pii` in its name, so that a collector can drop it by that.
"""

from __future__ import annotations

# — GenAI —

OPERATION = "gen_ai.operation.name"
AGENT = "gen_ai.agent.name"
CONVERSATION = "gen_ai.conversation.id"
PROVIDER = "gen_ai.provider.name"
MODEL = "gen_ai.request.model"
RESPONSE_ID = "gen_ai.response.id"
TOOL = "gen_ai.tool.name"
TOOL_TYPE = "gen_ai.tool.type"
TOOL_CALL = "gen_ai.tool.call.id"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
INPUT_AUDIO_TOKENS = "gen_ai.usage.audio.input_tokens"
OUTPUT_AUDIO_TOKENS = "gen_ai.usage.audio.output_tokens"
END_REASON = "gen_ai.agent.invocation.end_reason"

INVOKE = "invoke_agent"
EXECUTE = "execute_tool"
GENERATE = "generate_live_content"
FUNCTION = "function"
"""`gen_ai.tool.type` of a tool that runs on this side, and not at the provider."""

# — queues, and errors —

MESSAGING = "messaging.system"
MESSAGING_OPERATION = "messaging.operation.name"
DESTINATION = "messaging.destination.name"
ERROR_TYPE = "error.type"
SEND = "send"
CELERY = "celery"

# — Ringback —

JOB = "ringback.job.id"
JOB_STATE = "ringback.job.state"
QUEUE = "ringback.queue"
EPOCH = "ringback.epoch"
ATTEMPT = "ringback.attempt"
WORKER = "ringback.worker.id"
PURPOSE = "ringback.response.purpose"
RESULT_WAIT = "ringback.result_wait_seconds"
"""From the outcome until the user has heard it, as in the metric of that name."""
HEARD_BY = "ringback.heard_by"

ARGUMENTS = "ringback.pii.tool.arguments"
RESULT = "ringback.pii.tool.result"
USER = "ringback.pii.user"

RECORD = "record"
QUEUE_WAIT = "wait for a worker"
APPROVAL_WAIT = "wait for approval"
RING = "ring"
SEND_RESULT = "send result"
FLOOR_WAIT = "wait for the floor"
FIRST_AUDIO = "first audio"
HEARD = "heard"

ASKS = "asks"
TELLS = "tells"
"""Purposes of a response: it asks for the call, or tells its result."""

LOST = "worker_lost"
"""`error.type` of an attempt whose worker was killed, or lost its lease."""

_PROVIDERS = {"azure": "azure.ai.openai", "xai": "x_ai"}


def provider_name(name: str) -> str:
    """Return how the conventions name a provider of REALTIME_PROVIDER."""
    return _PROVIDERS.get(name, name)
