"""Reads a configuration file that somebody may just be writing: what is not whole is refused."""

import time
from collections.abc import Callable
from pathlib import Path

from engine.errors import ConfigProblem, InvalidConfig
from engine.settings.load import read_file

SETTLE_S = 0.1
"""A file that is the same after so long is taken for written."""

LOOK_COUNT_MAX = 20


def read_settled(path: Path, *, pause: Callable[[float], None] = time.sleep) -> bytes:
    """The bytes of a file that nobody writes to now. Raises InvalidConfig for one that is not whole or not there.

    A last line without its end is refused: it may be the first half of a longer one, such as of a secret.
    """
    raw = read_file(path)
    for _ in range(LOOK_COUNT_MAX):
        pause(SETTLE_S)
        before, raw = raw, read_file(path)
        if raw == before:
            break
    else:
        raise _refused(None, "it is being written to: try again once it is whole")
    if raw and not raw.endswith(b"\n"):
        line = raw.count(b"\n") + 1
        raise _refused(
            line, "the last line has no end: is the file written to its end? End it with a line break"
        )
    return raw


def _refused(line: int | None, message: str) -> InvalidConfig:
    return InvalidConfig(problems=(ConfigProblem(path="file", line=line, message=message),))
