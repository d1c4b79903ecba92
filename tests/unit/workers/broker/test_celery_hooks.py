"""Each hook of Celery and kombu exists as it was tested, and Ringback's replaces it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from celery.worker.consumer import Consumer
from kombu.transport import redis

from workers import prefork
from workers.app import Duties, app
from workers.broker import consumer, transport
from workers.broker.celery_hooks import OVERRIDDEN, USED, Hook, changed, find

OURS = [
    *(transport.Quality, transport.Channel, transport.Transport, consumer.Consumer, Duties),
    *(prefork.Child, prefork.Pool, prefork.TaskPool),
]


def _named(hook: Hook) -> str:
    return hook.place


@pytest.mark.parametrize("hook", [*OVERRIDDEN, *USED], ids=_named)
def test_the_installed_version_has_it_as_it_was_tried(hook: Hook) -> None:
    there = find(hook.place)
    if hook.signature is not None:
        assert str(inspect.signature(there)) == hook.signature


@pytest.mark.parametrize("hook", [hook for hook in OVERRIDDEN if hook.signature], ids=_named)
def test_ours_takes_its_place_and_may_be_called_as_it_is(hook: Hook) -> None:
    theirs, ours = find(hook.place), find(hook.ours)
    of_theirs, of_ours = (find(place.rpartition(".")[0]) for place in (hook.place, hook.ours))
    assert issubclass(of_ours, of_theirs)
    assert ours is not theirs
    named = list(inspect.signature(theirs).parameters)
    assert list(inspect.signature(ours).parameters)[: len(named)] == named


def test_all_is_as_it_was_tried() -> None:
    assert changed() == []


@pytest.mark.parametrize(
    ("owner", "name", "instead", "told"),
    [
        (redis.Transport, "_deliver", lambda self, queue: None, "takes (self, queue) and not (self, message, queue)"),
        (Consumer, "ensure_connected", None, "ensure_connected is gone, which reconnects within half a second"),
    ],
)
def test_what_has_changed_is_told_with_what_rests_on_it(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, instead: Any, told: str
) -> None:
    if instead is None:
        monkeypatch.delattr(owner, name)
    else:
        monkeypatch.setattr(owner, name, instead)
    (sentence,) = changed()
    assert told in sentence


def test_the_worker_is_made_of_ours() -> None:
    assert app.conf.broker_transport == "workers.broker.transport:Transport"
    assert app.conf.worker_consumer == "workers.broker.consumer:Consumer"
    assert app.conf.worker_disable_prefetch is True
    assert app.connection_for_read("redis://").transport_cls in (
        "workers.broker.transport:Transport",
        transport.Transport,
    )


@pytest.mark.parametrize("of_ours", OURS)
def test_every_override_in_the_code_is_listed(of_ours: Any) -> None:
    (of_theirs,) = of_ours.__bases__
    overridden = {name for name, value in vars(of_ours).items() if callable(value) and hasattr(of_theirs, name)}
    methods = [hook for hook in OVERRIDDEN if hook.signature]
    listed = {hook.ours.rpartition(".")[2] for hook in methods if find(hook.ours.rpartition(".")[0]) is of_ours}
    made_of = {"QoS", "Channel", "Pool", "Worker"}
    assert overridden - made_of == listed
