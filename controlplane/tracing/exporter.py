"""OpenTelemetry's exporter of spans over HTTP, which goes straight to the collector and complains once a minute."""

import logging
import ssl
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

DEFAULT_PATH = "/v1/traces"
TIMEOUT_S = 5.0
"""Of one batch, all of its tries together."""

TELL_EVERY_S = 60.0
"""How often a collector that does not take spans is told of in the log."""

_log = logging.getLogger("penstock.control")


class OtlpExporter(SpanExporter):
    """What cannot be sent within `TIMEOUT_S` is dropped: a trace is worth no waiting."""

    def __init__(self, endpoint: str) -> None:
        """`endpoint` without a path means OTLP's own."""
        parts = urlsplit(endpoint)
        whole = endpoint if parts.path not in ("", "/") else parts._replace(path=DEFAULT_PATH).geturl()
        session = requests.Session()
        # Proxies and passwords of the environment are not meant for the collector, and it sends spans nowhere else.
        session.trust_env = False
        session.max_redirects = 0
        self._complaints = _Complaints(endpoint)
        # Certificates the machine trusts, as everywhere else; the library would take those it brings along.
        trusted = ssl.get_default_verify_paths()
        self._exporter = trace_exporter.OTLPSpanExporter(
            whole, certificate_file=trusted.cafile or trusted.capath, timeout=TIMEOUT_S, session=session
        )
        _logger_of_the_library().addFilter(self._complaints)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export(spans)

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # The library has no type for it.
        _logger_of_the_library().removeFilter(self._complaints)


class _Complaints(logging.Filter):
    """The library has a line for every try that fails; of these one a minute is passed on, as an event of ours."""

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._told_s = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        now_s = time.monotonic()
        if now_s - self._told_s >= TELL_EVERY_S:
            self._told_s = now_s
            _log.warning("tracing.not_sent", extra={"endpoint": self._endpoint, "why": record.getMessage()})
        return False


def _logger_of_the_library() -> logging.Logger:
    return logging.getLogger(trace_exporter.__name__)
