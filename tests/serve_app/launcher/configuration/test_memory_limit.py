"""A limit of a GPU's memory is refused where it would have no effect."""

from serve_app.launcher.configuration.validation import system_problems
from tests.serve_app.launcher.blocks import DEPLOYMENT, put, system


def test_a_limit_of_memory_that_would_have_no_effect_is_refused() -> None:
    document = put(system(), "applications.0.args.memory_limit_mib", 2048)
    assert [problem.partition(":")[0] for problem in system_problems(document)] == [
        "applications[0].args.memory_limit_mib",
        "applications[0].args.memory_limit_mib",
    ]
    document = put(document, "applications.0.args.family", "benthic-demo")
    (problem,) = system_problems(document)
    assert problem.endswith("num_gpus is 0")
    assert system_problems(put(document, f"{DEPLOYMENT}.ray_actor_options.num_gpus", 0.25)) == []
