"""How the operating system's errors become a backend's."""

import errno

from engine.errors import BackendError, BackendFull, BackendUnavailable
from engine.names import BackendName

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_no_room(error: OSError) -> bool:
    """Whether the disk, its quota or the file's largest size refused the bytes."""
    return error.errno in _NO_ROOM


def backend_fault(error: OSError, *, backend: BackendName, doing: str) -> BackendError:
    """The error to raise from `error`; nothing that was being written is named by anybody."""
    message = f"{doing}: {error.strerror or error}"
    if is_no_room(error):
        return BackendFull(message, backend=backend)
    return BackendUnavailable(message, backend=backend)
