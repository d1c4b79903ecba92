"""Decides what a session does next, without I/O: events come in, actions go out.

    conversation     the entry points: receive_model, receive_client, deliver, progressed, tick
    actions          what the conversation can ask the session to do
    upstream_events  what each event of the model means; upstream_errors: what each error means
    tool_calls       a finished function call becomes a job, or is answered at once; how results are told
    call_table       one record for each call, from the model's request until its result is told
    turn_taking      who speaks next, and why: the response slot, the user, and the rules
    speaker          turns what the rules say is due into events
    client           what the client asks for, and what it sees of the model's events
    reconnect        from a new connection to a conversation that goes on
    item_log         what was said, in order

Nothing here awaits, reads a clock or opens a connection. The time is an argument, so that each rule of the protocol is
a row in a table of tests.
"""

from gateway.conversation.conversation import Conversation

__all__ = ["Conversation"]
