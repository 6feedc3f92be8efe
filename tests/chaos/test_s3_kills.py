"""Killed while pieces are on their way to remote stores: what was acknowledged reads back, nothing is left behind."""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from engine.units import KIB, MIB
from tests.support.postgres import shared_server, with_database
from tests.support.s3_stores import BUCKET, RcloneStore
from tests.support.served import Served

SIZES = [10, 5000, 200 * KIB, 3 * MIB]
KILL_COUNT = 2
WRITER_COUNT = 4
SETTLED_WITHIN_S = 120.0

WORKERS = (
    "workers: {cleanup: {interval: 1s}, reaper: {interval: 1s}, intents: {interval: 1s}}\n"
    "debug: {allowed: true}\n"
)


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[list[RcloneStore]]:
    with ExitStack() as running:
        yield [running.enter_context(RcloneStore(tmp_path / f"store-{number}")) for number in range(2)]


def edited(stores: list[RcloneStore], engine: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        backends = "backends:\n"
        for number, store in enumerate(stores):
            place = store.place
            backends += (
                f"  - {{name: far-{number}, kind: s3, endpoint: '{place.endpoint}', bucket: {place.bucket}, "
                f"prefix: main, access_key_id: {place.access_key_id}, secret_access_key: {place.secret_access_key}}}\n"
            )
        text = text.replace("backends:\n", backends) + WORKERS
        quick = "default_scheme: copies(2)\n  read_grace: 1s\n  intent_ttl: 5s"
        text = text.replace("default_scheme: copies(1)", quick)
        if engine == "postgres":
            server = shared_server()
            text = with_database(text, server, server.create_empty_database())
        return text

    return edit


class Writers:
    """Put objects under keys of their own until they are told to stop; `stored` are those that were acknowledged."""

    def __init__(self, served: Served) -> None:
        self.stored: dict[str, bytes] = {}
        self._served = served
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(number,)) for number in range(WRITER_COUNT)
        ]

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _write(self, number: int) -> None:
        chance = random.Random(number)
        client = self._served.client(connect_timeout=2, read_timeout=20)
        count = 0
        while not self._stopping.is_set():
            count += 1
            key, body = f"{number}-{count}", chance.randbytes(chance.choice(SIZES))
            try:
                client.put_object(Bucket="photos", Key=key, Body=body)
            except (ClientError, BotoCoreError):
                time.sleep(0.05)
            else:
                self.stored[key] = body


def pieces_in(stores: list[RcloneStore]) -> list[Path]:
    """The store removes folders while they are looked through; `os.walk` passes over those that are gone."""
    return [
        Path(folder, name)
        for store in stores
        for folder, _, names in os.walk(store.folder / "data" / BUCKET / "main" / "pieces")
        for name in names
    ]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_kills_on_the_way_to_remote_stores_lose_and_leave_nothing(
    tmp_path: Path, stores: list[RcloneStore], engine: str
) -> None:
    chance = random.Random(7)
    with Served(tmp_path / "main", volumes=1, edit_config=edited(stores, engine)) as served:
        s3: Any = served.client()
        s3.create_bucket(Bucket="photos")
        with Writers(served) as writers:
            for _ in range(KILL_COUNT):
                time.sleep(0.5 + chance.random())
                served.kill_tree()
                served.start()
        stored = writers.stored

        assert len(stored) > KILL_COUNT
        for key, body in stored.items():
            assert s3.get_object(Bucket="photos", Key=key)["Body"].read() == body
        assert served.fsck()["findings"] == []

        listed = [
            each["Key"]
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket="photos")
            for each in page.get("Contents", [])
        ]
        assert set(listed) >= set(stored)
        for key in listed:
            s3.delete_object(Bucket="photos", Key=key)
        deadline_s = time.monotonic() + SETTLED_WITHIN_S
        while (left := pieces_in(stores)) and time.monotonic() < deadline_s:
            time.sleep(0.5)
        assert left == []
