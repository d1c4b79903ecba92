"""Everything that Ringback raises on purpose, apart from the simulator, which shares no code with the rest.

    RingbackError
    ├── ConfigurationError      a setting, agent file or tool declaration is wrong; raised at start, never later
    │   ├── DeclarationError    an `@tool` function cannot be offered to a model as it is written
    │   ├── SchemaRefused       a tool's JSON schema cannot be offered to a model
    │   └── NoKey               something is to be redacted, and RINGBACK_DATA_KEY is not set
    ├── ToolError               a tool says, on purpose, what went wrong; the model hears the sentence
    │   └── Refused             an address that tools may not ask (`workers.egress`)
    ├── DecryptionFailed        no key of this process opens a sealed value
    ├── ProxyUnusable           a proxy that the environment names cannot be used
    ├── ConnectionLost          a remote tool's call went out, and its result is not known
    ├── DeadlineExceeded        an attempt used up its time
    ├── CallCancelled           a call was cancelled while it ran
    ├── Redacted                stands in the log for an exception whose text may hold private data
    ├── RehearsalError          a rehearsal of `ringback.testing` cannot go on
    ├── NotAnswered             a request of the page that talks cannot be met by `ringback up`
    ├── ProcessError            a process that `ringback up` or `demo` started did not do what was asked
    └── GatewayError            what the gateway raises; drawn in `gateway.errors`

A tool that fails is not one of these errors: it becomes an Outcome (`ringback.jobs.outcomes`), which the model hears.
"""

from __future__ import annotations


class RingbackError(Exception):
    """Root of the exceptions that Ringback raises on purpose."""


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

    message, code, retryable = "", "tool_error", False
    """Of an error whose own `__init__` does not call this one."""

    def __init__(self, message: str, *, code: str = "tool_error", retryable: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.retryable = retryable


NO_SUCH_TABLE = "42P01"
"""undefined_table (PostgreSQL, Appendix A)."""


def first_line(problem: BaseException) -> str:
    """Return the first line of what the driver, or the network, says of the problem; may be empty."""
    return str(problem).strip().partition("\n")[0]


def database_reason(problem: BaseException) -> str:
    """Return in a few words why Postgres did not do what it was asked, without the statement or its values."""
    if getattr(problem, "sqlstate", None) == NO_SUCH_TABLE:
        return "the database has no tables of ringback's yet: run `ringback migrate`"
    said = first_line(problem)
    return f"{type(problem).__name__}: {said}" if said else type(problem).__name__
