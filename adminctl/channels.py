"""Opening a channel to the control plane: over TCP, with TLS or without, or a unix socket."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import grpc

from adminctl.exit_status import ExitStatus
from adminctl.failures import hints_of, tell
from adminctl.output import printable
from adminctl.place import Place, Tls, is_local
from adminctl.refusals import Refused

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
UNIX_ADDRESS_BYTES_MAX = 100
PEM_BYTES_MAX = 1024 * 1024
LOOK_TIMEOUT_S = 1.0
LOOK_PAUSE_S = 0.1

_OPTIONS = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX), ("grpc.enable_retries", 0)]


@contextmanager
def open_channel(place: Place, *, patience_s: float = 0.0) -> Iterator[grpc.Channel]:
    """Raises Refused for files of TLS that cannot be used. Waits `patience_s` at most for a listener here."""
    if place.token and place.tls is None and not is_local(place.address):
        told = f"warning: the token goes in the clear to {printable(place.address)}"
        click.echo(f"{told}; use https://HOST:PORT or --ca", err=True)
    _await_listener(place.address, patience_s)
    with _reachable(place) as address, _channel(address, place.tls) as channel:
        yield channel


def _await_listener(address: str, patience_s: float) -> None:
    """A server that is about to start refuses connections until it listens. Whatever else is wrong, the call tells."""
    if address.startswith("unix:") or not is_local(address):
        return
    host, _, port = address.rpartition(":")
    deadline_s = time.monotonic() + patience_s
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), LOOK_TIMEOUT_S).close()
        except ConnectionRefusedError:
            if time.monotonic() < deadline_s:
                time.sleep(LOOK_PAUSE_S)
                continue
        except (OSError, ValueError):
            pass
        return


def _channel(address: str, tls: Tls | None) -> grpc.Channel:
    if tls is None:
        return grpc.insecure_channel(address, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_pem(tls.ca), private_key=_pem(tls.key), certificate_chain=_pem(tls.cert)
    )
    return grpc.secure_channel(address, credentials, options=_OPTIONS)


def _pem(path: str) -> bytes | None:
    if not path:
        return None
    try:
        with Path(path).expanduser().open("rb") as file:
            data = file.read(PEM_BYTES_MAX)
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from error
    if b"-----BEGIN" not in data:
        raise Refused(f"{path} holds no PEM")
    return data


@contextmanager
def _reachable(place: Place) -> Iterator[str]:
    """The same address, short enough: a unix socket's has at most 107 bytes, the path of its folder may be longer."""
    address = place.address
    folder, _, name = address.removeprefix("unix:").rpartition("/")
    if not address.startswith("unix:") or len(os.fsencode(address)) <= UNIX_ADDRESS_BYTES_MAX:
        yield address
        return
    try:
        fd = os.open(folder or ".", os.O_PATH | os.O_DIRECTORY)
    except OSError as error:
        tell("UNAVAILABLE", f"{folder}: {error.strerror}", hints=hints_of("UNAVAILABLE", place))
        raise click.exceptions.Exit(ExitStatus.UNAVAILABLE) from error
    try:
        yield f"unix:/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)
