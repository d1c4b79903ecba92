"""What the tests of the broker look at."""

from __future__ import annotations

import psutil
import redis
from celery import Celery

from ringback.redis.broker import TASK
from ringback.redis.keyspace import KEY_PREFIX
from tests.attacks.toolbox.fort import Fort, answered, calling, in_thread, marker

QUEUE = f"{KEY_PREFIX}default"


async def still_works(fort: Fort, pid: int) -> None:
    """The same worker as before answers a call."""
    call_id = marker("call")
    async with fort.stranger() as caller:
        await caller.ask(calling("look", {"what": call_id}, call_id))
        assert (await answered(fort, call_id))["seen"] == call_id
    assert fort.line.pids["worker"] == pid
    assert psutil.pid_exists(pid)


async def all_taken(keeper: redis.Redis) -> None:
    await in_thread(lambda: keeper.llen(QUEUE) == 0, "the messages to be taken")


def forge(broker: Celery, *arguments: object, **named: object) -> None:
    broker.send_task(TASK, args=list(arguments), kwargs=named, queue="default", ignore_result=True, retry=False)
