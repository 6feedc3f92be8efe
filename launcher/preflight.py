"""Looks before a start: is the configuration valid, are the ports free, may the folders be used? Changes nothing."""

import argparse
import errno
import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from engine.errors import InvalidConfig
from engine.settings import Settings, load_settings
from engine.settings.database import SqliteSettings
from engine.settings.quantities import Address
from launcher.exit_status import ExitStatus
from launcher.problems import problem_line
from launcher.readiness import Listening, connect_unix

PORT_WAIT_S = 3.0
"""How long a taken port is asked for again: an instance that was killed just now may not be gone yet."""

_LISTENERS = {"dataplane": ("s3", "metrics"), "controlplane": ("control",)}
_SOCKETS = {"dataplane": "gunicorn.sock", "controlplane": "admin.sock"}
"""On which a running plane answers in its `state_dir`."""


def obstacles(
    settings: Settings, planes: Sequence[str], *, port_wait_s: float = PORT_WAIT_S
) -> Iterator[str]:
    """What would keep the planes from running here, each with what to do."""
    state_dir = settings.node.node.state_dir
    if any(_answers(state_dir / _SOCKETS[plane], wait_s=port_wait_s) for plane in planes):
        # A second one would take the sockets and the counts of the first away. Whose ports are taken is clear then.
        yield f"node.state_dir: another `penstock serve` runs over {state_dir}: stop it first"
        return
    yield from _unusable_folders(settings)
    for plane in planes:
        for name in _LISTENERS[plane]:
            problem = listen_problem(getattr(settings.node.listen, name), port_wait_s=port_wait_s)
            if problem is not None:
                yield f"listen.{name}: {problem}"


def listen_problem(address: Address, *, port_wait_s: float = PORT_WAIT_S) -> str | None:
    """Why nobody can listen there now; null when one can. The port is free again afterwards."""
    deadline_s = time.monotonic() + port_wait_s
    while True:
        try:
            _try_to_listen(address)
        except socket.gaierror as error:
            return f"{address.host!r} names no address: {error.strerror}"
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline_s:
                time.sleep(0.05)
                continue
            return _in_words(address, error)
        return None


def _answers(path: Path, *, wait_s: float) -> bool:
    """Whether somebody accepts connections there, and still does after `wait_s`."""
    deadline_s = time.monotonic() + wait_s
    while True:
        try:
            connect_unix(path)
        except OSError:
            return False
        if time.monotonic() >= deadline_s:
            return True
        time.sleep(0.05)


def _try_to_listen(address: Address) -> None:
    flags = socket.AI_PASSIVE
    family, kind, protocol, _, place = socket.getaddrinfo(
        address.host or None, address.port, type=socket.SOCK_STREAM, flags=flags
    )[0]
    with socket.socket(family, kind, protocol) as each:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        each.bind(place)
        each.listen(1)


def _in_words(address: Address, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {address.port} is in use: stop who has it (`ss -ltnp sport = :{address.port}` says who), "
            "or set another port"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"no permission to listen on port {address.port}: use a port above 1023"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address.host} is no address of this machine"
    return f"cannot listen on {address}: {error.strerror}"


def _unusable_folders(settings: Settings) -> Iterator[str]:
    node = settings.node
    yield from _unusable("node.state_dir", node.node.state_dir)
    if isinstance(node.database, SqliteSettings):
        path = node.database.path
        yield from _unusable("database.path", path.parent)
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            yield f"database.path: no permission to write {path}: {_whose(path)}"
    for index, backend in enumerate(settings.live.backends):
        if backend.path is not None:
            yield from _unusable(f"backends[{index}].path", backend.path)


def _unusable(name: str, folder: Path) -> Iterator[str]:
    """The folder, or the nearest one above it when it has to be made first."""
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        yield f"{name}: {nearest} is no folder"
    elif not os.access(nearest, os.R_OK | os.W_OK | os.X_OK):
        yield f"{name}: no permission to write {nearest}: {_whose(nearest)}"


def _whose(path: Path) -> str:
    facts = path.stat()
    return f"it belongs to user {facts.st_uid} with mode {facts.st_mode & 0o7777:04o}, and this is user {os.geteuid()}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what speaks against a start, a line each to standard error; CONFIG if anything does.

    If nothing does: where the planes will listen, as `launcher.readiness.Listening` reads it, to standard output.
    """
    parser = argparse.ArgumentParser(prog="penstock preflight", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("planes", nargs="+", choices=sorted(_LISTENERS))
    options = parser.parse_args(arguments)
    try:
        settings = load_settings(options.config, os.environ)
    except InvalidConfig as error:
        lines = [problem_line(options.config, problem) for problem in error.problems]
    else:
        lines = [f"{options.config}: {line}" for line in obstacles(settings, options.planes)]
        if not lines:
            print(json.dumps(asdict(_listening(settings, options.planes))))
    for line in lines:
        print(line, file=sys.stderr)
    return ExitStatus.CONFIG if lines else ExitStatus.OK


def _listening(settings: Settings, planes: Sequence[str]) -> Listening:
    node = settings.node
    has_data, has_control = "dataplane" in planes, "controlplane" in planes
    return Listening(
        s3=_known(node.listen.s3) if has_data else None,
        metrics=_known(node.listen.metrics) if has_data else None,
        # Without a token it listens on the sockets alone.
        control=_known(node.listen.control) if has_control and settings.live.admin_tokens else None,
        control_socket=str(node.node.state_dir / "admin.sock") if has_control else None,
        s3_speaks_tls=has_data and node.listen.tls is not None,
    )


def _known(address: Address) -> str | None:
    """Null where the system is to choose the port: nobody knows it before."""
    return str(address) if address.port else None


if __name__ == "__main__":
    sys.exit(main())
