"""The control plane as `python -m controlplane` runs it, and `adminctl` as an operator runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.control import as_folder, wait_until
from tests.support.ports import free_ports
from tests.support.served import run_init

BIN = Path(sys.executable).parent
TIMEOUT_S = 30


def adminctl(
    *arguments: str, environ: dict[str, str] | None = None, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it with nothing in its environment but what is given; it never shows a traceback."""
    done = subprocess.run(
        [BIN / "adminctl", *arguments],
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **(environ or {})},
        input=stdin or "",
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def init(folder: Path) -> Path:
    """A deployment as a newcomer makes it; its configuration."""
    config = folder / "penstock.yaml"
    s3_port, control_port, metrics_port = free_ports(3)
    run_init(
        *("--data", str(folder / "data"), "--out", str(config)),
        *("--s3-port", str(s3_port), "--control-port", str(control_port)),
        *("--metrics-port", str(metrics_port)),
    )
    return config


class ControlProcess:
    """`python -P -m controlplane --config FILE`, from `with` to its end; `log` is its stderr."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = init(folder)
        self.log = folder / "control.log"
        credentials = json.loads((folder / "data" / "credentials.json").read_text())
        self.address: str = credentials["control_address"]
        self.token: str = credentials["admin_token"]
        self.access_secret: str = credentials["secret_access_key"]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def state_dir(self) -> Path:
        return self.folder / "data" / "state"

    def start(self) -> None:
        """Run it, and return once it serves."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "controlplane", "--config", self.config],
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        process = self._process
        wait_until(
            lambda: process.poll() is not None or (self.state_dir / "viewer.sock").exists(), "the sockets"
        )
        assert process.poll() is None, self.log.read_text()
        with (
            as_folder(self.state_dir) as folder,
            grpc.insecure_channel(f"unix:{folder}/viewer.sock") as channel,
        ):
            watching = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S, wait_for_ready=True
            )
            for answer in watching:
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    break
            watching.cancel()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
        return self._process.wait(TIMEOUT_S)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(TIMEOUT_S)

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """`adminctl` with this deployment's address and admin token in its environment."""
        environ = {"PENSTOCK_ENDPOINT": self.address, "PENSTOCK_TOKEN": self.token}
        return adminctl(*arguments, environ={**environ, **options.pop("environ", {})}, **options)

    def json(self, *arguments: str) -> Any:
        """What the command prints with `--output json`."""
        done = self.run("--output", "json", *arguments)
        return json.loads(done.stdout)
