"""The names of the events that a conversation writes, and of those that its client writes: all of them stand here.

No decision names an event of the model's server: these come as domain events (`gateway.upstream.events`). The few names
of such events here are for what the client is shown.
"""

from __future__ import annotations

from msgspec import Struct

from gateway.protocol import client_events


def _tag(event: type[Struct]) -> str:
    return str(event.__struct_config__.tag)


# — what a client says, and the gateway to the model —

APPEND_AUDIO = _tag(client_events.AppendAudio)
COMMIT_AUDIO = _tag(client_events.CommitAudio)
CLEAR_AUDIO = _tag(client_events.ClearAudio)
CREATE_ITEM = _tag(client_events.CreateItem)
RETRIEVE_ITEM = _tag(client_events.RetrieveItem)
DELETE_ITEM = _tag(client_events.DeleteItem)
TRUNCATE_ITEM = _tag(client_events.TruncateItem)
CREATE_RESPONSE = _tag(client_events.CreateResponse)
CANCEL_RESPONSE = _tag(client_events.CancelResponse)
UPDATE_SESSION = _tag(client_events.UpdateSession)
ANSWER_APPROVAL = _tag(client_events.AnswerApproval)
REPORT_PLAYBACK = _tag(client_events.ReportPlayback)

AUDIO_BUFFER = "input_audio_buffer."
"""How the names of the events about the user's audio begin."""

# — what the gateway says to a client —

SESSION_CREATED = "session.created"
SESSION_UPDATED = "session.updated"
ITEM_RETRIEVED = "conversation.item.retrieved"
ITEM_TRUNCATED = "conversation.item.truncated"
ITEM_DELETED = "conversation.item.deleted"
RESPONSE_DONE = "response.done"
ERROR = "error"
JOB = "ringback.job"
RESULT = "ringback.result"
APPROVAL_REQUESTED = "ringback.approval.requested"

# — what of the model's events a client is shown, by how their names begin —

SHOWN = ("session.", "conversation.", AUDIO_BUFFER, "output_audio_buffer.", "response.", ERROR)
"""All that a stranger is shown. Not `rate_limits.updated`, which tells of the server's account, nor events that a
provider adds."""
OF_CALLS = ("response.function_call_arguments.", "response.mcp_call", "mcp_list_tools.")
"""Calls of the server's functions, which are its business."""

# — what tells the guard of a call that an item is new —

SHOWN_FIRST = frozenset({"conversation.item.added", "conversation.item.created"})
