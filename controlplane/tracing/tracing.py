"""Whether calls are traced and where to; with tracing off nothing of OpenTelemetry is even imported."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import grpc

from engine.settings.running import TracingSettings

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

    from controlplane.tracing.pipeline import Pipeline

SERVER_FAULTS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Ends of a call that are errors of the server (OpenTelemetry's conventions for gRPC); others are the caller's."""

TRACEPARENT = "traceparent"


class Tracing:
    """Follows the configuration. For any thread."""

    def __init__(self, *, version: str, instance_id: bytes) -> None:
        self._resource: Mapping[str, str] = {
            "service.name": "penstock-controlplane",
            "service.version": version,
            "service.instance.id": instance_id.hex(),
        }
        self._settings: TracingSettings | None = None
        self._pipeline: Pipeline | None = None

    def apply(self, settings: TracingSettings | None) -> None:
        """What the newest generation says; what was gathered for another place still goes there."""
        if settings == self._settings:
            return
        before, self._settings = self._pipeline, settings
        if settings is None:
            self._pipeline = None
        else:
            from controlplane.tracing.pipeline import Pipeline

            self._pipeline = Pipeline(settings, self._resource)
        if before is not None:
            threading.Thread(target=before.close, name="tracing-end", daemon=True).start()

    def close(self) -> None:
        """Send what is gathered, for a few seconds at most."""
        before, self._settings, self._pipeline = self._pipeline, None, None
        if before is not None:
            before.close()

    @property
    def tracer(self) -> Tracer | None:
        """Null while nothing is traced."""
        return None if self._pipeline is None else self._pipeline.tracer

    def begin_call(
        self, method: str, metadata: Sequence[tuple[str, str | bytes]], *, caller: str, request_id: str
    ) -> CallSpan | None:
        """The span of a call whose caller is known, made current for what the running task does from now on."""
        pipeline = self._pipeline
        if pipeline is None:
            return None
        from controlplane.tracing.pipeline import begin_call

        given = next(
            (value for key, value in metadata if key == TRACEPARENT and isinstance(value, str)), None
        )
        attributes = {"penstock.caller": caller, "penstock.request_id": request_id}
        return CallSpan(begin_call(pipeline.tracer, method, given, attributes))


class CallSpan:
    """Ends once."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def end(self, code: grpc.StatusCode) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attribute("rpc.grpc.status_code", code.value[0])
        if code in SERVER_FAULTS:
            self._span.set_status(Status(StatusCode.ERROR, code.name))
        self._span.end()
