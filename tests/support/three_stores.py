"""A deployment with two copies over a volume, another Penstock and a foreign S3 server, with trouble on every way."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import grpc
from penstock.admin.v1 import object_service_pb2 as pb
from penstock.admin.v1 import object_service_pb2_grpc as pb_grpc

from engine.backends.s3.place import S3Place
from engine.backends.volume.format import RECORD_HEADER_BYTES
from tests.support.fault_proxy import FaultProxy
from tests.support.postgres import shared_server, with_database
from tests.support.s3_stores import BUCKET, PenstockStore, RcloneStore
from tests.support.served import Served

PREFIX = "main"
COPY_COUNT = 2
CALL_TIMEOUT_S = 60.0

QUICK = (
    "default_scheme: copies(2)\n  chunk_bytes: 1MiB\n  read_grace: 1s\n  heal_after: 3s\n  scrub_period: 3s"
)
WORKERS = (
    "workers: {{cleanup: {0}, reaper: {0}, intents: {0}, replicator: {0}, scrubber: {0}, trimmer: {0}}}\n"
    "debug: {{allowed: true}}\n"
).format("{interval: 500ms}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A row's word on where some bytes of an object lie."""

    backend: str
    storage_key: str
    start: int
    length: int
    is_live: bool


class ThreeStores:
    """Serves from `with` to its end. The backends are `v1`, `pen` and `foreign`; `ways` lead to the latter two."""

    def __init__(self, folder: Path, *, engine: str, more: str = "") -> None:
        """`more` is added to the configuration."""
        self._folder = folder
        self._engine = engine
        self._more = more
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            self.penstock = starting.enter_context(PenstockStore(self._folder / "penstock"))
            self.rclone = starting.enter_context(RcloneStore(self._folder / "rclone"))
            self.ways = {name: starting.enter_context(_way_to(place)) for name, place in self._places.items()}
            self.main = Served(self._folder / "main", volumes=1, edit_config=self._edited)
            starting.enter_context(self.main)
            channel = starting.enter_context(grpc.insecure_channel(self.main.credentials.control_address))
            self._objects: Any = pb_grpc.ObjectServiceStub(channel)
            self._token = (("authorization", f"Bearer {self.main.credentials.admin_token}"),)
            self._far: Any = self.penstock.client()
            self._running = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        for way in self.ways.values():
            way.clear()
        self._running.close()

    @property
    def volume(self) -> Path:
        """Folder of the volume."""
        return self.main.data / "volumes" / "v1"

    def pieces(self, key: str) -> list[Piece]:
        """What the rows say of an object of few blobs."""
        request = pb.GetObjectLocationsRequest(bucket="photos", key=key, page_size=500)
        # The control plane may still be on its way up.
        answer = self._objects.GetObjectLocations(
            request, metadata=self._token, timeout=CALL_TIMEOUT_S, wait_for_ready=True
        )
        assert not answer.next_page_token
        return [
            Piece(
                backend=each.backend.removeprefix("backends/"),
                storage_key=each.storage_key,
                start=each.start_offset_bytes,
                length=each.length_bytes,
                is_live=each.state == pb.PIECE_STATE_LIVE,
            )
            for each in answer.pieces
        ]

    def problem_of(self, key: str, body: bytes) -> str | None:
        """Why the object does not stand in exactly two good copies; the bytes are looked at where they lie."""
        by_start: dict[int, list[Piece]] = {}
        for piece in self.pieces(key):
            by_start.setdefault(piece.start, []).append(piece)
        for start, pieces in by_start.items():
            if sorted({each.backend for each in pieces}) != sorted(each.backend for each in pieces):
                return f"{key} at {start}: two copies on one backend"
            if len(pieces) != COPY_COUNT or not all(each.is_live for each in pieces):
                return f"{key} at {start}: {[(each.backend, each.is_live) for each in pieces]}"
            for each in pieces:
                if self.stored(each) != body[start : start + each.length]:
                    return f"{key} at {start}: what lies on {each.backend} is something else"
        covered = sum(pieces[0].length for pieces in by_start.values())
        return None if covered == len(body) else f"{key}: {covered} bytes of {len(body)}"

    def stands_without(self, store: str, key: str, body: bytes) -> bool:
        """Whether as many good copies as there should be lie elsewhere."""
        by_start: dict[int, int] = {}
        for each in self.pieces(key):
            is_good = each.is_live and self.stored(each) == body[each.start : each.start + each.length]
            by_start[each.start] = by_start.get(each.start, 0) + (is_good and each.backend != store)
        return all(count == COPY_COUNT for count in by_start.values())

    def stored(self, piece: Piece) -> bytes:
        """The payload where it lies, read past Penstock and past all proxies; empty when it is not there."""
        if piece.backend == "foreign":
            file = self.rclone.folder / "data" / BUCKET / PREFIX / piece.storage_key
            return file.read_bytes()[: piece.length] if file.exists() else b""
        if piece.backend == "pen":
            found = self._far.list_objects_v2(Bucket=BUCKET, Prefix=f"{PREFIX}/{piece.storage_key}")
            if not found.get("KeyCount"):
                return b""
            got = self._far.get_object(Bucket=BUCKET, Key=f"{PREFIX}/{piece.storage_key}")
            return bytes(got["Body"].read()[: piece.length])
        volume_id, _, offset = piece.storage_key.partition(":")
        (file,) = self.volume.rglob(f"*{volume_id}*")
        with file.open("rb") as opened:
            opened.seek(int(offset, 16) + RECORD_HEADER_BYTES)
            return opened.read(piece.length)

    def wait_until_whole(self, bodies: Mapping[str, bytes], *, within_s: float) -> float:
        """Until every object stands in exactly two good copies; how long that took."""
        began_s = time.monotonic()
        waiting = dict(bodies)
        while waiting:
            key, body = next(iter(waiting.items()))
            problem = self.problem_of(key, body)
            if problem is None:
                del waiting[key]
                continue
            if time.monotonic() - began_s > within_s:
                raise AssertionError(f"not whole after {within_s} s: {problem}\n{self.main.log_tail(60)}")
            time.sleep(0.1)
        # What was looked at first may have changed since.
        again = [key for key, body in bodies.items() if self.problem_of(key, body) is not None]
        if again:
            left_s = within_s - (time.monotonic() - began_s)
            self.wait_until_whole({key: bodies[key] for key in again}, within_s=left_s)
        return time.monotonic() - began_s

    def far_keys(self) -> set[tuple[str, str]]:
        """Storage keys of all pieces that lie on the remote stores."""
        top = self.rclone.folder / "data" / BUCKET / PREFIX
        keys = {
            ("foreign", str(file.relative_to(top))) for file in (top / "pieces").rglob("*") if file.is_file()
        }
        pages = self._far.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{PREFIX}/pieces/")
        for page in pages:
            keys |= {("pen", each["Key"].removeprefix(f"{PREFIX}/")) for each in page.get("Contents", [])}
        return keys

    @property
    def _places(self) -> dict[str, S3Place]:
        return {"pen": self.penstock.place, "foreign": self.rclone.place}

    def _edited(self, text: str) -> str:
        lines = [
            f"  - {{name: {name}, kind: s3, preset: {place.preset}, endpoint: '{self.ways[name].endpoint}', "
            f"bucket: {place.bucket}, prefix: {PREFIX}, access_key_id: {place.access_key_id}, "
            f"secret_access_key: '{place.secret_access_key}'}}\n"
            for name, place in self._places.items()
        ]
        text = text.replace("backends:\n", "backends:\n" + "".join(lines))
        text = text.replace("default_scheme: copies(1)", QUICK) + WORKERS + self._more
        if self._engine == "postgres":
            server = shared_server()
            text = with_database(text, server, server.create_empty_database())
        return text


def _way_to(place: S3Place) -> FaultProxy:
    at = urlsplit(place.endpoint)
    assert at.hostname is not None
    assert at.port is not None
    return FaultProxy(at.hostname, at.port)
