"""The schedule of faults is the seed's."""

from __future__ import annotations

from tests.chaos.faults import AT_ONCE, LASTING, WEIGHTS, Fault, schedule


def faults(seed: int, seconds: float = 3600, every: float = 1.0) -> list[Fault]:
    return schedule(seed, seconds, every, ["gateway1", "gateway2"], ["worker1", "worker2", "worker3"])


def test_the_same_seed_brings_the_same_faults() -> None:
    assert faults(7) == faults(7)


def test_another_seed_brings_others() -> None:
    assert faults(7) != faults(8)


def test_in_an_hour_every_kind_comes_and_every_process_is_hit() -> None:
    assert {fault.kind for fault in faults(7)} == set(WEIGHTS)
    assert {fault.args.get("name") for fault in faults(7)} >= {"gateway1", "gateway2", "worker1", "worker2", "worker3"}


def test_what_lasts_is_a_kind_that_there_is() -> None:
    assert set(LASTING) <= set(WEIGHTS)


def test_only_so_many_faults_are_under_way_at_once() -> None:
    came = faults(7, every=0.1)
    assert max(sum(one.at <= other.at < one.at + one.seconds for one in came) for other in came) <= AT_ONCE
