"""What only the node itself can look at: its keys, disks, clock, certificates, and whether its data plane answers."""

import http.client
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificates
from penstock.admin.v1 import system_pb2

from controlplane.health import DEGRADED, FAILED, OK, HealthCheck
from engine.deployment.process import OpenDeployment
from engine.deployment.ring import key_provider, open_ring
from engine.errors import EngineError
from engine.metadata import keys
from engine.metadata.store import Tx
from engine.settings.database import SqliteSettings
from engine.units import DAY_S, GIB

CLOCK_OFF_MAX_S = 5.0
FREE_MIN_BYTES = GIB
"""A disk with less free is told of: the database and the log write there."""

CERTIFICATE_LEFT_MIN_DAYS = 14
READY_TIMEOUT_S = 1.0

Status = system_pb2.HealthStatus.ValueType


class NodeChecks:
    """For one process of the control plane. Safe for many threads."""

    def __init__(self, opened: OpenDeployment) -> None:
        self._opened = opened

    def of_rows(self, tx: Tx) -> Iterator[HealthCheck]:
        """Within a transaction that reads: what this node makes of rows."""
        yield self._clock(tx)
        yield self._keys(tx)

    def of_files(self, *, is_serving: bool) -> Iterator[HealthCheck]:
        """Outside of one. `is_serving`: this instance has a data plane, as far as its rows say."""
        node = self._opened.settings.node
        folders = [node.node.state_dir]
        if isinstance(node.database, SqliteSettings):
            folders.append(node.database.path.parent)
        yield from (_disk(folder) for folder in dict.fromkeys(folders))
        for name, tls in (("s3", node.listen.tls), ("control", node.listen.control_tls)):
            if tls is not None:
                yield _certificate(name, tls.cert)
        if is_serving:
            yield _ready(node.listen.metrics.host, node.listen.metrics.port)

    @property
    def instance_id(self) -> bytes:
        return self._opened.instance_id

    def _clock(self, tx: Tx) -> HealthCheck:
        off_s = (self._opened.clock.now_us() - tx.now_us()) / 1_000_000
        if abs(off_s) <= CLOCK_OFF_MAX_S:
            return HealthCheck(name="clock", status=OK)
        return HealthCheck(
            name="clock",
            status=DEGRADED,
            message=f"this node's clock is {off_s:+.0f} s off the database's",
            remedy="let both keep time by NTP: signatures and certificates go by the clock",
        )

    def _keys(self, tx: Tx) -> HealthCheck:
        try:
            open_ring(keys.list_keys(tx), key_provider(self._opened.settings.node.keys))
        except EngineError as error:
            return HealthCheck(
                name="keys",
                status=DEGRADED,
                message=f"the master key at hand does not open the ring: {error}",
                remedy="put the right master key back before anything is started again",
            )
        return HealthCheck(name="keys", status=OK)


def _disk(folder: Path) -> HealthCheck:
    name = f"disks{folder}"
    try:
        stats = os.statvfs(folder)
    except OSError as error:
        return HealthCheck(name=name, status=DEGRADED, message=f"{folder}: {error.strerror}")
    free_bytes = stats.f_bavail * stats.f_frsize
    if free_bytes >= FREE_MIN_BYTES:
        return HealthCheck(name=name, status=OK)
    return HealthCheck(
        name=name,
        status=DEGRADED,
        message=f"{free_bytes // (1024 * 1024)} MiB are free",
        remedy="make room: without it no write can be committed",
    )


def _certificate(listener: str, path: Path) -> HealthCheck:
    name = f"certificates/{listener}"
    try:
        certificates = load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        return HealthCheck(name=name, status=DEGRADED, message=f"{path}: {error}")
    ends = min(each.not_valid_after_utc for each in certificates)
    left_days = (ends - datetime.now(UTC)).total_seconds() / DAY_S
    if left_days >= CERTIFICATE_LEFT_MIN_DAYS:
        return HealthCheck(name=name, status=OK, message=f"until {ends:%Y-%m-%d}")
    return HealthCheck(
        name=name,
        status=FAILED if left_days < 0 else DEGRADED,
        message=f"{path} {'ended' if left_days < 0 else 'ends'} on {ends:%Y-%m-%d}",
        remedy="put a renewed certificate in its place: it is taken without a restart",
    )


def _ready(host: str, port: int) -> HealthCheck:
    name = "ports/metrics"
    if port == 0:
        return HealthCheck(name=name, status=OK, message="any free port: not looked at")
    connection = http.client.HTTPConnection(host or "127.0.0.1", port, timeout=READY_TIMEOUT_S)
    try:
        connection.request("GET", "/-/ready")
        answer = connection.getresponse()
        text = answer.read(1024).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return HealthCheck(
            name=name,
            status=DEGRADED,
            message=f"the data plane does not answer at {host}:{port}: {error}",
            remedy="see the log of the data plane on this node",
        )
    finally:
        connection.close()
    if answer.status == http.client.OK:
        return HealthCheck(name=name, status=OK)
    return HealthCheck(name=name, status=DEGRADED, message=f"the data plane is not ready: {text}")
