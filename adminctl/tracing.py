"""W3C trace context: the calls of one command belong together, and to whatever the environment says it is part of."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc

    from adminctl.spans import CommandSpans

TRACEPARENT = "traceparent"
VARIABLE = "TRACEPARENT"

_COLLECTORS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Trace:
    """What the calls of one command are part of. Its own spans are made only where somebody collects them."""

    def __init__(self, environ: Mapping[str, str], *, command: str = "") -> None:
        """`command` is the noun, as a name for people."""
        self._environ = environ
        self._command = command

    @cached_property
    def traceparent(self) -> str:
        return traceparent_of(self._environ) if self._spans is None else self._spans.traceparent

    def traced(self, channel: grpc.Channel) -> grpc.Channel:
        """The channel, its calls with a span each where spans are collected."""
        return channel if self._spans is None else self._spans.traced(channel)

    def end(self) -> None:
        """Send what there is, for a moment at most. Nothing was called: nothing is made now."""
        if "_spans" in self.__dict__ and self._spans is not None:
            self._spans.end()

    @cached_property
    def _spans(self) -> CommandSpans | None:
        if not has_collector(self._environ):
            return None
        from adminctl.spans import CommandSpans

        return CommandSpans(self._command, traceparent=given_traceparent(self._environ))


def has_collector(environ: Mapping[str, str]) -> bool:
    """Whether OpenTelemetry's variables name a collector for the spans of what runs here."""
    is_off = (
        environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
        or environ.get("OTEL_TRACES_EXPORTER") == "none"
    )
    return not is_off and any(environ.get(name) for name in _COLLECTORS)


def given_traceparent(environ: Mapping[str, str]) -> str | None:
    """That of whatever runs the command; null when it has none, or what it has is none."""
    given = environ.get(VARIABLE, "")
    return given if _FORM.fullmatch(given) else None


def traceparent_of(environ: Mapping[str, str]) -> str:
    """That of the environment if it is one, else of a new trace; asks the server to record it, if it traces at all."""
    return given_traceparent(environ) or f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"


def trace_id(traceparent: str) -> str:
    """By which the trace is found."""
    return traceparent.split("-")[1]
