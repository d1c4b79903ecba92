"""Processes of ours that start without importing anything: `popen` in the place of `subprocess.Popen`.

A start costs a tenth of what it costs elsewhere, and there are hundreds in a run of the suite. What is neither
`python -m` nor `python -c`, or asks for more than is offered here, is started by `subprocess` itself.
"""

from __future__ import annotations

import atexit
import json
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from select import select
from tempfile import TemporaryFile
from threading import Lock
from typing import IO, Any

ROOT = Path(__file__).parents[1]
FORKING_CLI = (sys.executable, "-m", "tests.forking", str(ROOT / "cli" / "__main__.py"))
"""The `ringback` command, which forks the processes that it starts. ROOT is where it runs, or in PYTHONPATH."""
OBEYED = {"PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONWARNINGS"}
"""What a forked process makes something of; every other `PYTHON…` is read by an interpreter as it starts."""


class Forked(subprocess.Popen[Any]):
    """A child of the fork server, for whoever expects one of its own: to be waited for, to be killed."""

    def __init__(self, args: Sequence[str], asked: Sequence[Any], files: Sequence[int], stdout: IO[Any] | None) -> None:
        self.asked = asked
        self._child_created = False  # by us; so that nothing is made of it when this object goes
        self.args, self.stdin, self.stdout, self.stderr = args, None, stdout, None
        self.returncode: Any = None
        self._reading = Lock()
        self._news, told = os.pipe()
        weakref.finalize(self, os.close, self._news)
        try:
            socket.send_fds(fork_server(), [json.dumps(asked).encode()], [*files, told])
        finally:
            os.close(told)
        self.pid = self._hear()

    def poll(self) -> int | None:
        with self._reading:
            if self.returncode is None and select([self._news], [], [], 0)[0]:
                self.returncode = self._hear()
            return self.returncode  # type: ignore[no-any-return]

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None and not select([self._news], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        self.poll()
        return self.returncode  # type: ignore[no-any-return]

    def _hear(self) -> int:
        """Its pid, and then how it has ended."""
        said = b""
        while not said.endswith(b"\n"):  # byte by byte: what comes behind is for the next look
            byte = os.read(self._news, 1)
            if not byte:
                raise ChildProcessError(f"the fork server has ended before {self.asked[0]}")
            said += byte
        return int(said)


def popen(
    args: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    stdout: int | IO[Any] | None = None,
    stderr: int | IO[Any] | None = None,
    start_new_session: bool = False,
    text: bool | None = None,
    errors: str | None = None,
    **more: Any,
) -> subprocess.Popen[Any]:
    """Start a process as `subprocess.Popen` does, forked where that can be done. Its standard input is empty then."""
    rest = {name: value for name, value in more.items() if value not in (None, subprocess.DEVNULL)}
    environment = dict(os.environ if env is None else env)
    if rest or not _can_be_forked(args, environment):
        how: dict[str, Any] = {"env": env, "cwd": cwd, "stdout": stdout, "stderr": stderr, "errors": errors, **more}
        return subprocess.Popen(args, start_new_session=start_new_session, text=text, **how)
    nothing = os.open(os.devnull, os.O_RDONLY)
    heard, said = os.pipe() if stdout == subprocess.PIPE else (None, None)
    try:
        out = _number(stdout, said, 1)
        files = [nothing, out, _number(stderr, out, 2)]
        asked = [args[1:], environment, str(cwd or Path.cwd()), start_new_session]
        reader = None if heard is None else os.fdopen(heard, "r" if text or errors else "rb", errors=errors)
        return Forked(args, asked, files, reader)
    finally:
        for each in (nothing, said):
            if each is not None:
                os.close(each)


def _number(file: int | IO[Any] | None, special: int | None, inherited: int) -> int:
    """The file's; `special` where `subprocess` has a word for it: our end of a pipe, or what standard output is."""
    if file is None:
        return inherited
    if isinstance(file, int):
        return special if file in (subprocess.PIPE, subprocess.STDOUT) and special is not None else file
    return file.fileno()


def _can_be_forked(args: Sequence[str], env: Mapping[str, str]) -> bool:
    python, *words = args
    if words[:1] == ["-W"]:
        words = words[2:]
    other = {name for name in env if name.startswith("PYTHON") and env[name] != os.environ.get(name)} - OBEYED
    return sys.platform == "linux" and python == sys.executable and words[:1] in (["-m"], ["-c"]) and not other


@cache
def fork_server() -> socket.socket:
    """The door of this process' own, started at the first call. It ends with us, whatever becomes of us."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        number = str(its.fileno())
        argv = [sys.executable, "-m", "tests.fork_server", number]
        env = {**os.environ, "PYTHONUNBUFFERED": "1"}
        server = subprocess.Popen(argv, cwd=ROOT, env=env, pass_fds=[its.fileno()], start_new_session=True)

    def end() -> None:
        ours.close()
        server.wait()

    atexit.register(end)
    return ours


def run(args: Sequence[str], *, timeout: float, **how: Any) -> subprocess.CompletedProcess[str]:
    """Run it to its end, as `subprocess.run` does that captures text; raises subprocess.TimeoutExpired."""
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        process = popen(args, stdout=out, stderr=err, text=True, **how)
        try:
            process.wait(timeout)
        finally:
            process.kill()
            process.wait()
        for each in (out, err):
            each.seek(0)
        return subprocess.CompletedProcess(args, process.returncode, out.read(), err.read())


def ended(process: subprocess.Popen[str]) -> tuple[str, int]:
    """What it wrote into the pipe of its standard output, and its exit code, once it has ended."""
    with process:
        assert process.stdout
        return process.stdout.read(), process.wait()
