"""Real children, small Python programs, under a real group."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cli.local_stack.process_group import TAIL_LINES, Process, ProcessError, ProcessGroup, free_port

PATIENCE_SECONDS = 20.0  # a bound on what a wait may take on a machine that is busy, not an expectation
READY = re.compile("ready")
FOR_EVER = "print('ready'); signal.pause()"


def program(name: str, source: str, **how: object) -> Process:
    """A Python child that runs `source`; ready when it prints so, unless told otherwise."""
    argv = [sys.executable, "-c", f"import os, signal, subprocess, sys\n{textwrap.dedent(source)}"]
    return Process(name, argv, **{"ready": READY, "ready_seconds": PATIENCE_SECONDS, **how})  # type: ignore[arg-type]


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS} s in vain"
        time.sleep(0.02)


def is_dead(pid: int) -> bool:
    """A zombie whose adoptive parent has not looked yet is dead too."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def group() -> Iterator[ProcessGroup]:
    with ProcessGroup() as group:
        yield group


def test_a_child_that_prints_its_ready_line_is_running_when_start_returns(group: ProcessGroup) -> None:
    assert not is_dead(group.start(program("web", FOR_EVER)))


def test_a_callable_decides_when_a_child_is_ready(group: ProcessGroup, tmp_path: Path) -> None:
    made = tmp_path / "made"
    group.start(program("web", f"open({str(made)!r}, 'w'); signal.pause()", ready=made.exists))
    assert made.exists()


@pytest.mark.loopback
def test_a_child_is_ready_when_its_url_answers_2xx_and_not_while_it_answers_503(group: ProcessGroup) -> None:
    port = free_port()
    serve = f"""
        from http.server import BaseHTTPRequestHandler, HTTPServer
        class Warming(BaseHTTPRequestHandler):
            left = 2
            def do_GET(self):
                self.send_response(503 if Warming.left else 200)
                Warming.left = max(0, Warming.left - 1)
                self.end_headers()
        HTTPServer(("127.0.0.1", {port}), Warming).serve_forever()
    """
    group.start(program("web", serve, ready=f"http://127.0.0.1:{port}/healthz"))
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        with client.makefile() as answer:
            assert " 200 " in answer.readline()


def test_a_child_that_exits_before_it_is_ready_is_an_error_with_its_last_lines(group: ProcessGroup) -> None:
    with pytest.raises(ProcessError) as caught:
        group.start(program("web", "print(*range(100), sep='\\n'); sys.exit('the port is taken')"))
    first, *quoted = str(caught.value).splitlines()
    assert first == "web exited with code 1 before it was ready; its last lines of output:"
    assert quoted[-2:] == ["  | 99", "  | the port is taken"]
    assert len(quoted) == TAIL_LINES


def test_a_child_that_never_becomes_ready_is_killed_and_is_an_error_with_its_last_lines(
    group: ProcessGroup, tmp_path: Path
) -> None:
    note = tmp_path / "pid"
    slow = f"open({str(note)!r}, 'w').write(str(os.getpid())); print('warming up'); signal.pause()"
    with pytest.raises(ProcessError, match=r"after 2 s web was not ready; .*\n  \| warming up"):
        group.start(program("web", slow, ready_seconds=2.0))
    assert is_dead(int(note.read_text()))


def test_a_failed_start_is_not_reported_again_by_wait(group: ProcessGroup) -> None:
    with pytest.raises(ProcessError):
        group.start(program("first", "sys.exit(3)"))
    second = "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(4)); print('ready'); signal.pause()"
    os.kill(group.start(program("second", second)), signal.SIGUSR1)  # once it was ready, and not before
    assert str(group.wait()) == "second exited with code 4"


def test_wait_tells_which_child_ended_and_how(group: ProcessGroup) -> None:
    group.start(program("stays", FOR_EVER))
    os.kill(group.start(program("dies", FOR_EVER)), signal.SIGKILL)
    assert str(group.wait()) == "dies was killed by SIGKILL"


def test_wait_hears_a_signal_that_interrupts_another_thread(group: ProcessGroup) -> None:
    class Heard(Exception):
        pass

    def hear(_number: int, _frame: object) -> None:
        raise Heard

    over = threading.Event()

    def be_interrupted() -> None:
        while not over.wait(0.05):
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    def wait() -> None:
        thread.start()
        group.wait()

    before = signal.signal(signal.SIGUSR1, hear)
    thread = threading.Thread(target=be_interrupted)
    try:
        with pytest.raises(Heard):
            wait()
    finally:
        over.set()
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        thread.join()
        signal.signal(signal.SIGUSR1, before)


def test_wait_does_not_report_a_child_that_was_killed_on_purpose(group: ProcessGroup) -> None:
    group.start(program("killed", FOR_EVER))
    crashing = group.start(program("crashes", FOR_EVER))
    group.kill("killed")
    os.kill(crashing, signal.SIGTERM)
    assert group.wait().name == "crashes"


def test_stop_ends_the_youngest_first(tmp_path: Path) -> None:
    order = tmp_path / "order"
    polite = f"""
        def leave(*_):
            open({str(order)!r}, "a").write(os.environ["NAME"])
            sys.exit()
        signal.signal(signal.SIGTERM, leave)
        {FOR_EVER}
    """
    with ProcessGroup() as group:
        for name in "abc":
            group.start(program(name, polite, env={"NAME": name}))
        group.restart("a")
    once, at_the_end = "a", "acb"
    assert order.read_text() == once + at_the_end


