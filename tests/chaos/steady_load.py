"""Clients that no request may fail: they write, read back and delete while operators change the deployment."""

import json
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tests.support.instances import Instance
from tests.support.served import ADMINCTL

CLIENT_COUNT = 4
KEY_COUNT = 40
SIZES_BYTES = (0, 1, 700, 5_000, 70_000, 300_000, 1_200_000)
SETTLE_TIMEOUT_S = 60.0


class SteadyClient(threading.Thread):
    """Writes, reads back and deletes keys of its own, one after the other; the first answer that is wrong is kept."""

    def __init__(
        self, s3: Any, bucket: str, name: str, seed: int, stop: threading.Event, *, pause_s: float
    ) -> None:
        super().__init__(name=name)
        self._s3 = s3
        self._bucket = bucket
        self._random = random.Random(seed)
        self._stop_event = stop
        self._pause_s = pause_s
        self._values: dict[str, bytes] = {}
        self.request_count = 0
        self.problem: str | None = None

    def run(self) -> None:
        while not self._stop_event.wait(self._pause_s) and self.problem is None:
            key = f"{self.name}/{self._random.randrange(KEY_COUNT)}"
            try:
                self._once(key)
            except Exception as error:  # whatever it is, a client lost a request
                self.problem = f"{key}: {type(error).__name__}: {error}"

    def _once(self, key: str) -> None:
        known = self._values.get(key)
        if known is not None and self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read() != known:
            self.problem = f"{key} reads back as something else than was written before"
        value = self._random.randbytes(self._random.choice(SIZES_BYTES))
        self._s3.put_object(Bucket=self._bucket, Key=key, Body=value)
        if self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read() != value:
            self.problem = f"{key} reads back as something else"
        self._values[key] = value
        if self._random.random() < 0.2:
            del self._values[key]
            self._s3.delete_object(Bucket=self._bucket, Key=key)
        self.request_count += 2


@contextmanager
def steady_load(
    instances: Sequence[Instance], bucket: str, *, seed: int, pause_s: float = 0.0
) -> Iterator[list[SteadyClient]]:
    """Clients at work for the block, spread over the instances; the bucket is made.

    `pause_s` between two rounds of a client: what is overwritten takes room until cleanup has been there.
    """
    instances[0].client().create_bucket(Bucket=bucket)
    stop = threading.Event()
    clients = [
        SteadyClient(
            instances[n % len(instances)].client(), bucket, f"c{n}", seed * 100 + n, stop, pause_s=pause_s
        )
        for n in range(CLIENT_COUNT)
    ]
    for each in clients:
        each.start()
    try:
        yield clients
    finally:
        stop.set()
        for each in clients:
            each.join(60)


def problems_of(clients: Sequence[SteadyClient]) -> list[str]:
    """What went wrong for any of them so far."""
    return [each.problem for each in clients if each.problem is not None]


def environ_of(instance: Instance) -> dict[str, str]:
    """What `adminctl` finds an instance by."""
    return {
        "PATH": os.environ["PATH"],
        "PENSTOCK_ENDPOINT": instance.credentials.control_address,
        "PENSTOCK_TOKEN": instance.credentials.admin_token,
    }


def adminctl(instance: Instance, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run it to its end, whatever that is."""
    return subprocess.run(
        [ADMINCTL, *words],
        env=environ_of(instance),
        check=False,
        capture_output=True,
        text=True,
        timeout=90,
    )


def asked(instance: Instance, *words: str) -> Any:
    """What a command that succeeds answers."""
    done = adminctl(instance, "-o", "json", *words)
    assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout)


def is_controlled(instance: Instance) -> bool:
    """Whether its control plane answers."""
    return adminctl(instance, "config", "get").returncode == 0


def eventually(holds: Callable[[], bool], what: str, *, timeout_s: float = SETTLE_TIMEOUT_S) -> None:
    """Look until it holds; an AssertionError with `what` when it never does."""
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.05)
