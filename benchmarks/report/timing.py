"""How long everything in a run takes: the options that bound it. Pure data."""

from dataclasses import dataclass

from benchmarks.cases import Case


@dataclass(frozen=True, slots=True)
class Timing:
    """rounds: of all systems.  seconds: counted time of a case.  overload_s: the least of a case above capacity,
    as queues of hundreds must fill before anything is refused.  redis_job_bytes: of all jobs that one drain lays
    ready, which bounds memory."""

    rounds: int = 5
    seconds: float = 8.0
    overload_s: float = 20.0
    redis_job_bytes: int = 500 * 2**20

    @property
    def warm_s(self) -> float:
        """A fifth of the counted time, between 0.5 and 2 seconds."""
        return min(2.0, max(0.5, self.seconds / 5))

    def counted_s(self, case: Case) -> float:
        """Counted time of `case`."""
        return max(self.seconds, self.overload_s) if (case.share or 0.0) > 1.0 else self.seconds

    @property
    def limit_s(self) -> float:
        """Time of one configuration of the limit."""
        return max(0.5, self.seconds / 4)


QUICK = Timing(rounds=1, seconds=2.0, overload_s=2.0, redis_job_bytes=120 * 2**20)
