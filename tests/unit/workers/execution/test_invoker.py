"""Tools within their deadlines: on the loop, and in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from threading import Event, Thread, current_thread
from threading import enumerate as enumerate_threads
from time import monotonic
from typing import Any

import pytest

from ringback import Call, ToolError, tool
from workers.execution.event_loop import Run
from workers.execution.invoker import ToolInvoker
from workers.execution.retry_policy import CallCancelled, DeadlineExceeded
from workers.execution.waiting import run_to_end
from workers.leases.in_flight import Cancellation

AGES = 3_000.0
SOON = 0.05
PATIENCE = 10.0
BEARING = [(ToolInvoker(1), 20), (ToolInvoker(100), 20), (ToolInvoker(150), 30), (ToolInvoker(1, bears_stuck=False), 0)]


@tool
async def pause(length: float) -> float:
    """Wait, on the loop."""
    await asyncio.sleep(length)
    return length


@tool
async def stubborn() -> None:
    """Ignore being cancelled, once."""
    try:
        await asyncio.sleep(AGES)
    except asyncio.CancelledError:
        await asyncio.sleep(AGES)


@tool
async def own_timeout() -> None:
    """Give up by itself."""
    raise TimeoutError("the other side is slow")


@tool
async def own_cancellation() -> None:
    """Cancel itself."""
    raise asyncio.CancelledError


@tool
async def leave() -> None:
    """Try to end Python."""
    raise SystemExit(1)


@tool
async def leave_as_a_group() -> None:
    """End as a group of tasks does whose last one was cancelled."""
    raise BaseExceptionGroup("all", [asyncio.CancelledError()])


@tool
def exhausted() -> None:
    """Ask for the next of none."""
    next(iter(()))


@tool
def where(call: Call) -> tuple[str, str]:
    """Say which thread runs this, and who asked."""
    return current_thread().name, call.user


@pytest.fixture
def caller() -> Iterator[ToolInvoker]:
    caller = ToolInvoker()
    yield caller
    caller.loop.stop()


def ask(
    caller: ToolInvoker,
    what: Any,
    seconds: float = PATIENCE,
    cancellation: Cancellation | None = None,
    **arguments: Any,
) -> Any:
    return run_to_end(caller.call(what, arguments, Call(user="ada"), seconds, cancellation or Cancellation()))


def test_a_plain_function_runs_in_a_thread_of_its_own_and_gets_the_call(caller: ToolInvoker) -> None:
    assert ask(caller, where) == ("tool-where", "ada")


def test_async_tools_share_one_loop_and_wait_side_by_side(caller: ToolInvoker) -> None:
    meeting = asyncio.Barrier(20)

    @tool
    async def meet() -> str:
        """Go on when all are here."""
        await meeting.wait()
        return current_thread().name

    places: list[str] = []
    threads = [Thread(target=lambda: places.append(ask(caller, meet))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert places == ["tool-loop"] * 20


def test_an_async_tool_out_of_time_is_cancelled(caller: ToolInvoker) -> None:
    cleaned = Event()

    @tool
    async def tidy() -> None:
        """Tidy up when cancelled."""
        try:
            await asyncio.sleep(AGES)
        finally:
            cleaned.set()

    with pytest.raises(DeadlineExceeded):
        ask(caller, tidy, SOON)
    assert cleaned.is_set()


def test_an_async_tool_that_ignores_being_cancelled_is_left_behind(caller: ToolInvoker) -> None:
    with pytest.raises(DeadlineExceeded):
        ask(caller, stubborn, SOON)
    assert ask(caller, pause, length=0) == 0
    assert not caller.worn


def test_a_sync_tool_out_of_time_is_left_in_its_thread_and_counted_until_it_returns(caller: ToolInvoker) -> None:
    release, left = Event(), Event()

    @tool
    def hang() -> None:
        """Hang until released."""
        release.wait(PATIENCE)
        left.set()

    with pytest.raises(DeadlineExceeded):
        ask(caller, hang, SOON)
    assert caller.stuck == 1
    threads = [thread for thread in enumerate_threads() if thread.name == "tool-hang"]
    release.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert left.is_set()
    assert caller.stuck == 0


@pytest.mark.parametrize(("caller", "borne"), BEARING)
def test_with_more_stuck_threads_than_it_bears_the_process_is_to_be_replaced(caller: ToolInvoker, borne: int) -> None:
    release = Event()

    def hang() -> None:
        """Hang until released."""
        release.wait(PATIENCE)

    hanging = [tool(name=name)(hang) for name in ("hang_a", "hang_b", "hang_c")]
    for number in range(borne + 1):
        assert not caller.worn, f"{number} of them are borne"
        with pytest.raises(DeadlineExceeded):
            ask(caller, hanging[number % 3], 0.001)
    assert caller.worn == f"threads stuck in tools that have no time-outs of their own: {borne + 1}"
    release.set()


def test_a_tool_whose_calls_hang_is_left_alone_until_some_return_and_wears_nothing_out_by_itself() -> None:
    caller, release = ToolInvoker(1), Event()

    @tool
    def hang() -> None:
        """Hang until released."""
        release.wait(PATIENCE)

    @tool
    def well() -> str:
        """Answer."""
        return "well"

    for _ in range(10):
        with pytest.raises(DeadlineExceeded):
            ask(caller, hang, 0.001)
    with pytest.raises(ToolError, match="not begun") as refused:
        ask(caller, hang, 0.001)
    assert refused.value.code == "unavailable"
    assert not caller.worn
    assert ask(caller, well, PATIENCE) == "well"
    threads = [thread for thread in enumerate_threads() if thread.name == "tool-hang"]
    release.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert ask(caller, hang, PATIENCE) is None


def test_an_async_tool_that_stands_on_the_loop_beyond_its_time_wears_the_process_out(caller: ToolInvoker) -> None:
    release = Event()

    @tool
    async def block() -> None:
        """Block the loop until released."""
        release.wait(PATIENCE)

    with pytest.raises(DeadlineExceeded):
        ask(caller, block, SOON)
    assert caller.worn == "an async tool holds up the event loop for longer than its time"
    release.set()


def test_who_is_held_up_by_another_blames_nobody_before_that_ones_time_is_over(caller: ToolInvoker) -> None:
    release, begun = Event(), Event()

    @tool
    async def block() -> None:
        """Block the loop until released."""
        begun.set()
        release.wait(PATIENCE)

    thread = Thread(target=lambda: ask(caller, block))
    thread.start()
    assert begun.wait(PATIENCE)
    late = Event()

    @tool
    async def come_late() -> None:
        """Say that it has begun."""
        late.set()

    with pytest.raises(DeadlineExceeded):
        ask(caller, come_late, SOON)
    release.set()
    thread.join(PATIENCE)
    assert caller.worn == ""
    assert ask(caller, pause, length=0) == 0
    assert not late.is_set(), "its call is over, and may have been answered or begun anew"


def test_an_async_tool_that_begins_late_has_what_is_left_of_its_time() -> None:
    async def scene() -> None:
        run = Run(AGES)
        run.begin(asyncio.sleep(AGES), monotonic())
        assert run.task is not None
        with pytest.raises(DeadlineExceeded):
            await run.task

    asyncio.run(scene())


def cancel_soon(cancellation: Cancellation, begun: Event) -> None:
    """Cancel the call once the tool has begun."""

    def ask_then() -> None:
        assert begun.wait(PATIENCE)
        cancellation.ask()

    Thread(target=ask_then).start()


def test_an_async_tool_that_nobody_waits_for_is_cancelled_and_may_tidy_up(caller: ToolInvoker) -> None:
    begun, cleaned, cancellation = Event(), Event(), Cancellation()

    @tool
    async def tidy() -> None:
        """Tidy up when cancelled."""
        begun.set()
        try:
            await asyncio.sleep(AGES)
        finally:
            cleaned.set()

    cancel_soon(cancellation, begun)
    with pytest.raises(CallCancelled):
        ask(caller, tidy, cancellation=cancellation)
    assert cleaned.is_set()


def test_a_sync_tool_that_nobody_waits_for_is_left_in_its_thread(caller: ToolInvoker) -> None:
    begun, release, cancellation = Event(), Event(), Cancellation()

    @tool
    def hang() -> None:
        """Hang until released."""
        begun.set()
        release.wait(PATIENCE)

    cancel_soon(cancellation, begun)
    with pytest.raises(CallCancelled):
        ask(caller, hang, cancellation=cancellation)
    assert caller.stuck == 1
    release.set()


@pytest.mark.parametrize(
    ("what", "kind", "text"),
    [
        (own_timeout, TimeoutError, "the other side is slow"),
        (own_cancellation, RuntimeError, "the tool cancelled itself"),
        (leave, RuntimeError, "the tool raised SystemExit"),
        (leave_as_a_group, RuntimeError, "the tool raised BaseExceptionGroup"),
        (exhausted, RuntimeError, "the tool raised StopIteration"),
    ],
)
def test_what_a_tool_raises_is_its_own_and_not_a_deadline(
    caller: ToolInvoker, what: Any, kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        ask(caller, what)
    assert ask(caller, pause, length=0) == 0, "the loop goes on"


def test_a_stopped_loop_cancels_what_runs(caller: ToolInvoker) -> None:
    begun, problems = Event(), []

    @tool
    async def begin() -> None:
        """Say that it began, and wait."""
        begun.set()
        await asyncio.sleep(AGES)

    def run() -> None:
        try:
            ask(caller, begin)
        except RuntimeError as problem:
            problems.append(problem)

    thread = Thread(target=run)
    thread.start()
    assert begun.wait(PATIENCE)
    caller.loop.stop()
    thread.join(PATIENCE)
    assert [str(problem) for problem in problems] == ["the tool cancelled itself"]


def test_no_tool_begins_on_the_loop_once_it_has_stopped(caller: ToolInvoker) -> None:
    """A worker that leaves has stopped it, and hands back the job: another worker may run it from now on."""
    began = Event()

    @tool
    async def note_begin() -> None:
        """Say that it begins."""
        began.set()

    ask(caller, pause, length=0.0)
    caller.loop.stop()
    with pytest.raises(DeadlineExceeded):
        ask(caller, note_begin, seconds=SOON)
    assert not began.is_set()


@pytest.mark.parametrize(("function", "given"), [(where, {}), (pause, {"length": 0.0})], ids=["plain", "async"])
def test_a_function_for_which_the_system_has_no_thread_is_not_begun_and_the_next_call_is(
    caller: ToolInvoker, monkeypatch: pytest.MonkeyPatch, function: Any, given: dict[str, Any]
) -> None:
    def refuse(_thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Thread, "start", refuse)
        with pytest.raises(ToolError) as refused:
            ask(caller, function, **given)
    assert (refused.value.code, refused.value.retryable) == ("unavailable", True)
    ask(caller, function, **given)
