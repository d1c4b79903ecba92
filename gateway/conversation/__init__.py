"""The session brain: doors in, actions out, no I/O.

    actions       what the brain can ask the session loop to do
    brain         the doors: receive_model, receive_client, deliver, progressed, tick
    opening       from the connection to a conversation that a client may take part in; confirmation, rebuild, carried
    hearing       what the model's events mean to calls and to turn-taking
    calls         a finished function_call item becomes a job, or an answer at once; arguments, guard, own, approvals
    call_table    one record for each call, from the model's request until its result is told
    renderings    how an outcome is told, and when; results sends it
    turn_taking   who speaks next, and why: the response slot, the user, and the rules
    speaking      turns what the rules say is due into events
    view          what of the model's events a client gets to see; clientside, unheard: what the client says
    log           what was said, in order

Nothing here awaits, reads a clock or opens anything: the time comes in as an argument, so each subtle rule of the
protocol is a line in a table of tests.
"""

from gateway.conversation.conversation import Conversation

__all__ = ["Conversation"]
