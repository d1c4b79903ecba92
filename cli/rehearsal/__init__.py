"""A whole conversation in one process, without a socket or a server: what `ringback.testing` hands to tool authors.

    talk         what came of it: the calls, what was said, when
    parts        the scripted model: which turn leads to which call
    line         the gateway's brain, the simulator's brain and the tools, put together
    clock        an event loop whose time passes by itself

Everything is the real thing but for the microphone, the wires and the rows.
"""

from cli.rehearsal.conversing import converse
from cli.rehearsal.scripted_model import Turn
from cli.rehearsal.session import RehearsalError
from cli.rehearsal.talk import Talk, ToolCall

__all__ = ["RehearsalError", "Talk", "ToolCall", "Turn", "converse"]
