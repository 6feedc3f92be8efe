"""`penstock token reset`: a new admin token in the place of a lost one, in the configuration and in the deployment."""

import hashlib
import os
import secrets
import stat
import string
import sys
from pathlib import Path

from engine.deployment.opening import says_something_else, take_file_over
from engine.errors import EngineError, InvalidConfig
from engine.settings import load_settings, settings_of
from engine.settings.access import AdminTokenSettings
from launcher.exit_status import ExitStatus
from launcher.problems import problem_line

TOKEN_CHARS = 43
_LETTERS = string.ascii_letters + string.digits


class ResetRefused(Exception):
    """Nothing was changed; the message says why and what to do."""


def fresh_token() -> str:
    """As many random bits as a key has."""
    return "pst_" + "".join(secrets.choice(_LETTERS) for _ in range(TOKEN_CHARS))


def reset(config: Path, name: str | None) -> int:
    """Print the new token to standard output, once; whoever has the old one is a stranger from then on."""
    try:
        return _reset(config.absolute(), name)
    except InvalidConfig as error:
        for problem in error.problems:
            print(problem_line(config, problem), file=sys.stderr)
        return ExitStatus.CONFIG
    except ResetRefused as refusal:
        _say(str(refusal))
    except (EngineError, OSError) as error:
        _say(f"nothing was changed: {error}")
    return ExitStatus.FAILED


def _reset(config: Path, name: str | None) -> int:
    token = _chosen(load_settings(config, os.environ).live.admin_tokens, name)
    fresh = fresh_token()
    text = _with_digest(config, token, hashlib.sha256(fresh.encode()).hexdigest())
    if says_something_else(config, os.environ):
        raise ResetRefused(
            f"{config} has other changes, which would come into force as well: "
            "apply them first with `adminctl config reload` over admin.sock, or take them back"
        )
    _replace(config, text)
    try:
        take_file_over(config, os.environ)
    except EngineError as error:
        _say(f"{config} is changed, and comes into force with the next reload or start: {error}")
    print(fresh)
    _say(
        f"that is the token {token.name!r} now, and nobody keeps it for you; the one before is worth nothing"
    )
    return ExitStatus.OK


def _chosen(tokens: tuple[AdminTokenSettings, ...], name: str | None) -> AdminTokenSettings:
    wanted = [each for each in tokens if (each.role == "admin" if name is None else each.name == name)]
    if len(wanted) == 1:
        return wanted[0]
    names = ", ".join(each.name for each in tokens) or "none"
    if name is not None:
        raise ResetRefused(
            f"the configuration names no token {name!r} (it names {names}); "
            "one that was made through the API is replaced over admin.sock with `adminctl token`"
        )
    raise ResetRefused(
        f"say which one with --name: there are {len(wanted)} tokens of admins (of all: {names})"
    )


def _with_digest(config: Path, token: AdminTokenSettings, digest: str) -> bytes:
    """The file with another digest, everything else as it stands; checked before it is written anywhere."""
    raw = config.read_bytes()
    if raw.count(token.sha256.encode()) != 1:
        raise ResetRefused(
            f"the sha256 of {token.name!r} stands in {config} as a reference, or more than once: "
            "replace it where it comes from with that of a token of your own, and reload"
        )
    text = raw.replace(token.sha256.encode(), digest.encode())
    settings_of(text, path=config, environ=os.environ)
    return text


def _replace(config: Path, text: bytes) -> None:
    """The file whole or as it was, with the mode it had. A link goes on pointing where it does."""
    real = config.resolve()
    draft = real.with_name(f".{real.name}.new")
    mode = stat.S_IMODE(real.stat().st_mode)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode), "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, real)
    folder = os.open(real.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _say(line: str) -> None:
    print(f"penstock token reset: {line}", file=sys.stderr)
