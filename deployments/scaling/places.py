"""Who gets a place when there are fewer places than models: a pure decision on a view of the cluster.

A replica's place is what it needs of one machine: processors, a share of a GPU. A model without any replica that
waits for a place gets one at the cost of models that can sleep, the one that has been idle longest first. What is
awake stays awake for its `min_stay_s`, so that models which are asked in turn do not push each other out all the
time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from deployments.definition import MIN_STAY_S

PLACE_PATIENCE_S = 30.0
"""A model that waits longer, though there seems to be room for it, is helped all the same: the room may be parts of
several GPUs, or somebody else's work that is not seen here."""

_CLOSE_ENOUGH = 1e-6
"""Four quarters of a GPU, added up as floats, are one GPU."""

Needs = Mapping[str, float]
"""Name of a resource, as Ray has it (CPU, GPU, memory), to how much of it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What is known of a model that is awake. Times in seconds on one clock."""

    awake_since_s: float
    last_used_s: float
    is_busy: bool = False


@dataclass(frozen=True, slots=True)
class Tenant:
    """An application's replicas: the places that they hold, and those that they wait for."""

    name: str
    needs: Needs
    held: tuple[str, ...] = ()
    """The machine of each replica that stays."""
    leaving: tuple[str, ...] = ()
    """The machine of each replica that is being stopped: its place will soon be free."""
    waits_since_s: float | None = None
    """Since when a replica waits for a place; None when none does."""
    waiting: int = 0
    """How many wait."""
    least: int = 0
    """Replicas that it keeps in any case, `min_replicas`."""
    is_model: bool = False
    may_sleep: bool = False
    """Whether it can be put to sleep here: a model with a policy of ours."""
    is_pinned: bool = False
    min_stay_s: float = MIN_STAY_S
    usage: Usage | None = None
    """None while it is not awake."""

    @property
    def waits(self) -> bool:
        """Whether it has no replica, and one waits for a place."""
        return self.waits_since_s is not None and not self.held

    def can_give_up_a_replica(self, now_s: float) -> bool:
        """Whether one of its replicas may be stopped for another model."""
        if not self.may_sleep or self.usage is None or len(self.held) <= self.least:
            return False
        if self.is_pinned and len(self.held) == 1:
            return False
        return now_s - self.usage.awake_since_s >= self.min_stay_s

    @property
    def worth(self) -> tuple[int, float]:
        """The smaller, the sooner it gives up a replica: idle models, the longest idle first; then the second
        replicas of busy ones; then busy ones, the longest awake first."""
        if self.usage is None:
            return 3, 0.0
        if not self.usage.is_busy:
            return 0, self.usage.last_used_s
        return 1 if len(self.held) > 1 else 2, self.usage.awake_since_s


class Machines:
    """What is free on each machine, when all that is leaving has left."""

    def __init__(self, totals: Mapping[str, Needs], tenants: Iterable[Tenant]) -> None:
        self.free = {name: dict(total) for name, total in totals.items()}
        for tenant in tenants:
            for machine in tenant.held:
                self.take(machine, tenant.needs)

    def take(self, machine: str, needs: Needs) -> None:
        """`needs` are no longer free there."""
        if machine in self.free:
            _add(self.free[machine], needs, -1)

    def give_back(self, machine: str, needs: Needs) -> None:
        """`needs` are free there again."""
        if machine in self.free:
            _add(self.free[machine], needs, 1)

    def first_fit(self, needs: Needs) -> str | None:
        """A machine with a place for such a replica."""
        return next((machine for machine, free in self.free.items() if fits(free, needs)), None)


def fits(free: Needs, needs: Needs) -> bool:
    """Whether a replica with these needs has a place where `free` is left."""
    return all(free.get(name, 0.0) + _CLOSE_ENOUGH >= amount for name, amount in needs.items() if amount > 0)


def _add(free: dict[str, float], needs: Needs, sign: int) -> None:
    for name, amount in needs.items():
        free[name] = free.get(name, 0.0) + sign * amount


@dataclass(frozen=True, slots=True)
class Eviction:
    """`names` give up one replica each, so that `waiting` gets a place."""

    waiting: str
    names: tuple[str, ...]


def evictions(totals: Mapping[str, Needs], tenants: Sequence[Tenant], now_s: float) -> list[Eviction]:
    """Who gives up a replica now, and for whom. totals: what each machine has.

    Whoever has waited longest is helped first. Who cannot be helped yet is asked about again.
    """
    machines = Machines(totals, tenants)
    waiting = sorted((one for one in tenants if one.waits), key=lambda one: (one.waits_since_s or 0.0, one.name))
    candidates = sorted((one for one in tenants if one.can_give_up_a_replica(now_s)), key=lambda one: one.worth)
    is_somebody_leaving = any(one.leaving for one in tenants)
    found = []
    for tenant in waiting:
        room = machines.first_fit(tenant.needs)
        if room is None:
            place = _cheapest_place(machines, tenant.needs, candidates)
        else:
            # Ray gives it this place by itself, as a rule.
            is_stuck = not is_somebody_leaving and now_s - (tenant.waits_since_s or now_s) > PLACE_PATIENCE_S
            place = (room, candidates[:1]) if is_stuck and candidates else None
            machines.take(room, tenant.needs)
        if place is None:
            continue
        machine, victims = place
        for victim in victims:
            machines.give_back(machine, victim.needs)
            candidates.remove(victim)
        if room is None:
            machines.take(machine, tenant.needs)
        found.append(Eviction(tenant.name, tuple(victim.name for victim in victims)))
    return found


def _cheapest_place(
    machines: Machines, needs: Needs, candidates: Sequence[Tenant]
) -> tuple[str, Sequence[Tenant]] | None:
    """The machine on which those who give way are worth least, and who they are; None when no place can be freed."""
    found = []
    for machine, free in machines.free.items():
        victims = _victims_for(free, needs, [one for one in candidates if machine in one.held])
        if victims:
            found.append((max(one.worth for one in victims), len(victims), machine, victims))
    return min(found, key=lambda one: one[:3])[2:] if found else None


def _victims_for(free: Needs, needs: Needs, candidates: Sequence[Tenant]) -> list[Tenant]:
    """Of the candidates on one machine, those worth least, as many as are needed; empty when all are not enough."""
    then_free = dict(free)
    victims: list[Tenant] = []
    for candidate in candidates:
        if fits(then_free, needs):
            break
        victims.append(candidate)
        _add(then_free, candidate.needs, 1)
    if not fits(then_free, needs):
        return []
    # What the last ones give up may be enough without the first: a large place among small ones.
    for victim in reversed(victims):
        _add(then_free, victim.needs, -1)
        if fits(then_free, needs):
            victims.remove(victim)
        else:
            _add(then_free, victim.needs, 1)
    return victims
