"""Where the control plane is and who calls: by flag, else environment, else context, else the local socket."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from adminctl.contexts import Context, contexts_path, read_contexts, refuse_open_to_others
from adminctl.refusals import Refused

DEFAULT_ADDRESS = "unix:/run/penstock/admin.sock"
TOKEN_BYTES_MAX = 4096
TOKEN_COMMAND_TIMEOUT_S = 30
TLS_PREFIX = "https://"

ENVIRONMENT: Mapping[str, str] = {
    "address": "PENSTOCK_ENDPOINT",
    "context": "PENSTOCK_CONTEXT",
    "token": "PENSTOCK_TOKEN",
    "ca": "PENSTOCK_CA",
    "cert": "PENSTOCK_CERT",
    "key": "PENSTOCK_KEY",
}
"""What the environment may say, by the field of `Wanted`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What flags, the environment or a context say of the place; empty is unsaid."""

    address: str = ""
    context: str = ""
    token: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files; without `ca` the authorities that the system trusts are asked."""

    ca: str
    cert: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Found. `origin` says for people where the address came from."""

    address: str
    origin: str
    token: str
    tls: Tls | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """The address, and who is asked for the rest in which order; a context's token is had only when it is asked."""

    address: str
    origin: str
    asked: Sequence[Wanted | Context]


def wanted_of(environ: Mapping[str, str]) -> Wanted:
    """What the environment says."""
    return Wanted(**{field: environ.get(variable, "") for field, variable in ENVIRONMENT.items()})


def find_place(by_flag: Wanted, environ: Mapping[str, str]) -> Place:
    """The first of flags, environment and current context that names an address or a context decides where.

    A context's token goes to its own endpoint only, unless the context was asked for by name. Raises Refused.
    """
    chosen = _choose(by_flag, wanted_of(environ), environ)
    ca, cert, key = (_first(chosen.asked, field) for field in ("ca", "cert", "key"))
    if bool(cert) != bool(key):
        raise Refused("--cert and --key go together")
    is_tls = chosen.address.startswith(TLS_PREFIX) or bool(ca or cert)
    if is_tls and chosen.address.startswith("unix:"):
        raise Refused("a unix socket speaks no TLS: leave --ca, --cert and --key out")
    return Place(
        address=chosen.address.removeprefix(TLS_PREFIX),
        origin=chosen.origin,
        token=_token(chosen.asked),
        tls=Tls(ca=ca, cert=cert, key=key) if is_tls else None,
    )


def _choose(by_flag: Wanted, by_environ: Wanted, environ: Mapping[str, str]) -> _Chosen:
    unnamed = (by_flag, by_environ)
    if by_flag.address and not by_flag.context:
        return _Chosen(address=by_flag.address, origin="--address", asked=unnamed)
    path = contexts_path(environ)
    if by_flag.context:
        context = read_contexts(path).get(by_flag.context)
        address, origin = by_flag.address or context.endpoint, f"context {by_flag.context}"
        return _Chosen(address=address, origin=origin, asked=(by_flag, context, by_environ))
    if by_environ.address and not by_environ.context:
        return _Chosen(address=by_environ.address, origin=ENVIRONMENT["address"], asked=unnamed)
    contexts = read_contexts(path)
    name = by_environ.context or contexts.current
    if not name:
        return _Chosen(address=DEFAULT_ADDRESS, origin="the default", asked=unnamed)
    context = contexts.get(name)
    address = by_environ.address or context.endpoint
    return _Chosen(address=address, origin=f"context {name}", asked=(*unnamed, context))


def _first(asked: Sequence[Wanted | Context], field: str) -> str:
    return next((said for each in asked if (said := getattr(each, field))), "")


def _token(asked: Sequence[Wanted | Context]) -> str:
    for each in asked:
        token = checked_token(each.token, "the token") if isinstance(each, Wanted) else context_token(each)
        if token:
            return token
    return ""


def context_token(context: Context) -> str:
    """Read or asked for now; empty when the context has none. Raises Refused."""
    if context.token_file:
        return _token_of_file(Path(context.token_file).expanduser())
    if context.token_command:
        return _token_of_command(context.token_command)
    return ""


def _token_of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            refuse_open_to_others(path, file.fileno())
            data = file.read(TOKEN_BYTES_MAX)
    except OSError as error:
        raise Refused(f"token_file {path}: {error.strerror}") from error
    return checked_token(data.decode("utf-8", "replace").strip(), f"token_file {path}")


def _token_of_command(command: str) -> str:
    try:
        done = subprocess.run(
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=TOKEN_COMMAND_TIMEOUT_S,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise Refused(f"token_command failed: {error}") from error
    return checked_token(done.stdout[:TOKEN_BYTES_MAX].decode("utf-8", "replace").strip(), "token_command")


def checked_token(token: str, origin: str) -> str:
    """The same; raises Refused for what no header can carry."""
    if token and not (token.isascii() and token.isprintable()):
        raise Refused(f"{origin} is not printable ASCII; a line end or a blank may have slipped in")
    return token


def is_local(address: str) -> bool:
    """Whether what goes there stays on this machine."""
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
