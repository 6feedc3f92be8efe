"""Names for shell completion: asked of the server with little patience, and remembered for a moment."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from adminctl.client import Connection
from adminctl.global_options import connection_of

PATIENCE_S = 1.0
REMEMBERED_S = 20.0
"""Names are not asked for again for so long: a person completes several words within it."""

NAME_COUNT_MAX = 1000

LISTS = {
    "account": "IdentityService/ListAccounts",
    "backend": "BackendService/ListBackends",
    "bucket": "BucketService/ListBuckets",
    "identity": "IdentityService/ListIdentities",
    "instance": "SystemService/ListInstances",
    "key": "KeyService/ListKeys",
    "operation": "OperationService/ListOperations",
    "token": "IdentityService/ListAdminTokens",
    "worker": "WorkerService/ListWorkers",
}
"""The method that lists the resources of a noun."""

ARGUMENTS = ("name", "names")
"""What arguments are called that name a resource of their command's own noun."""


def complete_names(command: click.Command, noun: str) -> None:
    """Let names of resources be completed: arguments called `name` or like a noun, and options called like one."""
    for index, each in enumerate(command.params):
        about = noun if isinstance(each, click.Argument) and each.name in ARGUMENTS else each.name
        if about in LISTS:
            command.params[index] = _with_completion(each, _names_of(about))


def _with_completion(
    parameter: click.Parameter, complete: Callable[[click.Context, click.Parameter, str], Sequence[str]]
) -> click.Parameter:
    def shell_complete(ctx: click.Context, incomplete: str) -> list[click.shell_completion.CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in complete(ctx, parameter, incomplete)]

    parameter.shell_complete = shell_complete  # type: ignore[method-assign]
    return parameter


def _names_of(noun: str) -> Callable[[click.Context, click.Parameter, str], Sequence[str]]:
    def names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> Sequence[str]:
        try:
            known = _known_names(connection_of(ctx.find_root()), noun)
        except (click.ClickException, click.exceptions.Exit, OSError):
            return []
        return [name for name in known if name.startswith(incomplete)]

    return names


def _known_names(connection: Connection, noun: str) -> Sequence[str]:
    path = _memory_path(connection, noun)
    names = _remembered(path)
    if names is None:
        names = _asked(connection, noun)
        _remember(path, names)
    return names


def _asked(connection: Connection, noun: str) -> Sequence[str]:
    import grpc

    from adminctl.messages import items_of
    from adminctl.methods import find_method

    method = find_method(LISTS[noun])
    request = method.request(json.dumps({"page_size": NAME_COUNT_MAX}))
    try:
        with connection.channel(patience_s=0.0) as channel:
            answer = method.on(channel)(request, timeout=PATIENCE_S, metadata=connection.metadata)
    except grpc.RpcError:
        return []
    kind = items_of(answer)
    return [] if kind is None else [each.name.partition("/")[2] for each in getattr(answer, kind.name)]


def _memory_path(connection: Connection, noun: str) -> Path:
    """One for each place and caller; the token itself is not written anywhere."""
    place = connection.place
    whose = hashlib.sha256(f"{place.address}\n{place.token}".encode()).hexdigest()[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "penstock" / "names" / f"{whose}-{noun}.json"


def _remembered(path: Path) -> Sequence[str] | None:
    try:
        if time.time() - path.stat().st_mtime > REMEMBERED_S:
            return None
        names = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else None


def _remember(path: Path, names: Sequence[str]) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(names))
        fresh.replace(path)
    except OSError:
        # Asked again next time.
        return
