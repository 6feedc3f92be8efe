"""The file of the master key: who may read it, and whether it holds a key at all."""

import base64
import binascii
import os
import stat
from pathlib import Path

MASTER_KEY_BYTES = 32
VARIETY_MIN = 12
"""Different byte values in a master key, at least. One random key in 10^24 has fewer; zeros and patterns do."""

_FILE_BYTES_MAX = 4096
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def key_file_problem(path: Path) -> str | None:
    """Why the file is not accepted as master key; null when it is. It is never made here."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return f"{path} is not there: put the key back, `penstock init` makes one for a new deployment only"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return f"{path} is no regular file"
        if facts.st_mode & _OTHERS:
            mode = stat.S_IMODE(facts.st_mode)
            return f"{path} has mode {mode:04o}, others may use it: run `chmod 600 {path}`"
        return key_material_problem(file.read(_FILE_BYTES_MAX).strip())


def key_material_problem(text: bytes) -> str | None:
    """Why the text is no master key of 32 bytes in base64; null when it is one."""
    try:
        material = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return "the master key is not base64"
    if len(material) != MASTER_KEY_BYTES:
        return f"the master key has {len(material)} bytes, {MASTER_KEY_BYTES} are needed"
    if len(set(material)) < VARIETY_MIN:
        return "the master key is no random one: make one with `head -c 32 /dev/urandom | base64`"
    return None
