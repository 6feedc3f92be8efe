"""LogService: what happens on this node, and who changed what."""

import logging
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.admin.v1 import log_pb2
from penstock.admin.v1 import log_service_pb2 as pb
from penstock.admin.v1 import log_service_pb2_grpc as pb_grpc

from controlplane.fields import read_id
from controlplane.services.audit_reading import AuditReading, write_event
from controlplane.telling.hub import Hub
from controlplane.telling.tracing import TraceFilter
from controlplane.times import duration, read_timestamp, timestamp
from engine.errors import MalformedField, NoSuchResource
from engine.telling.lines import LogLine
from engine.telling.process import ROOT
from engine.telling.wishes import LEVEL_MAX_S, LevelWish

BATCH_COUNT = 200
GREP_CHARS_MAX = 256
TTL_DEFAULT_S = 600.0

_LOGGER = re.compile(r"penstock(\.[a-z_]{1,32}){0,4}")
_LEVELS: Mapping[int, int] = {
    log_pb2.LOG_SEVERITY_DEBUG: logging.DEBUG,
    log_pb2.LOG_SEVERITY_INFO: logging.INFO,
    log_pb2.LOG_SEVERITY_WARNING: logging.WARNING,
    log_pb2.LOG_SEVERITY_ERROR: logging.ERROR,
}


