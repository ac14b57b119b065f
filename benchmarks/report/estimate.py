"""How long a run will take, roughly, said before it begins. Pure arithmetic."""

from benchmarks.limit.limit import BATCHES, BEST, crews
from benchmarks.models import NOOP
from benchmarks.run import Plan
from benchmarks.systems.table import FAST, LIMIT, OURS, PLAIN

START_S = {OURS: 30.0, FAST: 30.0, PLAIN: 30.0}
_OTHER_START_S = 12.0
_COUNTERS_S = 6.0
_REDIS_S = 25.0
_BOTH_STARTS_S = 50.0


def estimate_s(plan: Plan) -> float:
    """Seconds that the rounds of `plan` will take on an idle machine."""
    one_round_s = sum(_system_s(plan, name) for name in plan.systems)
    one_round_s += sum(2 * (_REDIS_S + START_S.get(name, _OTHER_START_S)) for name in plan.redis_systems)
    one_round_s += _BOTH_STARTS_S if plan.measures_start else 0.0
    return plan.timing.rounds * one_round_s


def _system_s(plan: Plan, name: str) -> float:
    cases = [case for case in plan.cases if name in case.systems]
    if name == LIMIT:
        loads = {case.model for case in cases}
        starts_s = sum(len(crews()) * (1.0 if model == NOOP else 12.0) for model in loads)
        stems = {case.stem for case in cases}
        # All setups in the first round, the best few in the others.
        setups = len(stems) * len(crews()) * len(BATCHES) / plan.timing.rounds + len(stems) * (BEST + 1)
        return starts_s + setups * (plan.timing.limit_s + 0.2)
    counters_s = _COUNTERS_S if name in (OURS, FAST) else 0.0
    loads_s = sum(plan.timing.warm_s + plan.timing.counted_s(case) + 1.0 + counters_s for case in cases)
    models = {case.model for case in cases}
    return len(models) * START_S.get(name, _OTHER_START_S) + loads_s
