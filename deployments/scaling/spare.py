"""How many further replicas of a model there is room for, beside everything that is awake.

Room is more than a place that Ray would give. A second replica is to be faster than one, and must not take memory
that others need:

- on the CPU, the threads of its batches need cores of their own. A replica with `num_cpus: 0.5` uses all cores, up to
  eight; a second one beside it would only halve them.
- on a GPU, each of a model's replicas needs a GPU to itself, as far as the replicas of the same model go: two on one
  GPU share its speed, and need its memory twice.
- where a replica runs already, the free memory of that machine must hold another of its size, and a reserve.
"""

from collections.abc import Sequence
from dataclasses import replace

from deployments.runtimes.cores import MOST_SHARED_THREADS
from deployments.scaling.places import Machines, Needs, Tenant, fits
from deployments.scaling.view import View


def spare_places(view: View, name: str, memory_copies: float | None) -> int:
    """How many more replicas of model `name` there is room for.

    memory_copies: how many more of its size the memory holds where it runs; None when that is not known.
    """
    machines = Machines(view.totals, view.tenants)
    tenants = [_with_all_placed(one, machines) for one in view.tenants]
    tenant = next((one for one in tenants if one.name == name), None)
    if tenant is None:
        return 0
    found = 0
    for machine, total in view.totals.items():
        most = _most_on(machine, total, tenants, tenant)
        if machine in tenant.held and memory_copies is not None:
            most = min(most, int(memory_copies))
        while most > 0 and fits(machines.free[machine], tenant.needs):
            machines.take(machine, tenant.needs)
            most -= 1
            found += 1
    return found


def _with_all_placed(tenant: Tenant, machines: Machines) -> Tenant:
    """As it will be when those of its replicas that wait have the places that are free for them."""
    places = list(tenant.held)
    for _ in range(tenant.waiting):
        if (machine := machines.first_fit(tenant.needs)) is not None:
            machines.take(machine, tenant.needs)
            places.append(machine)
    return replace(tenant, held=tuple(places))


def _most_on(machine: str, total: Needs, tenants: Sequence[Tenant], tenant: Tenant) -> int:
    """Further replicas for which that machine has cores or GPUs of their own."""
    gpus = tenant.needs.get("GPU", 0.0)
    if gpus > 0:
        return int(total.get("GPU", 0.0) // max(1.0, gpus)) - tenant.held.count(machine)
    taken = sum(one.held.count(machine) * _cores(one.needs, total) for one in tenants if one.is_model)
    return int((total.get("CPU", 0.0) - taken) // _cores(tenant.needs, total))


def _cores(needs: Needs, total: Needs) -> float:
    """Those that a replica keeps busy: what it asked for, or on the CPU what `runtimes.cores.threads_for` gives it
    for less than one."""
    cpus = needs.get("CPU", 0.0)
    if cpus >= 1 or needs.get("GPU", 0.0) > 0:
        return cpus
    return max(1.0, min(total.get("CPU", 1.0), MOST_SHARED_THREADS))
