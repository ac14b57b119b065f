"""Spans of OpenTelemetry, sent by OTLP over HTTP. Imported only where traces are switched on.

One trace goes from the HTTP request or the job through the replica to the batch. The batch is a span in the trace of
its first traced image and has links to all of them; each of the others has a span of its own that links to the batch.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.trace.status import Status, StatusCode

STOP_TIMEOUT_MS = 2000
"""How long a replica that stops waits for a collector to take its last spans."""

Attributes = Mapping[str, str | int | float]

_NS = 1_000_000_000
_PROPAGATOR = TraceContextTextMapPropagator()


class Tracing:
    """The spans of one process. Whatever is not sampled costs next to nothing, and is not passed on.

    share: of the traces that begin here; a trace that a client began is followed as the client decided.
    exporter: None for OTLP to where the variables OTEL_EXPORTER_OTLP_... say.
    """

    def __init__(self, service: str, share: float, exporter: SpanExporter | None = None) -> None:
        resource = Resource.create({"service.name": f"fathomnet-serve/{service}"})
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(share)), resource=resource, shutdown_on_exit=False
        )
        # Spans are sent in a thread of its own; beyond its bound they are dropped.
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter(timeout=5)))
        self._tracer = self._provider.get_tracer("fathomnet-serve")

    def begin(self, name: str, parent: str | None, attributes: Attributes) -> Span:
        """A span of a door that has begun, below `parent` (a traceparent) if there is one; to be finished."""
        return self._tracer.start_span(name, _context(parent), SpanKind.SERVER, dict(attributes))

    def note(self, name: str, parent: str, seconds: float, attributes: Attributes, error: str = "") -> None:
        """A span below `parent` that ends now and took `seconds`. error: its code; '' for success."""
        now_ns = time.time_ns()
        span = self._tracer.start_span(
            name, _context(parent), SpanKind.SERVER, dict(attributes), start_time=now_ns - int(seconds * _NS)
        )
        self.finish(span, error)

    @contextlib.contextmanager
    def batch(self, name: str, parents: Sequence[str], attributes: Attributes) -> Iterator[None]:
        """Around a batch. parents: the traceparent of each image in it that is traced; at least one."""
        members = [Link(context) for parent in parents if (context := _span_context(parent)) is not None]
        span = self._tracer.start_span(name, _context(parents[0]), SpanKind.INTERNAL, dict(attributes), members)
        others = [
            self._tracer.start_span(name, _context(parent), SpanKind.INTERNAL, dict(attributes), [_link_to(span)])
            for parent in parents[1:]
        ]
        error = ""
        try:
            yield
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            for one in (span, *others):
                self.finish(one, error)

    def stop(self) -> None:
        """Sends what is left, for STOP_TIMEOUT_MS at most. Blocks."""
        self._provider.force_flush(STOP_TIMEOUT_MS)

    @staticmethod
    def finish(span: Span, error: str = "", attributes: Attributes | None = None) -> None:
        """Ends `span`. error: the code of what went wrong; '' for success."""
        if attributes:
            span.set_attributes(dict(attributes))
        if error:
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    @staticmethod
    def traceparent_of(span: Span) -> str | None:
        """What makes another process continue the trace; None when this one is not sampled."""
        context = span.get_span_context()
        if not context.trace_flags.sampled:
            return None
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def _context(traceparent: str | None) -> Context:
    # An empty context and not None, which would be whatever is current in this process.
    return _PROPAGATOR.extract({"traceparent": traceparent}, Context()) if traceparent else Context()


def _span_context(traceparent: str) -> trace.SpanContext | None:
    context = trace.get_current_span(_context(traceparent)).get_span_context()
    return context if context.is_valid else None


def _link_to(span: Span) -> Link:
    return Link(span.get_span_context())
