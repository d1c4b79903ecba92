"""Statements that are built and compiled once; each call only fills in its parameters.

A function under `@statement` builds one statement with SQLAlchemy. It runs once in a process, with bind parameters in
the place of its arguments, so its arguments must not decide what it builds. Its constants become part of the text:
Postgres can plan with them, and only the arguments travel. The text is libpq's own (`$1`), as psycopg sends it.

A statement whose shape depends on what is asked (a search of the history, a report) is built when it is asked, and
`bound` compiles it then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import update_wrapper
from inspect import Parameter, signature
from types import MappingProxyType, ModuleType
from typing import Any, Generic, NamedTuple, ParamSpec, TypeAlias
from uuid import UUID
from weakref import WeakSet

from sqlalchemy import BindParameter, Executable, bindparam
from sqlalchemy.dialects.postgresql.psycopg import PGCompiler_psycopg, PGDialect_psycopg
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import JSON, TypeEngine

P = ParamSpec("P")
Convert: TypeAlias = Callable[[Any], Any] | None
"""Converts an argument to what psycopg takes; None: it is taken as it is."""

PREFIX = "given_"
"""Before the name of each argument: SQLAlchemy keeps the names of columns to itself."""


class Bound(NamedTuple):
    """Statement with its parameters, ready to be executed."""

    text: bytes
    parameters: list[Any]
    is_kept: bool = True
    """True if it comes again with other parameters: it is worth preparing."""
    given: Mapping[str, Any] = MappingProxyType({})
    """Arguments of its function, by name."""
    of: Callable[..., Bound] | None = None
    """The function that fills in its parameters."""


Runnable: TypeAlias = Bound | Executable
"""What the gateway, the workers and the command line execute."""


class Statement(Generic[P]):
    """Statement that is compiled at its first use, or by `compile_of`. A call returns it with its parameters.

    Args:
        names: of the arguments, if `build` takes any (`**given`).
    """

    def __init__(self, build: Callable[P, Executable], names: Iterable[str] = ()) -> None:
        update_wrapper(self, build)
        self.build: Callable[P, Any] = build
        """Builds it with these arguments in it, for a statement that adds to it."""
        given = signature(build).parameters.values()
        self._names = tuple(names) or tuple(each.name for each in given)
        self._defaults = {each.name: each.default for each in given if each.default is not Parameter.empty}
        self._text = b""
        self._order: tuple[tuple[str, Convert], ...] = ()
        _all.add(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Bound:
        if not self._text:
            self.compile()
        given = {**self._defaults, **dict(zip(self._names, args, strict=False)), **kwargs}
        if len(given) != len(self._names):
            raise TypeError(f"{self.build.__name__} takes {', '.join(self._names)}, and got {', '.join(given)}")
        return Bound(
            self._text,
            [given[name] if convert is None else convert(given[name]) for name, convert in self._order],
            given=given,
            of=self,
        )

    def compile(self) -> None:
        """Build the statement and compile it."""
        arguments: Any = {name: bindparam(PREFIX + name) for name in self._names}
        build: Callable[..., Any] = self.build
        compiled: SQLCompiler = build(**arguments).compile(dialect=_once)
        converts = _converts(compiled)
        self._order = tuple((name.removeprefix(PREFIX), converts[name]) for name in compiled.positiontup or ())
        self._text = str(compiled).encode()


def statement(build: Callable[P, Executable]) -> Statement[P]:
    """Decorate a function that builds a statement: it is built and compiled once in a process."""
    return Statement(build)


def joined(each: Sequence[Bound]) -> Bound:
    """Return one run for several of a statement that takes lists: their lists are joined, all else is the same in each.

    Raises:
        ValueError: they are no runs of one statement, or differ in an argument that is no list.
    """
    first, given = each[0], dict(each[0].given)
    for other in each[1:]:
        for name, value in other.given.items():
            if isinstance(value, list) and other.of is first.of:
                given[name] = [*given[name], *value]
            elif other.of is not first.of or value != given[name]:
                raise ValueError(f"{name} differs: these are no runs of one statement for several sessions")
    if first.of is None:
        raise ValueError("only what a `Statement` returned can be joined")
    return first.of(**given)


def as_records(each: Sequence[Bound]) -> list[dict[str, Any]]:
    """Return the arguments of several runs as JSON, from which `json_to_recordset` makes a row of each."""
    return [{name: _as_json(value) for name, value in one.given.items()} for one in each]


def compile_of(*modules: ModuleType) -> None:
    """Compile the statements of these modules now, so that the first call of a process does not wait for it."""
    names = {module.__name__ for module in modules}
    for each in _all:
        if each.build.__module__ in names:
            each.compile()


def bound(runnable: Runnable) -> Bound:
    """Return the statement with its parameters. One that was built with its values in it is compiled now."""
    if isinstance(runnable, Bound):
        return runnable
    executable: Any = runnable
    compiled: SQLCompiler = executable.compile(dialect=_each_time)
    state = compiled.construct_expanded_state()  # an IN has as many parameters as its list
    converts = {**_converts(compiled), **state.processors}
    parameters = [
        value if (convert := converts.get(name)) is None else convert(value)
        for name, value in zip(state.positiontup or (), state.positional_parameters, strict=True)
    ]
    return Bound(state.statement.encode(), parameters, is_kept=False)


def _as_json(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    return f"\\x{value.hex()}" if isinstance(value, bytes) else value


class _Compiler(PGCompiler_psycopg):
    """Compiler that renders constants as part of the text."""

    def visit_bindparam(self, bindparam: BindParameter[Any], *args: Any, **options: Any) -> str:
        options["literal_binds"] = not bindparam.required
        return super().visit_bindparam(bindparam, *args, **options)  # type: ignore[no-untyped-call, no-any-return]

    def render_literal_value(self, value: Any, type_: TypeEngine[Any]) -> str:
        if isinstance(type_, JSON):
            return f"{_quoted(json.dumps(value))}::{type_.__visit_name__}"
        if isinstance(value, str):
            return _quoted(value)
        return super().render_literal_value(value, type_)  # type: ignore[no-untyped-call, no-any-return]


def _quoted(text: str) -> str:
    """Return a constant of Ringback's own as SQL."""
    return "'" + text.replace("'", "''") + "'"


def _dialect(compiler: type[PGCompiler_psycopg]) -> PGDialect_psycopg:
    dialect = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
    dialect.statement_compiler = compiler
    return dialect


def _converts(compiled: SQLCompiler) -> dict[str, Convert]:
    """Return by the name of each parameter how its value is converted; of its uses, one has the type that says so."""
    dialect, found = compiled.dialect, dict[str, Convert]()
    for bind, name in compiled.bind_names.items():
        found[name] = bind.type.dialect_impl(dialect).bind_processor(dialect) or found.get(name)
    return found


_all: WeakSet[Statement[Any]] = WeakSet()
_once = _dialect(_Compiler)
_each_time = _dialect(PGCompiler_psycopg)
