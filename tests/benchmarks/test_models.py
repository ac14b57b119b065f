"""The models of the bench."""

from benchmarks.models import bench_model


def test_the_bench_sizes_its_models_by_depth() -> None:
    small, large = (bench_model(name, {"m1": 3, "m50": 4}).definition for name in ("m1", "m50"))
    assert small.parameters == {"width": 32, "depth": 3}
    assert large.parameters == {"width": 64, "depth": 4}
