"""Real S3 stores to be backends in tests: another Penstock, and rclone's server, which is nobody of ours."""

import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from engine.backends.s3.backend import S3Backend
from engine.backends.s3.place import S3Place
from engine.names import BackendName
from tests.support.ports import free_ports
from tests.support.served import Served
from tests.support.volumes import DEPLOYMENT_ID, IDENTITY_ID, NAME

BUCKET = "pieces-of-tests"
READY_TIMEOUT_S = 20.0
_RCLONE = Path(sys.executable).parent / "rclone"


def no_key_mac(card: bytes, covered: bytes) -> bytes:
    """A MAC without a ring, for cards that are no cards."""
    from blake3 import blake3

    return blake3(covered, key=b"k" * 32).digest()


class RcloneStore:
    """`rclone serve s3` over a folder; killed and started again at the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "data" / BUCKET).mkdir(parents=True)
        (self._port,) = free_ports(1)
        self._keys = ("AKRCLONE" + secrets.token_hex(4), secrets.token_hex(16))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def place(self) -> S3Place:
        access_key_id, secret = self._keys
        return S3Place(
            endpoint=f"http://127.0.0.1:{self._port}",
            region="us-east-1",
            bucket=BUCKET,
            access_key_id=access_key_id,
            secret_access_key=secret,
        )

    def change_secret(self) -> None:
        """From the next start it knows its key by another secret."""
        self._keys = (self._keys[0], secrets.token_hex(16))

    def start(self) -> None:
        with (self.folder / "rclone.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(_RCLONE, "serve", "s3", self.folder / "data"),
                    *("--addr", f"127.0.0.1:{self._port}", "--auth-key", ",".join(self._keys)),
                    *("--vfs-cache-mode", "off", "--config", self.folder / "none.conf"),
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        wait_until_it_listens(self._port)

    def freeze(self) -> None:
        """From now on it takes connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(READY_TIMEOUT_S)
            self._process = None


class PenstockStore:
    """Another Penstock with a bucket of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.served = Served(folder, volumes=1)

    def __enter__(self) -> Self:
        self.served.__enter__()
        self.client().create_bucket(Bucket=BUCKET)
        return self

    def __exit__(self, *_: object) -> None:
        self.served.__exit__(None, None, None)

    def client(self) -> Any:
        return self.served.client()

    @property
    def place(self) -> S3Place:
        known = self.served.credentials
        return S3Place(
            endpoint=known.endpoint,
            region=known.region,
            bucket=BUCKET,
            preset="penstock",
            access_key_id=known.access_key_id,
            secret_access_key=known.secret_access_key,
        )


def make_s3_backend(
    place: S3Place,
    *,
    backend_id: int = 1,
    name: BackendName = NAME,
    identity_id: bytes = IDENTITY_ID,
    **options: Any,
) -> S3Backend:
    """A backend at that place, not registered yet; `options` are those of S3Backend."""
    return S3Backend(
        backend_id=backend_id,
        name=name,
        place=place,
        deployment_id=DEPLOYMENT_ID,
        identity_id=identity_id,
        mac=no_key_mac,
        **options,
    )


def wait_until_it_listens(port: int) -> None:
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
