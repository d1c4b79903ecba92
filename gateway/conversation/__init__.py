"""Decides what a session does next, without I/O: events come in, actions go out.

    conversation     the entry points: receive_model, receive_client, deliver, progressed, tick
    events           what the server of the model tells a conversation, as domain events
    actions          what a conversation asks the session to do
    event_names      the names of the events that a conversation writes, or reads from its client
    upstream_events  what each event means to calls and turns; upstream_errors: what each error means
    tool_calls       turns a finished function call into a job, or answers it at once; tells results
    call_table       one record for each call, from the model's request until its result is told
    turn_taking      who speaks next, and why: the response slot, the user, and the rules
    speaker          turns what the rules say is due into events
    client           what the client asks for, and what it sees of the model's events
    client_session   what the client has set of its session
    reconnect        from a new connection to a conversation that goes on
    item_log         what was said, in order

No module here awaits, reads a clock or opens a connection. The time is an argument, so that each rule of the protocol
is a row in a table of tests.
"""

from gateway.conversation.conversation import Conversation

__all__ = ["Conversation"]
