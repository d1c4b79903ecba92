"""A whole conversation in one process, without a socket or a server, for `ringback.testing`.

    conversing      `converse`: the user's turns, one after the other
    talk            the outcome: the calls, the words, the times
    scripted_model  which turn leads to which call
    session         connects the gateway's conversation, the simulator's conversation and the tools
    tool_runner     runs the calls, in place of rows and workers
    virtual_clock   an event loop whose clock skips waiting times

All parts are the real ones but for the microphone, the connections and the rows.
"""

from cli.rehearsal.conversing import converse
from cli.rehearsal.scripted_model import Turn
from cli.rehearsal.session import RehearsalError
from cli.rehearsal.talk import Talk, ToolCall

__all__ = ["RehearsalError", "Talk", "ToolCall", "Turn", "converse"]
