"""`penstock serve`: the small parent of both planes. It imports neither gRPC nor the engine."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from launcher.children import ChildSpec
from launcher.exit_status import ExitStatus
from launcher.readiness import Listening, Readiness
from launcher.supervisor import Supervisor

PLANES = ("dataplane", "controlplane")
"""In the order in which they start; they stop in the opposite one."""

STOP_TIMEOUT_S = {"dataplane": 35.0, "controlplane": 10.0}
PREFLIGHT_TIMEOUT_S = 60.0

INSTANCE_ID = "PENSTOCK_INSTANCE_ID"
"""Environment variable by which the processes of both planes know that they belong to one `serve`."""


STARTED_CONFIG = "PENSTOCK_STARTED_CONFIG"
"""Environment variable with the number of a descriptor, from which they read what the file said at the start."""


def serve(config: Path, *, only: str | None, reloads: bool = False) -> int:
    """Check the configuration in a process of its own, then run the planes until told to stop.

    `reloads`: make the file the next generation first, which PostgreSQL's deployments do only when told.
    """
    planes = PLANES if only is None else (only,)
    checked = _preflight(config, planes)
    if not isinstance(checked, Listening):
        return checked
    if reloads:
        status = _reload(config)
        if status != ExitStatus.OK:
            return status
    specs = plane_specs(config, planes, started_fd=_kept_in_memory(config))
    readiness = Readiness(checked, say=_say)
    # A terminal that closes means the user went away; a service manager's SIGHUP means nothing yet.
    return Supervisor(specs, say=_say, readiness=readiness, stops_on_hangup=os.isatty(0)).run()


def plane_specs(config: Path, planes: Sequence[str], *, started_fd: int | None = None) -> list[ChildSpec]:
    """The planes as children of one instance. `started_fd` is open on what the file says at the start."""
    environ = {INSTANCE_ID: _instance_id()}
    if started_fd is not None:
        environ[STARTED_CONFIG] = str(started_fd)
    return [
        ChildSpec(
            name=plane,
            command=[*_module(plane), "--config", str(config)],
            stop_timeout_s=STOP_TIMEOUT_S[plane],
            environ=environ,
            open_fds=() if started_fd is None else (started_fd,),
        )
        for plane in planes
    ]


def _kept_in_memory(config: Path) -> int | None:
    """A descriptor of what the file says now, which has secrets and is in no folder; null when it cannot be read.

    A process that is started again later has the same database, keys and addresses as the others, whatever somebody
    is just writing into the file.
    """
    try:
        raw = config.read_bytes()
    except OSError:
        return None
    fd = os.memfd_create("penstock-config")
    os.write(fd, raw)
    return fd


def _instance_id() -> str:
    """A UUIDv7 (RFC 9562, section 5.7) as 32 hex digits: instances sort by the time they were started."""
    value = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"{value:032x}"


def _preflight(config: Path, planes: tuple[str, ...]) -> Listening | int:
    """Where they will listen when nothing speaks against a start; otherwise all was said, and this is the status."""
    command = [*_module("launcher.preflight"), "--config", str(config), *planes]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=PREFLIGHT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        _say(f"checking the configuration took more than {PREFLIGHT_TIMEOUT_S:g} s; does a disk hang?")
        return ExitStatus.FAILED
    if done.returncode == 0:
        return Listening.read(done.stdout)
    return done.returncode if done.returncode > 0 else ExitStatus.FAILED


def _reload(config: Path) -> int:
    command = [*_module("launcher.reload"), "--config", str(config)]
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, timeout=PREFLIGHT_TIMEOUT_S, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        _say(f"taking the configuration over took more than {PREFLIGHT_TIMEOUT_S:g} s")
        return ExitStatus.FAILED


def _module(name: str) -> list[str]:
    # Without -P a folder called `engine` in the working directory would be imported instead of ours.
    return [sys.executable, "-P", "-m", name]


def _say(line: str) -> None:
    print(f"penstock: {line}", file=sys.stderr, flush=True)
