"""The command's own spans, for the collector that OpenTelemetry's variables name. Imported only where they name one."""

import logging
from collections.abc import Sequence
from importlib.metadata import version as version_of

import click
import grpc
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.grpc import client_interceptor
from opentelemetry.instrumentation.grpc.grpcext import intercept_channel
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from adminctl.tracing import TRACEPARENT

SEND_S = 3.0
"""How long a collector may take for the spans of a command, all tries together."""

ENDLESS = frozenset({"/penstock.admin.v1.SystemService/WatchDashboard"})
"""Calls without a span: they last for as long as somebody looks, and the instrumentation gives no call to cancel."""

_propagator = TraceContextTextMapPropagator()


class CommandSpans:
    """A span of the whole command, and below it one of every call, of which the server's is a part."""

    def __init__(self, command: str, *, traceparent: str | None) -> None:
        resource = Resource.create({"service.name": "adminctl", "service.version": version_of("penstock")})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_Exporter()))
        tracer = self._provider.get_tracer("adminctl")
        parent = context.Context() if traceparent is None else _propagator.extract({TRACEPARENT: traceparent})
        self._span = tracer.start_span(f"adminctl {command}".strip(), context=parent)
        self._context = trace.set_span_in_context(self._span, parent)
        # A command is a process: there is nothing to go back to.
        context.attach(self._context)

    @property
    def traceparent(self) -> str:
        carrier: dict[str, str] = {}
        _propagator.inject(carrier, context=self._context)
        return carrier[TRACEPARENT]

    def traced(self, channel: grpc.Channel) -> grpc.Channel:
        interceptor = client_interceptor(  # type: ignore[no-untyped-call]  # The library has no types for them.
            tracer_provider=self._provider, filter_=lambda call: call.full_method not in ENDLESS
        )
        traced: grpc.Channel = intercept_channel(channel, interceptor)  # type: ignore[no-untyped-call]
        return traced

    def end(self) -> None:
        self._span.end()
        self._provider.shutdown()


class _Exporter(SpanExporter):
    """The library's, which takes the standard variables; that spans are lost is told in one line of ours."""

    def __init__(self) -> None:
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        self._exporter = OTLPSpanExporter(timeout=SEND_S)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            click.echo("warning: the spans of this command could not be sent to the collector", err=True)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # The library has no type for it.
