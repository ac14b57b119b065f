"""The mean size of a batch, from counters that come late."""

from benchmarks.load.batches import Batches, batches_with, mean_batch, parse_batches

METRICS = """# TYPE ray_fathom_batches_total counter
ray_fathom_batches_total{ReplicaId="a",application="m1",model="m1"} 10.0
ray_fathom_batches_total{ReplicaId="b",application="m1",model="m1"} 5.0
ray_fathom_batched_images_total{ReplicaId="a",application="m1",model="m1"} 42
ray_fathom_batched_images_total{ReplicaId="b",application="m1",model="m1"} 1e1
ray_fathom_batches_total{model="other"} 99
"""


def test_counters_are_summed_over_replicas() -> None:
    assert parse_batches(METRICS, "m1") == Batches(15.0, 52.0)
    assert parse_batches("", "m1") == Batches(0.0, 0.0)


def test_the_mean_batch_is_taken_between_two_looks() -> None:
    assert mean_batch(Batches(10, 20), Batches(20, 60)) == 4.0
    assert mean_batch(Batches(10, 20), Batches(10, 20)) is None
    assert mean_batch(Batches(10, 20), None) is None


def test_late_counters_are_waited_for_but_not_for_ever() -> None:
    looks = iter([Batches(0, 0), Batches(1, 4), Batches(2, 8)])
    assert batches_with(lambda: next(looks), 8, poll_interval_s=0.0) == Batches(2, 8)
    assert batches_with(lambda: Batches(1, 4), 8, timeout_s=0.01, poll_interval_s=0.001) is None
