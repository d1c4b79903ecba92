"""What both sides of the line stand on, and what a tool author imports.

    from ringback import Call, tool

`tools`, `declaring`, `manners` and `schema` turn a typed function into something a model can call; `jobs` and
`outcomes` say what may happen to a call; `tables` and `statements` say it in SQL; `broker` and `doorbell` carry ids
between processes; `settings` and `agents` read configuration; `errors` draws the exception tree. Nothing here opens a
connection or runs a loop: the gateway does that in its async way and the workers in their threaded one.
"""

from ringback.calls import Call
from ringback.errors import ToolError
from ringback.tools import Breaker, Tool, tool

__all__ = ["Breaker", "Call", "Tool", "ToolError", "tool"]
