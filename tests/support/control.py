"""A control plane for tests: the real one over a real deployment, in a thread of the test's process."""

import asyncio
import base64
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from google.rpc import error_details_pb2, status_pb2

from controlplane.app import ControlPlane
from controlplane.operations.kinds import KINDS, OperationKind
from controlplane.settings import ControlSettings
from engine.deployment.opening import OpenDeployment, open_deployment
from engine.errors import BucketExists
from engine.metadata import accounts
from engine.metadata.store import Store
from engine.names import bucket_name, object_key
from engine.objects.write import PutOrder
from engine.records import ObjectHeaders, Origin
from tests.support.bodies import BytesBody
from tests.support.migrated_sqlite import place_migrated

WAIT_S = 20.0
TOKENS = {role: f"{role}-token-0123456789abcdef" for role in ("viewer", "operator", "admin")}
VERSION = "1.2.3"


def write_config(
    folder: Path,
    *,
    extra: str = "",
    tokens: bool = True,
    more_tokens: Sequence[str] = (),
    volume_count: int = 2,
) -> Path:
    """A small deployment's configuration with everything it refers to; listens on any free port."""
    folder.mkdir(parents=True, exist_ok=True)
    key_file = folder / "master.key"
    key_file.touch(mode=0o600)
    key_file.write_bytes(base64.b64encode(bytes(range(32))))
    place_migrated(folder / "metadata.sqlite")
    lines = [
        "node: {name: node-1, state_dir: state}",
        'listen: {s3: "127.0.0.1:0", control: "127.0.0.1:0", metrics: "127.0.0.1:0"}',
        "database: {path: metadata.sqlite}",
        "keys: {provider: file, path: master.key}",
        "backends:",
        *(f"  - {{name: v{n}, kind: volume, path: volumes/v{n}}}" for n in range(1, volume_count + 1)),
    ]
    if tokens:
        lines += [
            "admin_tokens:",
            *(
                f"  - {{name: {role}-1, role: {role}, sha256: {hashlib.sha256(token.encode()).hexdigest()}}}"
                for role, token in TOKENS.items()
            ),
            *(f"  - {{{each}}}" for each in more_tokens),
        ]
    config = folder / "penstock.yaml"
    config.write_text("\n".join([*lines, extra, ""]))
    return config


class RunningPlane:
    """A control plane that serves from `with` to its end; `store` is what its servicers see the store as."""

    def __init__(
        self,
        config: Path,
        *,
        environ: dict[str, str] | None = None,
        wrap_store: Callable[[Store], Store] = lambda store: store,
        kinds: Sequence[OperationKind] = KINDS,
    ) -> None:
        self.config = config
        self.opened: OpenDeployment = open_deployment(
            config, environ or {}, plane="controlplane", version=VERSION
        )
        self.opened.store = wrap_store(self.opened.store)
        self.plane = ControlPlane(
            self.opened,
            environ or {},
            version=VERSION,
            settings=ControlSettings(tick_s=0.05, caller_look_s=0.2, calls_per_s=10_000),
            kinds=kinds,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="control-loop")

    @property
    def state_dir(self) -> Path:
        return self.opened.settings.node.node.state_dir

    @property
    def tcp_address(self) -> str:
        return f"127.0.0.1:{self.plane.tcp_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self.plane.start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        if not self._thread.is_alive():
            return
        has_ended = self._run(self.plane.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()
        self.opened.close()
        assert has_ended

    def stop_serving(self) -> Any:
        """Begin to stop; a future of its end, after which `stop` has nothing left to do but close."""
        return asyncio.run_coroutine_threadsafe(self.plane.stop(), self._loop)

    @contextmanager
    def channel(self, *, socket: str | None = None) -> Iterator[grpc.Channel]:
        """A channel to a unix socket by its name, else to the TCP port."""
        with as_folder(self.state_dir) as folder:
            address = self.tcp_address if socket is None else f"unix:{folder}/{socket}.sock"
            with grpc.insecure_channel(address, options=[("grpc.enable_retries", 0)]) as channel:
                yield channel

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(WAIT_S)


@contextmanager
def as_folder(folder: Path) -> Iterator[str]:
    """A short name of a folder: a socket's has at most 107 bytes, a test's folder may have more."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Look until it holds; an AssertionError when it does not within `WAIT_S`."""
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"still waiting for {what}")
        time.sleep(0.01)


def bearer(role: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {TOKENS[role]}"),)


def put_object(opened: OpenDeployment, bucket: str, key: str, payload: bytes) -> None:
    """Store an object as a client of the account `main` would, its bucket made if there is none."""
    account_id = opened.store.write(lambda tx: accounts.ensure_account(tx, "main", Origin.CONFIG))
    try:
        opened.use.buckets.create(bucket_name(bucket), account_id)
    except BucketExists:
        pass
    opened.use.writer.put(
        PutOrder(
            bucket=bucket_name(bucket),
            key=object_key(key.encode()),
            account_id=account_id,
            headers=ObjectHeaders(),
        ),
        BytesBody(payload),
    )


def failure(call: Callable[[], object]) -> "Failure":
    """The call's error; an AssertionError when it has none."""
    try:
        answer = call()
    except grpc.RpcError as error:
        assert isinstance(error, grpc.Call)
        return Failure(error)
    raise AssertionError(f"answered {answer!r}")


class Failure:
    """What a client learns from a failed call."""

    def __init__(self, error: grpc.Call) -> None:
        self.code = error.code()
        self.text = error.details() or ""
        self.reason = ""
        self.fields: dict[str, str] = {}
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                self._read(status_pb2.Status.FromString(value))

    def _read(self, status: status_pb2.Status) -> None:
        for detail in status.details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info):
                assert info.domain == "penstock"
                self.reason = info.reason
            elif detail.Unpack(bad):
                self.fields = {each.field: each.description for each in bad.field_violations}
