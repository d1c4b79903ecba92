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


def most_under_way(came: list[Fault]) -> int:
    """How many lasted at one time, going from one beginning to the next."""
    ends: list[float] = []
    counts = []
    for fault in came:
        ends = [end for end in (*ends, fault.at + fault.seconds) if end > fault.at]
        counts.append(len(ends))
    return max(counts)


def test_only_so_many_faults_are_under_way_at_once() -> None:
    assert most_under_way(faults(7, every=0.1)) == AT_ONCE


def test_those_that_are_under_way_are_counted() -> None:
    came = [Fault(number, at, "a", seconds) for number, (at, seconds) in enumerate([(0, 5), (1, 1), (2, 2), (3, 0)])]
    assert most_under_way(came) == 2
    assert most_under_way([*came, Fault(9, 3.5, "a", 1)]) == 3
