"""A real Penstock for tests: initialised in a folder, served by the real command, killed with real signals."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from launcher.exit_status import ExitStatus
from launcher.main import main as penstock
from tests.support.certificates import CertificateFiles
from tests.support.ports import free_ports

READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
_BIN = Path(sys.executable).parent
ADMINCTL = _BIN / "adminctl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What `penstock init` writes for its user."""

    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str
    control_address: str
    admin_token: str
    ui_url: str
    metrics_url: str


def run_init(*arguments: str) -> None:
    """`penstock init --yes`, without the second that a Python of its own takes to load it."""
    with contextlib.redirect_stdout(io.StringIO()):
        assert penstock(["init", "--yes", *arguments]) == ExitStatus.OK


class Served:
    """`penstock serve` over one data folder; start, kill and start again as often as a test likes."""

    def __init__(self, folder: Path, *, volumes: int = 3, copies: int = 1, edit_config: Any = None) -> None:
        self.folder = folder
        self.config = folder / "penstock.yaml"
        self.data = folder / "data"
        self.log = folder / "serve.log"
        self.environ: dict[str, str] = {}
        self.ca: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        s3_port, control_port, ui_port, metrics_port = free_ports(4)
        run_init(
            *("--data", str(self.data), "--out", str(self.config)),
            *("--s3-port", str(s3_port), "--control-port", str(control_port)),
            *("--ui-port", str(ui_port), "--metrics-port", str(metrics_port)),
            *("--volumes", str(volumes), "--copies", str(copies)),
        )
        if edit_config is not None:
            self.config.write_text(edit_config(self.config.read_text()))
        self.credentials = Credentials(**json.loads((self.data / "credentials.json").read_text()))

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            # Nobody will call `__exit__`, and a parent that was left would start its children again for ever.
            self.kill_tree()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, wait: bool = True) -> None:
        """Run `penstock serve` in a process group of its own, and wait until both planes serve."""
        said_bytes = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [_BIN / "penstock", "serve", "--config", self.config],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, **self.environ},
            )
        if wait:
            self.wait_ready()
            self._wait_said(b"penstock: serving ", said_bytes)

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                raise AssertionError(f"serve ended with {self._process.returncode}:\n{self.log_tail()}")
            try:
                with urllib.request.urlopen(self._ready_url, timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"not ready within {timeout_s} s:\n{self.log_tail()}")

    def _wait_said(self, line: bytes, since_bytes: int) -> None:
        """Until `penstock serve` itself says so: the control plane may listen a while after the data plane."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while line not in self.log.read_bytes()[since_bytes:]:
            assert time.monotonic() < deadline, f"never said {line!r}:\n{self.log_tail()}"
            time.sleep(0.05)

    def speak_tls(self, files: CertificateFiles, ca: Path, *, more: str = "") -> None:
        """Serve S3 over TLS from the next start; `more` keys go to `listen.tls`."""
        text = self.config.read_text()
        tls = f"{{cert: {files.cert}, key: {files.key}{more}}}"
        self.config.write_text(text.replace("\nlisten:\n", f"\nlisten:\n  tls: {tls}\n"))
        self.ca = ca
        self.credentials = replace(
            self.credentials, endpoint=self.credentials.endpoint.replace("http:", "https:")
        )

    @property
    def _ready_url(self) -> str:
        if self.ca is None:
            return f"{self.credentials.endpoint}/-/ready"
        # Beside the metrics, where no certificate is asked for.
        return self.credentials.metrics_url.replace("/metrics", "/-/ready")

    def stop(self) -> int:
        """SIGTERM, as a service manager would; the exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(STOP_TIMEOUT_S)

    def processes(self) -> dict[int, str]:
        """Process ids of the whole tree with their command lines, the parent first."""
        found: dict[int, str] = {}
        waiting = [self.pid]
        while waiting:
            pid = waiting.pop()
            try:
                found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            except OSError:
                continue
            waiting.extend(map(int, children))
        return found

    def kill_tree(self) -> None:
        """SIGKILL every process at once, the parent first so that it restarts nobody."""
        for pid in self.processes():
            kill(pid)
        assert self._process is not None
        self._process.wait(STOP_TIMEOUT_S)

    def rss_bytes(self, containing: str) -> dict[int, int]:
        """Resident memory of the processes whose command line holds a word."""
        sizes = {}
        for pid, command in self.processes().items():
            if containing in command:
                try:
                    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                except OSError:
                    continue
                sizes[pid] = pages * os.sysconf("SC_PAGE_SIZE")
        return sizes

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def fsck(self) -> dict[str, Any]:
        """What `penstock fsck` finds, as its JSON says it."""
        done = subprocess.run(
            [_BIN / "penstock", "fsck", "--config", self.config, "-o", "json"],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if not done.stdout:
            raise AssertionError(f"fsck ended with {done.returncode}: {done.stderr}")
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def client(self, **options: Any) -> Any:
        """A boto3 S3 client with its own defaults, path style because the endpoint is an address."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.credentials.endpoint,
            region_name=self.credentials.region,
            verify=None if self.ca is None else str(self.ca),
            aws_access_key_id=self.credentials.access_key_id,
            aws_secret_access_key=self.credentials.secret_access_key,
            config=Config(**{"retries": {"max_attempts": 0}, "max_pool_connections": 32, **options}),
        )


def kill(pid: int) -> None:
    """SIGKILL, and no complaint when it is gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
