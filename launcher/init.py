"""`penstock init`: writes a working configuration with fresh secrets; nothing that exists is ever overwritten."""

import base64
import hashlib
import json
import os
import secrets
import string
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InvalidConfig
from engine.settings import load_settings
from engine.settings.keyfile import MASTER_KEY_BYTES
from launcher.exit_status import ExitStatus
from launcher.first_config import Deployment, config_text
from launcher.token import fresh_token

VOLUME_COUNT_MAX = 64
REGION = "us-east-1"
_SECRET_LETTERS = string.ascii_letters + string.digits


class InitRefused(Exception):
    """Nothing was written; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asked for. Paths are absolute."""

    data: Path
    out: Path
    s3_port: int
    control_port: int
    metrics_port: int
    volume_count: int
    copy_count: int

    @property
    def key_file(self) -> Path:
        return self.data / "master.key"

    @property
    def credentials_file(self) -> Path:
        return self.data / "credentials.json"

    @property
    def database_file(self) -> Path:
        return self.data / "metadata.sqlite"


def init(wish: Wish, *, asks: bool) -> int:
    """Set up a deployment; with `asks`, only after a yes on standard input. Raises InitRefused."""
    for reason in _reasons_against(wish):
        raise InitRefused(reason)
    if asks and not _confirmed(wish):
        raise InitRefused("nothing was written")
    deployment = _fresh(wish)
    written: list[Path] = []
    try:
        _write(wish, deployment, written)
    except OSError as error:
        # Made by this very call and never used; left behind they would only be in the way of the next one.
        for path in written:
            path.unlink(missing_ok=True)
        raise InitRefused(f"{error.filename or wish.data}: {error.strerror}") from error
    try:
        load_settings(wish.out, {})
    except InvalidConfig as error:
        raise InitRefused(f"the configuration that was written is not accepted: {error}") from error
    _tell(wish)
    return ExitStatus.OK


def _reasons_against(wish: Wish) -> Iterator[str]:
    for path in (wish.data, wish.out):
        if not str(path).isprintable():
            yield f"{str(path)!r}: a path of printable characters is needed, it is written into the configuration"
    for path, what in (
        (wish.out, "a configuration"),
        (wish.key_file, "a master key"),
        (wish.database_file, "a metadata database"),
        (wish.credentials_file, "credentials"),
    ):
        if os.path.lexists(path):
            yield (
                f"{path} is there already, {what} is never overwritten: "
                "choose another folder, or move it away if its deployment is no more"
            )
    if not 1 <= wish.volume_count <= VOLUME_COUNT_MAX:
        yield f"--volumes is 1 to {VOLUME_COUNT_MAX}"
    if not 1 <= wish.copy_count <= wish.volume_count:
        yield "--copies is 1 to the number of volumes"
    if len({wish.s3_port, wish.control_port, wish.metrics_port}) < 3:
        yield "S3, control API and metrics need a port each"
    for volume in range(1, wish.volume_count + 1):
        folder = wish.data / "volumes" / f"v{volume}"
        if folder.is_dir() and any(folder.iterdir()):
            yield f"{folder} is not empty, a volume begins empty: choose another folder"


def _confirmed(wish: Wish) -> bool:
    print(
        f"This makes {wish.volume_count} volumes, a master key and credentials in {wish.data},",
        file=sys.stderr,
    )
    print(f"and the configuration {wish.out}. Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _fresh(wish: Wish) -> Deployment:
    return Deployment(
        node=f"node-{secrets.token_hex(4)}",
        state_dir=wish.data / "state",
        database_file=wish.database_file,
        key_file=wish.key_file,
        volumes=tuple(wish.data / "volumes" / f"v{index}" for index in range(1, wish.volume_count + 1)),
        copy_count=wish.copy_count,
        s3_port=wish.s3_port,
        control_port=wish.control_port,
        metrics_port=wish.metrics_port,
        region=REGION,
        access_key_id="PS"
        + "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(18)),
        secret_access_key="".join(secrets.choice(_SECRET_LETTERS) for _ in range(40)),
        admin_token=fresh_token(),
    )


def _write(wish: Wish, deployment: Deployment, written: list[Path]) -> None:
    """Write everything; each file that was begun is added to `written`."""
    for folder in (wish.data, deployment.state_dir, wish.data / "volumes", *deployment.volumes):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wish.out.parent.mkdir(parents=True, exist_ok=True)
    _write_new(written, wish.key_file, base64.b64encode(secrets.token_bytes(MASTER_KEY_BYTES)) + b"\n")
    _write_new(
        written, wish.credentials_file, (json.dumps(_credentials(deployment), indent=2) + "\n").encode()
    )
    # Last: where there is a configuration, the rest stands.
    token_digest = hashlib.sha256(deployment.admin_token.encode()).hexdigest()
    _write_new(
        written, wish.out, config_text(deployment, folder=wish.out.parent, token_digest=token_digest).encode()
    )


def _credentials(deployment: Deployment) -> dict[str, str]:
    return {
        "endpoint": f"http://127.0.0.1:{deployment.s3_port}",
        "region": deployment.region,
        "access_key_id": deployment.access_key_id,
        "secret_access_key": deployment.secret_access_key,
        "control_address": f"127.0.0.1:{deployment.control_port}",
        "admin_token": deployment.admin_token,
        # Empty while there is no web UI.
        "ui_url": "",
        "metrics_url": f"http://127.0.0.1:{deployment.metrics_port}/metrics",
    }


def _write_new(written: list[Path], path: Path, content: bytes) -> None:
    """Durable, for the owner only, and never over anything."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    written.append(path)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _tell(wish: Wish) -> None:
    print(f"configuration  {wish.out}")
    print(f"credentials    {wish.credentials_file}")
    print(f"master key     {wish.key_file}")
    print()
    print(
        "Keep a copy of the master key elsewhere: losing it loses all sealed data, and nobody can bring it back."
    )
    if wish.copy_count > 1:
        print(
            f"Warning: all {wish.volume_count} volumes lie under {wish.data}. They count as failure domains of their "
            f"own,\nbut if they share a disk, {wish.copy_count} copies do not survive the loss of that disk."
        )
    print(f"Start it with: penstock serve --config {wish.out}")
