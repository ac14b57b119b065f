"""What became of every request and every job of a soak. Pure arithmetic; knows no socket."""

from collections import Counter
from dataclasses import dataclass, field

import orjson

OK = "200"
REFUSED = "503"


@dataclass(slots=True)
class Accounts:
    """Filled while a load runs, on one event loop.

    requests: how many were asked.  hidden: of those, the ones that another node had to answer.  outcomes: by HTTP
    status and title of the problem, or by the name of the error.  jobs: how many were pushed.  answered: how many
    have an answer with rows.  errors: the other answers, with how often each came.  waiting: ids of jobs that have
    none yet.  slowest_s: the longest time of a request.
    """

    requests: int = 0
    hidden: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    jobs: int = 0
    answered: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    waiting: set[str] = field(default_factory=set)
    slowest_s: float = 0.0

    @property
    def failed(self) -> int:
        """Requests that were neither answered with 200 nor refused."""
        return sum(self.outcomes.values()) - self.outcomes[OK] - self.refused

    @property
    def refused(self) -> int:
        """Requests that were answered with 503: the client is told to ask again."""
        return sum(count for outcome, count in self.outcomes.items() if outcome.split()[0] == REFUSED)

    @property
    def lost(self) -> int:
        """Jobs that were not answered, or with an error."""
        return len(self.waiting) + sum(self.errors.values())

    def request_is_over(self, outcome: str, took_s: float) -> None:
        """One request has ended. outcome: its status, or the name of the error."""
        self.outcomes[outcome] += 1
        self.slowest_s = max(self.slowest_s, took_s)

    def job_is_pushed(self, job_id: str) -> None:
        """One job is in its queue, as far as the client knows."""
        self.jobs += 1
        self.waiting.add(job_id)

    def job_is_answered(self, job_id: str, answer: bytes) -> None:
        """There is an answer. One that is no list of rows is an error."""
        self.waiting.discard(job_id)
        try:
            rows = orjson.loads(answer)
        except orjson.JSONDecodeError:
            rows = None
        if isinstance(rows, list):
            self.answered += 1
        else:
            self.errors[answer[:200].decode("utf-8", "replace")] += 1

    def line(self) -> str:
        """What there is so far, in one line."""
        return (
            f"{self.requests} requests, {self.failed} failed, {self.refused} refused, {self.hidden} by another node, "
            f"slowest {self.slowest_s:.1f} s; {self.jobs} jobs, {len(self.waiting)} waiting, "
            f"{sum(self.errors.values())} with an error"
        )
