"""What a call leaves in the audit trail: its begin, before it does anything, and its end, before its answer."""

import json
import logging
import os
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from controlplane.callers import Caller
from controlplane.pool import EnginePool
from controlplane.redaction import redacted
from engine.errors import EngineError
from engine.metadata.audit import AuditEvent, AuditRow, Seal, append
from engine.metadata.store import Store
from engine.sealing.keyring import KeyRing

BEGUN = "BEGUN"
REFUSAL_COUNT_MAX = 10
"""Refused calls a second that are written down; more of them are in the log only: whoever may do nothing may not
fill the database either."""

RESOURCE_CHARS_MAX = 1024
_RESOURCE_FIELDS = ("name", "bucket", "parent", "worker", "backend", "target", "logger", "prefix")

_log = logging.getLogger("penstock.audit")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedCall:
    """A call of a method that changes something."""

    caller: Caller
    method: str
    request: Any
    request_id: str
    peer: str


class AuditTrail:
    """Writes the chain of this instance. One process of an instance does, and one event at a time."""

    def __init__(
        self, store: Store, ring: KeyRing, pool: EnginePool, *, instance_id: bytes, head_file: "HeadFile"
    ) -> None:
        self._store = store
        self._seal = sealing(ring)
        self._pool = pool
        self._instance_id = instance_id
        self._head_file = head_file
        self._lock = threading.Lock()
        self._refusal_second = 0
        self._refusal_count = 0

    async def begun(self, call: AuditedCall) -> None:
        """Raises DatabaseUnavailable and OutcomeUnknown: then the call must not be carried out."""
        detail = redacted(call.request) if isinstance(call.request, Message) else None
        await self._pool.run(self._write, _event(call, BEGUN, detail))

    async def ended(self, call: AuditedCall, outcome: str, answer: Any = None) -> None:
        """How a call ended that was begun. It did end, so what cannot be written is an error in the log."""
        try:
            await self._pool.run(self._write, _event(call, outcome, _came_of(answer)))
        except EngineError as error:
            _log.error(
                "audit.end_lost",
                extra={
                    "method": call.method,
                    "request_id": call.request_id,
                    "outcome": outcome,
                    "why": str(error),
                },
            )

    async def refused(self, call: AuditedCall, outcome: str) -> None:
        """A known caller was turned away."""
        second = int(time.monotonic())
        if second != self._refusal_second:
            self._refusal_second, self._refusal_count = second, 0
        self._refusal_count += 1
        if self._refusal_count <= REFUSAL_COUNT_MAX:
            await self.ended(call, outcome)

    def _write(self, event: AuditEvent) -> None:
        with self._lock:
            row = self._store.write(
                partial(append, event=event, instance_id=self._instance_id, seal=self._seal),
                holds_locks=True,
            )
            self._head_file.write(row)


def sealing(ring: KeyRing) -> Seal:
    """What events and anchors are sealed with: the ring key that is the primary one then."""

    def seal(covered: bytes) -> bytes:
        return ring.primary.key_id + ring.primary.audit_mac(covered)

    return seal


class HeadFile:
    """The event that this node knows to be its last one: an end of the chain that was cut off in the database shows."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "audit-head.json"

    def write(self, row: AuditRow) -> None:
        """Not synced: after a power cut it may name an event before the last one, which is there as well."""
        draft = self._path.with_suffix(".new")
        told = {"event_seq": row.event_seq, "instance_id": row.instance_id.hex(), "hash": row.hash.hex()}
        try:
            with open(
                os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w"
            ) as file:
                json.dump(told, file)
            os.replace(draft, self._path)
        except OSError as error:
            _log.error("audit.head_not_kept", extra={"why": str(error)})

    def read(self) -> tuple[bytes, bytes] | None:
        """Instance and hash of the event; null when there is none that can be read."""
        try:
            told = json.loads(self._path.read_bytes())
            return bytes.fromhex(told["instance_id"]), bytes.fromhex(told["hash"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _event(call: AuditedCall, outcome: str, detail: str | None) -> AuditEvent:
    return AuditEvent(
        actor=call.caller.name,
        action=call.method,
        resource=resource_of(call.request),
        outcome=outcome,
        request_id=call.request_id,
        peer=call.peer,
        detail=detail,
    )


def resource_of(request: Any) -> str | None:
    """What a request is about, as far as its fields say: a name, or that of the resource it carries."""
    if not isinstance(request, Message):
        return None
    fields = {field.name: value for field, value in request.ListFields()}
    named = next((fields[name] for name in _RESOURCE_FIELDS if isinstance(fields.get(name), str)), None)
    if named is None:
        carried = [getattr(value, "name", None) for value in fields.values() if isinstance(value, Message)]
        named = next((name for name in carried if isinstance(name, str) and name), None)
    elif named == fields.get("bucket") and isinstance(fields.get("key"), str):
        named = f"{named}/{fields['key']}"
    return None if named is None else named[:RESOURCE_CHARS_MAX]


def _came_of(answer: Any) -> str | None:
    """The operation that was begun, if any."""
    operation = getattr(answer, "operation", None)
    name = getattr(operation, "name", None)
    return json.dumps({"operation": name}) if isinstance(name, str) and name else None
