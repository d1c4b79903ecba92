"""Count of the stop requests, on both sides of a fork."""

from __future__ import annotations

import os
from threading import Thread

from workers.lifecycle.stop_signal import StopSignal

PATIENCE = 20.0


def test_it_counts_and_nothing_is_used_up_by_looking() -> None:
    asked = StopSignal()
    assert (asked.count, asked.adopt()) == (0, False)
    asked.request()
    asked.request()
    asked.wait(0)
    assert [asked.count, asked.count] == [2, 2]


def test_the_process_that_made_it_waits_without_looking_and_a_signal_ends_the_wait() -> None:
    asked = StopSignal()
    waiting = Thread(target=asked.wait, args=(0.0,))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    asked.request()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()


def child(asked: StopSignal, steps: int) -> int:
    """Fork a child; it exits with its count once the parent has requested a stop so often."""
    pid = os.fork()
    if pid == 0:
        asked.adopt()
        while asked.count < steps:
            asked.wait(0.01)
        os._exit(asked.count)
    return pid


def test_children_hear_of_it_and_the_parent_of_their_end() -> None:
    asked = StopSignal()
    pids = [child(asked, 2) for _ in range(2)]
    asked.request()
    assert not asked.children_are_gone()
    asked.request()
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    assert codes == [2, 2]
    assert asked.children_are_gone()


def test_a_child_counts_its_own_signals_and_its_parent_does_not() -> None:
    asked = StopSignal()
    pid = os.fork()
    if pid == 0:
        asked.adopt()
        asked.request()
        os._exit(asked.count)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert asked.count == 0


def test_a_parent_that_is_gone_has_asked() -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        asked = StopSignal()
        if os.fork() == 0:
            asked.adopt()
            asked.wait(10)
            os.write(writer, bytes([asked.count]))
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 1) == b"\1"
    os.close(reader)
    os.close(writer)
