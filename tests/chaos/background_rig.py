"""A deployment whose clients' waiting times are taken while it compacts, scrubs and rebalances as fast as it can."""

import http.client
import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version as version_of
from typing import Any
from urllib.parse import urlsplit

import grpc
from penstock.admin.v1 import (
    cleanup_service_pb2,
    maintenance_service_pb2,
    operation_pb2,
    operation_service_pb2,
    rebalance_service_pb2,
    scrub_service_pb2,
)

from engine.deployment.opening import open_deployment
from tests.integration.controlplane.clients import Client
from tests.support.control import as_folder, put_object, wait_until
from tests.support.pieces import payload_of
from tests.support.served import Served

HOT, DEAD, STANDING = "hot", "dead", "standing"
HOT_COUNT = 64
HOT_BYTES = 4_096
READER_COUNT = WRITER_COUNT = 2
POLL_S = 0.05
REST_S = 1.2
"""More than the read grace that `edited` sets."""


def edited(text: str) -> str:
    """Two volumes with an end, so that it is known how full they are, and workers that are quick with what is dead."""
    for number in (1, 2):
        path = f'path: "./data/volumes/v{number}"'
        assert path in text
        text = text.replace(path, f"{path}\n    quota_bytes: 4GiB")
    text = text.replace("  seal: none\n", "  seal: none\n  read_grace: 1s\n")
    workers = "cleanup: {interval: 0.5s}, reaper: {interval: 0.5s}, compaction: {enabled: false}"
    more = f"processes: {{dataplane: 2}}\nworkers: {{{workers}}}\ndebug: {{allowed: true}}\n"
    return text.replace("\nidentities:\n", f"\n{more}\nidentities:\n")


@dataclass(slots=True)
class Waits:
    """Seconds that each request took, of each kind."""

    get_s: list[float] = field(default_factory=list)
    put_s: list[float] = field(default_factory=list)

    def add(self, other: "Waits") -> None:
        self.get_s += other.get_s
        self.put_s += other.put_s


def p99_s(taken_s: list[float]) -> float:
    return sorted(taken_s)[math.ceil(len(taken_s) * 0.99) - 1]


class BackgroundRig:
    """Clients that ask one thing after the other, and calls of the control API, over a deployment that serves."""

    def __init__(self, served: Served, channel: grpc.Channel) -> None:
        self._served = served
        self._s3 = served.client()
        self._client = Client(channel)
        for bucket in (HOT, DEAD, STANDING):
            self._s3.create_bucket(Bucket=bucket)
        keys = [f"{number:03}" for number in range(HOT_COUNT)]
        self._body = os.urandom(HOT_BYTES)
        for key in keys:
            self._s3.put_object(Bucket=HOT, Key=key, Body=self._body)
        self._gets = [self._presigned("get_object", key) for key in keys]
        self._puts = [self._presigned("put_object", f"w{key}") for key in keys]
        self._dead_round = 0

    def measure(self, until: Callable[[], bool]) -> Waits:
        """What clients wait until something holds."""
        stopping = threading.Event()
        with ThreadPoolExecutor(READER_COUNT + WRITER_COUNT) as pool:
            gets = [pool.submit(self._ask, "GET", self._gets, None, stopping) for _ in range(READER_COUNT)]
            puts = [
                pool.submit(self._ask, "PUT", self._puts, self._body, stopping) for _ in range(WRITER_COUNT)
            ]
            try:
                while not until():
                    time.sleep(POLL_S)
            finally:
                stopping.set()
        return Waits(
            get_s=[each for done in gets for each in done.result()],
            put_s=[each for done in puts for each in done.result()],
        )

    def fill(self, size_bytes: int) -> None:
        """Objects that stay, small ones and large ones by turns."""
        self._store(STANDING, "", size_bytes)

    def prepare_dead(self, size_bytes: int) -> None:
        """Files that nobody writes to, of which half is dead, as a process that has ended leaves them."""
        self._dead_round += 1
        keys = self._store(DEAD, f"{self._dead_round}/", size_bytes)
        for start in range(0, len(keys), 1000):
            gone = [{"Key": key} for key in keys[start : start + 1000 : 2]]
            self._s3.delete_objects(Bucket=DEAD, Delete={"Objects": gone})
        wait_until(self._is_cleaned, "cleanup")
        time.sleep(REST_S)

    def _is_cleaned(self) -> bool:
        status = self._client("cleanup", cleanup_service_pb2.GetCleanupStatusRequest())
        return bool(status.retired_count == status.queued_count == 0)

    def compact(self) -> Any:
        return self._client("maintenance", maintenance_service_pb2.CompactRequest(all=True)).operation

    def scrub(self) -> Any:
        return self._client("scrub", scrub_service_pb2.RunScrubRequest()).operation

    def rebalance(self, strategy: rebalance_service_pb2.RebalanceStrategy.ValueType) -> Any:
        request = rebalance_service_pb2.RunRebalanceRequest(strategy=strategy, threshold=0.0002)
        return self._client("rebalance", request).operation

    def ended(self, operation: Any) -> Any:
        """The operation once it has succeeded, else null."""
        request = operation_service_pb2.GetOperationRequest(name=operation.name)
        seen = self._client("operation", request).operation
        assert not seen.done or seen.state == operation_pb2.OPERATION_STATE_SUCCEEDED, seen
        return seen if seen.done else None

    def _store(self, bucket: str, prefix: str, size_bytes: int) -> list[str]:
        opened = open_deployment(self._served.config, {}, plane="dataplane", version=version_of("penstock"))
        keys: list[str] = []
        try:
            with ThreadPoolExecutor(8) as pool:
                while size_bytes > 0:
                    body = payload_of(300_000 if len(keys) % 16 < 2 else 8_000, seed=len(keys))
                    keys.append(f"{prefix}{len(keys):06}")
                    pool.submit(put_object, opened, bucket, keys[-1], body)
                    size_bytes -= len(body)
        finally:
            opened.close()
        return keys

    def _presigned(self, method: str, key: str) -> str:
        url = self._s3.generate_presigned_url(method, Params={"Bucket": HOT, "Key": key}, ExpiresIn=86400)
        parts = urlsplit(url)
        return f"{parts.path}?{parts.query}"

    def _ask(
        self, method: str, targets: list[str], body: bytes | None, stopping: threading.Event
    ) -> list[float]:
        host = urlsplit(self._served.credentials.endpoint).netloc
        connection = http.client.HTTPConnection(host, timeout=30)
        taken_s = []
        try:
            while not stopping.is_set():
                for target in targets:
                    began_s = time.perf_counter()
                    connection.request(method, target, body)
                    answer = connection.getresponse()
                    answer.read()
                    taken_s.append(time.perf_counter() - began_s)
                    assert answer.status == 200, (method, target, answer.status)
        finally:
            connection.close()
        return taken_s


@contextmanager
def background_rig(served: Served) -> Iterator[BackgroundRig]:
    """For the time of a test."""
    with (
        as_folder(served.data / "state") as folder,
        grpc.insecure_channel(f"unix:{folder}/admin.sock") as channel,
    ):
        yield BackgroundRig(served, channel)
