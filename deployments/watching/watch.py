"""The log of requests and the traces of one process, behind one object that is there only if one of them is asked
for."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from deployments.logs import OWN_LOGGER
from deployments.origin import Origin, about
from deployments.prediction import Outcome, Prediction, outcome_code
from deployments.watching.settings import WatchSettings

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from deployments.watching.tracing import Tracing

logger = logging.getLogger(OWN_LOGGER)


class Watch:
    """log_requests: whether each request is a line.  tracing: None where nothing is traced."""

    def __init__(self, log_requests: bool, tracing: "Tracing | None") -> None:
        self.log_requests = log_requests
        self.tracing = tracing

    def predicted(
        self, model: str, origins: Iterable[Origin | None], outcomes: Sequence[Outcome], call_s: float
    ) -> None:
        """One call to `model` has its outcomes, `call_s` seconds after it came."""
        for origin, outcome in zip(origins, outcomes, strict=True):
            if origin is None:
                continue
            code = outcome_code(outcome)
            spent = _spent(outcome)
            if self.log_requests:
                stages = ", ".join(f"{name} {value:.4g}" for name, value in spent.items())
                self.line(f"{model}: {code} in {call_s:.4f} s ({stages})", origin, model=model, outcome=code, **spent)
            if self.tracing is not None and origin.traceparent is not None:
                attributes: dict[str, str | float] = {f"fathom.{name}": value for name, value in spent.items()}
                attributes |= {"fathom.request_id": origin.request_id, "fathom.model": model}
                self.tracing.note(f"predict {model}", origin.traceparent, call_s, attributes, _error(code))

    def batch(self, model: str, origins: Iterable[Origin | None]) -> AbstractContextManager[None]:
        """Around the run of one batch."""
        if self.tracing is None:
            return contextlib.nullcontext()
        images = list(origins)
        parents = [one.traceparent for one in images if one is not None and one.traceparent is not None]
        if not parents:
            return contextlib.nullcontext()
        attributes: dict[str, str | int] = {"fathom.model": model, "fathom.batch_size": len(images)}
        return self.tracing.batch(f"batch {model}", list(dict.fromkeys(parents)), attributes)

    def begin(self, name: str, parent: str | None, origin: Origin | None) -> "Span | None":
        """A span at a door, to be ended by `end`; None where nothing is traced. parent: a traceparent."""
        if self.tracing is None:
            return None
        return self.tracing.begin(name, parent, {"fathom.request_id": origin.request_id} if origin else {})

    def traceparent_of(self, span: "Span | None") -> str | None:
        """What makes a replica continue the trace of `span`; None where it is not to."""
        return None if self.tracing is None or span is None else self.tracing.traceparent_of(span)

    def end(self, span: "Span", attributes: Mapping[str, str | int], error: str) -> None:
        """Ends a span of `begin`. error: the code of what went wrong; '' for success."""
        if self.tracing is not None:
            self.tracing.finish(span, error, attributes)

    def line(self, text: str, origin: Origin | None, **members: str | int | float) -> None:
        """Writes a line about one request. members: of the line, where lines are JSON."""
        logger.info("%s", text, extra={**about([origin]), **members})

    async def stop(self) -> None:
        """Sends the last spans; takes a few seconds at most where nobody takes them."""
        if self.tracing is not None:
            sending = asyncio.to_thread(self.tracing.stop)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(sending, STOP_TIMEOUT_S)


STOP_TIMEOUT_S = 3.0

_current: Watch | None = None


def start_watching(environ: Mapping[str, str], service: str) -> Watch | None:
    """The watch of this process from now on; None when the environment asks for nothing. service: what the process
    is, such as 'door'."""
    settings = WatchSettings.from_environment(environ)
    tracing = None
    if settings.trace_share > 0:
        from deployments.watching.tracing import Tracing

        tracing = Tracing(service, settings.trace_share)
    watch = Watch(settings.log_requests, tracing) if settings.log_requests or tracing is not None else None
    use(watch)
    return watch


def use(watch: Watch | None) -> None:
    """Makes `watch` that of this process."""
    global _current
    _current = watch


def current() -> Watch | None:
    """The watch of this process; to be asked when something is built, not at every request."""
    return _current


def _spent(outcome: Outcome) -> dict[str, float]:
    if not isinstance(outcome, Prediction):
        return {}
    timings = outcome.timings
    return {f"{name}_s": seconds for name, seconds in timings.stage_seconds().items()} | {
        "batch_size": timings.batch_size
    }


def _error(code: str) -> str:
    return "" if code == "ok" else code
