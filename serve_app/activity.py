"""What this door asks of each model: how much is under way, how fast answers come, and the last error."""

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from deployments.errors import InvalidRequest, ServingError
from deployments.prediction import Outcome

WINDOW_S = 60
"""Over which rates are averaged."""


@dataclass(frozen=True, slots=True)
class LastError:
    """An error that was no client's fault. at: in UTC, ISO 8601."""

    code: str
    detail: str
    at: str


class ModelActivity:
    """Of one model. answered, failed: images since this door started; in_work: images that wait for it now."""

    __slots__ = ("_counts", "_seconds", "answered", "failed", "in_work", "last_error")

    def __init__(self) -> None:
        self.in_work = 0
        self.answered = 0
        self.failed = 0
        self.last_error: LastError | None = None
        self._counts = [0] * WINDOW_S
        self._seconds = [-WINDOW_S] * WINDOW_S

    def note(self, outcome: Outcome, now_s: float) -> None:
        """One image is done."""
        if not isinstance(outcome, ServingError):
            self.answered += 1
            second = int(now_s)
            place = second % WINDOW_S
            if self._seconds[place] != second:
                self._seconds[place], self._counts[place] = second, 0
            self._counts[place] += 1
        elif not isinstance(outcome, InvalidRequest):
            self.failed += 1
            at = datetime.now(UTC).isoformat(timespec="seconds")
            self.last_error = LastError(outcome.code, outcome.message, at)

    def images_per_s(self, now_s: float) -> float:
        """Answered in the last minute, on average."""
        pairs = zip(self._seconds, self._counts, strict=True)
        return sum(count for second, count in pairs if now_s - second < WINDOW_S) / WINDOW_S


class Activity:
    """Of all models."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._by_model: dict[str, ModelActivity] = {}

    def of(self, model: str) -> ModelActivity:
        """What is known of the model of this name."""
        found = self._by_model.get(model)
        if found is None:
            found = self._by_model[model] = ModelActivity()
        return found

    def forget_others(self, models: Iterable[str]) -> None:
        """Drops what is known of models that are gone."""
        for gone in self._by_model.keys() - set(models):
            if not self._by_model[gone].in_work:
                del self._by_model[gone]

    async def watched(self, model: str, work: Awaitable[Outcome]) -> Outcome:
        """The outcome of `work`, one image for `model`. An error may come as a value or be raised."""
        activity = self.of(model)
        activity.in_work += 1
        try:
            outcome = await work
        except ServingError as error:
            activity.note(error, self.clock())
            raise
        finally:
            activity.in_work -= 1
        activity.note(outcome, self.clock())
        return outcome
