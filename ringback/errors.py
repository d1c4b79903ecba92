"""Everything Ringback raises on purpose.

    RingbackError
    ├── ConfigurationError     a setting, agent file or tool declaration is wrong; seen at start, never later
    │   └── DeclarationError   an `@tool` function cannot be offered to a model as it is written
    └── ToolError              a tool says, on purpose, what went wrong; the model hears the sentence

A tool that fails is not an error of ours: it becomes an Outcome (see `ringback.jobs.outcomes`), which the model hears.
"""

from __future__ import annotations


class RingbackError(Exception):
    """The root: catch it to catch everything Ringback raises on purpose."""


class ConfigurationError(RingbackError):
    """Configuration that cannot work. The text is one sentence that says what to change."""


class DeclarationError(ConfigurationError):
    """A tool declaration that cannot be offered to a model. Raised when the module is imported."""


class ToolError(RingbackError):
    """Raise it in a tool to tell the model what went wrong, in a sentence it can act on.

    Args:
        message: what the model hears, such as "There is no order A-1042; ask for the number again."
        code: a short machine-readable name, such as "order_not_found".
        retryable: True where trying again later may help; the job then uses its `retries`.
    """

    def __init__(self, message: str, *, code: str = "tool_error", retryable: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.retryable = retryable


NO_SUCH_TABLE = "42P01"
"""undefined_table (PostgreSQL, Appendix A)."""


def first_line(problem: BaseException) -> str:
    """Return what the driver, or the network, says of it, in one line; nothing where it says nothing."""
    return str(getattr(problem, "orig", None) or problem).strip().partition("\n")[0]


def database_reason(problem: BaseException) -> str:
    """Return in a few words why Postgres did not do what it was asked, without the statement or its values."""
    cause = getattr(problem, "orig", None) or problem
    if getattr(cause, "sqlstate", None) == NO_SUCH_TABLE:
        return "the database has no tables of ringback's yet: run `ringback migrate`"
    said = first_line(problem)
    return f"{type(cause).__name__}: {said}" if said else type(cause).__name__
