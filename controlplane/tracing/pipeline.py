"""OpenTelemetry's part: the provider, its bounded queue, and the spans of calls. Imported only where tracing is on."""

from collections.abc import Mapping

from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from controlplane.tracing.exporter import OtlpExporter
from engine.settings.running import TracingSettings

QUEUE_COUNT_MAX = 4096
"""Spans that wait to be sent; more are dropped."""

BATCH_COUNT = 512
DELAY_MS = 1000

_propagator = TraceContextTextMapPropagator()


class Pipeline:
    """From spans to a collector."""

    def __init__(self, settings: TracingSettings, resource: Mapping[str, str]) -> None:
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.sample)),
            resource=Resource(dict(resource)),
            shutdown_on_exit=False,
        )
        self._exporter = OtlpExporter(settings.endpoint)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter,
                max_queue_size=QUEUE_COUNT_MAX,
                schedule_delay_millis=DELAY_MS,
                max_export_batch_size=BATCH_COUNT,
            )
        )
        self.tracer: Tracer = self._provider.get_tracer("penstock")

    def close(self) -> None:
        self._provider.shutdown()


def begin_call(tracer: Tracer, method: str, traceparent: str | None, attributes: Mapping[str, str]) -> Span:
    """A span below what the caller says it calls from, made current for the running task."""
    parent = (
        _propagator.extract({"traceparent": traceparent}) if traceparent is not None else context.Context()
    )
    service, _, name = method.removeprefix("/").partition("/")
    span = tracer.start_span(
        f"{service}/{name}",
        context=parent,
        kind=SpanKind.SERVER,
        attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": name, **attributes},
    )
    # A task has a context of its own, which ends with it.
    context.attach(trace.set_span_in_context(span, parent))
    return span