class LogServicer(pb_grpc.LogServiceServicer):
    def __init__(self, hub: Hub, audit: AuditReading, *, instance_id: bytes) -> None:
        self._hub = hub
        self._audit = audit
        self._instance_id = instance_id

    async def TailLogs(self, request: pb.TailLogsRequest, context: Any) -> AsyncIterator[pb.TailLogsResponse]:
        wanted = self._read_wanted(request)
        ring = self._hub.ring
        with ring.watched() as bell:
            end = ring.end
            # Tells the caller that it misses nothing from now on.
            await context.send_initial_metadata(())
            kept, gone_count = ring.read(0, count_max=end)
            for line in wanted.of_kept(kept[: max(0, end - gone_count)], request):
                yield pb.TailLogsResponse(entry=write_line(line))
            number = end
            while request.follow:
                lines, missed_count = ring.read(number, count_max=BATCH_COUNT)
                number += missed_count + len(lines)
                for line in lines:
                    if wanted.takes(line):
                        yield pb.TailLogsResponse(entry=write_line(line), dropped_count=missed_count)
                        missed_count = 0
                if not lines:
                    await bell.wait()

    async def TraceRequests(
        self, request: pb.TraceRequestsRequest, context: Any
    ) -> AsyncIterator[pb.TraceRequestsResponse]:
        with self._hub.tracing(_read_trace(request)) as tracer:
            await context.send_initial_metadata(())
            while True:
                await tracer.bell.wait()
                requests, dropped_count = tracer.take()
                for each in requests:
                    yield pb.TraceRequestsResponse(request=write_request(each), dropped_count=dropped_count)
                    dropped_count = 0

    async def ListLogLevels(self, request: pb.ListLogLevelsRequest, context: Any) -> pb.ListLogLevelsResponse:
        levels = dict(self._hub.levels())
        answer = pb.ListLogLevelsResponse()
        answer.levels.append(_write_level(ROOT, levels.pop(ROOT, None)))
        answer.levels.extend(_write_level(name, levels[name]) for name in sorted(levels))
        return answer

    async def SetLogLevel(self, request: pb.SetLogLevelRequest, context: Any) -> pb.SetLogLevelResponse:
        if _LOGGER.fullmatch(request.logger) is None:
            raise MalformedField("logger", "expected `penstock`, or one below it such as `penstock.server`")
        wish = None
        if request.severity:
            ttl_s = request.ttl.ToNanoseconds() / 1e9 if request.HasField("ttl") else TTL_DEFAULT_S
            if not 1 <= ttl_s <= LEVEL_MAX_S:
                raise MalformedField("ttl", "expected a second to a day")
            level = _read_level("severity", request.severity)
            wish = LevelWish(level=level, until_us=time.time_ns() // 1000 + int(ttl_s * 1_000_000))
        self._hub.set_level(request.logger, wish)
        return pb.SetLogLevelResponse(level=_write_level(request.logger, wish))

    async def ListAuditEvents(
        self, request: pb.ListAuditEventsRequest, context: Any
    ) -> pb.ListAuditEventsResponse:
        return await self._audit.page(request)

    async def TailAuditEvents(
        self, request: pb.TailAuditEventsRequest, context: Any
    ) -> AsyncIterator[pb.TailAuditEventsResponse]:
        async for row in self._audit.tail(request.tail_count):
            yield pb.TailAuditEventsResponse(event=write_event(row))

    async def VerifyAudit(self, request: pb.VerifyAuditRequest, context: Any) -> pb.VerifyAuditResponse:
        return await self._audit.verify()

    def _read_wanted(self, request: pb.TailLogsRequest) -> "_Wanted":
        if request.instance and read_id("instance", request.instance, "instances") != self._instance_id:
            raise NoSuchResource(name=request.instance)
        if len(request.grep) > GREP_CHARS_MAX:
            raise MalformedField("grep", f"at most {GREP_CHARS_MAX} characters")
        if request.tail_count < 0:
            raise MalformedField("tail_count", "a count is not negative")
        if request.process not in ("", "dataplane", "controlplane"):
            raise MalformedField("process", "expected `dataplane` or `controlplane`")
        return _Wanted(
            level=_read_level("min_severity", request.min_severity) if request.min_severity else 0,
            logger=request.logger,
            process=request.process,
            text=request.grep.casefold(),
            since_us=read_timestamp("since", request.since) if request.HasField("since") else 0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """Which lines a caller asked for."""

    level: int
    logger: str
    process: str
    text: str
    since_us: int

    def takes(self, line: LogLine) -> bool:
        return (
            line.level >= self.level
            and line.time_us >= self.since_us
            and (not self.process or line.process == self.process)
            and (not self.logger or line.logger == self.logger or line.logger.startswith(f"{self.logger}."))
            and (not self.text or self._holds_text(line))
        )

    def of_kept(self, lines: list[LogLine], request: pb.TailLogsRequest) -> list[LogLine]:
        """What of the lines that are kept comes first."""
        if request.follow and not request.tail_count and not request.HasField("since"):
            return []
        taken = [line for line in lines if self.takes(line)]
        return taken[-request.tail_count :] if request.tail_count else taken

    def _holds_text(self, line: LogLine) -> bool:
        texts = (line.event, line.traceback, *(f"{name}={value}" for name, value in line.fields.items()))
        return any(self.text in text.casefold() for text in texts)


def write_line(line: LogLine) -> log_pb2.LogEntry:
    return log_pb2.LogEntry(
        time=timestamp(line.time_us),
        severity=_severity(line.level),
        logger=line.logger,
        process=line.process,
        pid=line.pid,
        event=line.event,
        fields=line.fields,
        traceback=line.traceback,
    )


def write_request(told: Mapping[str, Any]) -> log_pb2.RequestTrace:
    return log_pb2.RequestTrace(
        time=timestamp(told["time_us"]),
        request_id=told["request_id"],
        peer=told["peer"],
        access_key_id=told["access_key_id"],
        operation=told["operation"],
        bucket=told["bucket"],
        key=told["key"],
        status=told["status"],
        code=told["code"],
        received_bytes=told["received_bytes"],
        sent_bytes=told["sent_bytes"],
        duration=duration(told["duration_us"] / 1_000_000),
        user_agent=told["user_agent"],
        pid=told["pid"],
    )


def _read_trace(request: pb.TraceRequestsRequest) -> TraceFilter:
    if not 0.0 <= request.sample <= 1.0:
        raise MalformedField("sample", "expected a share above 0 and up to 1")
    return TraceFilter(
        operation=request.operation,
        bucket=request.bucket,
        key_prefix=request.key_prefix,
        access_key_id=request.access_key_id,
        peer=request.peer,
        errors_only=request.errors_only,
        sample=request.sample or 1.0,
        min_duration_us=request.min_duration.ToMicroseconds(),
    )


def _read_level(field: str, severity: int) -> int:
    if severity not in _LEVELS:
        raise MalformedField(field, "not a severity that this server knows")
    return _LEVELS[severity]


def _severity(level: int) -> "log_pb2.LogSeverity.ValueType":
    if level >= logging.ERROR:
        return log_pb2.LOG_SEVERITY_ERROR
    if level >= logging.WARNING:
        return log_pb2.LOG_SEVERITY_WARNING
    return log_pb2.LOG_SEVERITY_INFO if level >= logging.INFO else log_pb2.LOG_SEVERITY_DEBUG


def _write_level(logger: str, wish: LevelWish | None) -> log_pb2.LogLevel:
    if wish is None:
        level = logging.getLogger(logger).getEffectiveLevel()
        return log_pb2.LogLevel(logger=logger, severity=_severity(level))
    return log_pb2.LogLevel(
        logger=logger, severity=_severity(wish.level), expire_time=timestamp(wish.until_us)
    )