def test_a_child_that_ignores_sigterm_is_killed_after_the_bound() -> None:
    deaf = f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {FOR_EVER}"
    with ProcessGroup() as group:
        pid = group.start(program("deaf", deaf, stop_seconds=0.2))
    assert is_dead(pid)


def test_a_paused_child_can_be_stopped_in_good_order(group: ProcessGroup, tmp_path: Path) -> None:
    left = tmp_path / "left"
    polite = f"signal.signal(signal.SIGTERM, lambda *_: (open({str(left)!r}, 'w'), sys.exit())); {FOR_EVER}"
    pid = group.start(program("paused", polite, stop_seconds=PATIENCE_SECONDS))
    group.pause("paused")
    eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    group.stop()
    assert left.exists()


def test_a_resumed_child_goes_on(group: ProcessGroup) -> None:
    pid = group.start(program("web", FOR_EVER))
    group.pause("web")
    eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    group.resume("web")
    eventually(lambda: psutil.Process(pid).status() == psutil.STATUS_SLEEPING)


@pytest.mark.parametrize("how", ["kill", "stop", "crash"])
def test_grandchildren_go_with_their_parent(group: ProcessGroup, tmp_path: Path, how: str) -> None:
    note = tmp_path / "pid"
    parent = f"""
        child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        open({str(note)!r}, "w").write(str(child.pid))
        {FOR_EVER}
    """
    pid = group.start(program("celery", parent))
    ways: dict[str, Callable[[], None]] = {
        "kill": lambda: group.kill("celery"),
        "stop": group.stop,
        "crash": lambda: os.kill(pid, signal.SIGKILL),
    }
    ways[how]()
    eventually(lambda: is_dead(int(note.read_text())))


def test_a_restarted_child_is_a_new_process(group: ProcessGroup) -> None:
    before = group.start(program("web", FOR_EVER))
    group.kill("web")
    after = group.restart("web")
    assert is_dead(before)
    assert not is_dead(after)


def test_two_running_children_cannot_have_one_name(group: ProcessGroup) -> None:
    group.start(program("web", FOR_EVER))
    with pytest.raises(ValueError, match="web runs already"):
        group.start(program("web", FOR_EVER))


def test_run_returns_when_the_program_has_succeeded_and_raises_when_it_failed(group: ProcessGroup) -> None:
    group.run(program("migrate", "pass"))
    with pytest.raises(ProcessError, match=r"migrate exited with code 2 before it was done; .*\n  \| no database"):
        group.run(program("migrate", "print('no database'); sys.exit(2)"))


def test_output_goes_to_the_log_or_behind_the_name_to_stderr(
    group: ProcessGroup, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    group.run(program("logged", "print('into the file')", log=log))
    group.run(program("shown", "print('to the screen')"))
    assert log.read_text() == "into the file\n"
    assert capfd.readouterr().err == "     shown | to the screen\n"


def test_a_child_has_a_session_of_its_own_so_that_ctrl_c_reaches_only_us(group: ProcessGroup) -> None:
    pid = group.start(program("web", FOR_EVER))
    assert os.getsid(pid) == pid != os.getsid(0)


def test_folders_are_removed_after_the_children_have_ended(tmp_path: Path) -> None:
    folder = tmp_path / "with a 'quote'"
    folder.mkdir()
    writes = f"signal.signal(signal.SIGTERM, lambda *_: (open({str(folder / 'late')!r}, 'w'), sys.exit())); {FOR_EVER}"
    with ProcessGroup() as group:
        group.discard(folder)
        group.start(program("writer", writes))
    assert not folder.exists()


def test_a_free_port_can_be_bound() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", free_port()))


def test_a_folder_whose_making_was_interrupted_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def interrupted(folder: Path, mode: int = 0o777) -> None:
        os.mkdir(folder, mode)  # noqa: PTH102 - `Path.mkdir` is what is interrupted
        made.append(folder)
        raise KeyboardInterrupt

    with ProcessGroup() as group:
        monkeypatch.setattr(Path, "mkdir", interrupted)
        with pytest.raises(KeyboardInterrupt):
            group.make_folder()
        assert made[0].is_dir()
    assert not made[0].exists()


def test_killing_the_parent_leaves_no_process_and_no_folder_behind(tmp_path: Path) -> None:
    """Among them one that ignores SIGTERM, one that is paused, and a grandchild."""
    folder = tmp_path / "with a 'quote'"
    folder.mkdir()
    parent = f"""
        import re, signal, sys
        from pathlib import Path
        from cli.local_stack.process_group import Process, ProcessGroup
        deaf = "import signal; signal.signal(15, signal.SIG_IGN); print('ready'); signal.pause()"
        breeds = "import subprocess, sys; subprocess.run([sys.executable, '-uc', sys.argv[1]])"
        with ProcessGroup() as group:
            group.discard(Path({str(folder)!r}))
            for name, *words in (("deaf", deaf), ("paused", deaf), ("breeds", breeds, deaf)):
                argv = [sys.executable, "-c", *words]
                group.start(Process(name, argv, ready=re.compile("ready")))
            group.pause("paused")
            print("all started", flush=True)
            signal.pause()
    """
    argv = [sys.executable, "-c", textwrap.dedent(parent)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as family:
        assert family.stdout is not None
        assert family.stdout.readline() == "all started\n"
        below = [child.pid for child in psutil.Process(family.pid).children(recursive=True)]
        family.kill()
    assert len(below) == len(["lifeline", "deaf", "paused", "breeds", "its child"])
    eventually(lambda: all(map(is_dead, below)))
    eventually(lambda: not folder.exists())
