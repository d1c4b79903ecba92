"""Slots of processes that are scraped as one: each process writes its metrics to the files of its slot.

The children of one command share a folder, and any of them answers a scrape for all. A slot is a number with a lock
file. The kernel frees the lock when its process ends, however it ends. The process that follows takes the same slot and
counts on from there: so there are never more files than processes at once, and no counter goes back.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from secrets import token_hex

from prometheus_client import multiprocess

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Variable in which prometheus-client looks for the folder."""
IN_MEMORY = Path("/dev/shm")  # noqa: S108 (a folder with a random name is made in it)
"""Where the folder is made if it can be: a write to a file on a disk may have to wait for the disk."""
PREFIX, UNFINISHED = "ringback-metrics-", "ringback-unfinished-"


class Slots:
    """Slots in a folder that this process makes, for itself and its children."""

    def __init__(self, parent: Path | None = None) -> None:
        parent = parent or (IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else Path(tempfile.gettempdir()))
        _remove_abandoned(parent)
        unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=parent))
        self._number: str | None = None
        self._lock: int | None = None
        self._maker = os.getpid()
        self.folder = unfinished
        self.number()  # a folder with a free lock would be taken for abandoned as soon as it has its name
        self.folder = unfinished.rename(parent / f"{PREFIX}{token_hex(8)}")
        os.environ[FOLDER] = str(self.folder)
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def number(self) -> str:
        """Return the number of this process's slot. Take a free one first if it has none, as after a fork."""
        if self._number is None:
            self._number, self._lock = self._take()
        return self._number

    def forget_dead(self) -> None:
        """Drop what processes that have ended said of their present state. What they counted stays."""
        for file in self.folder.glob("*.lock"):
            if file.stem != self._number:
                with _locked(file) as lock:
                    if lock is not None:
                        multiprocess.mark_process_dead(file.stem, str(self.folder))  # type: ignore[no-untyped-call]

    def remove(self) -> None:
        """Remove the folder, in the process that made it; do nothing in a child."""
        if os.getpid() == self._maker:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _take(self) -> tuple[str, int]:
        for number in map(str, count()):
            lock = _lock(self.folder / f"{number}.lock")
            if lock is not None:
                multiprocess.mark_process_dead(number, str(self.folder))  # type: ignore[no-untyped-call]
                return number, lock
        raise AssertionError("numbers do not end")

    def _leave_to_parent(self) -> None:
        if self._lock is not None:
            os.close(self._lock)  # the parent's own descriptor keeps the lock
        self._number = self._lock = None


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of commands whose processes have all ended without removing them, as by SIGKILL."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's, or another process removes it now
            if all(_is_free(file) for file in folder.glob("*.lock")):
                shutil.rmtree(folder)


def _is_free(file: Path) -> bool:
    with _locked(file) as lock:
        return lock is not None


@contextmanager
def _locked(file: Path) -> Iterator[int | None]:
    """Yield the descriptor of the lock for the duration of the block; None if a living process has it."""
    lock = _lock(file)
    try:
        yield lock
    finally:
        if lock is not None:
            os.close(lock)


def _lock(file: Path) -> int | None:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
