"""The session brain: doors in, actions out, no I/O.

    actions       what the brain can ask the session loop to do
    brain         the doors: receive_model, receive_client, deliver, tick
    confirmation  does the model say that our instructions and tools are in force?
    calls         a finished function_call item becomes a job, or an answer at once
    floor         who may speak next: one response at a time, and never over the user
    view          what of the model's events a client gets to see

Nothing here awaits, reads a clock or opens anything: the time comes in as an argument, so each subtle rule of the
protocol is a line in a table of tests.
"""

from gateway.conversation.brain import Conversation

__all__ = ["Conversation"]
