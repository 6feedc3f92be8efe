"""Ties the life of a child to its parent's: a parent that is killed outright takes its children along (Linux)."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def tied_to_parent() -> Callable[[], None]:
    """What a child runs between fork and exec: an empty signal mask, and SIGKILL when this process dies.

    Made before the fork, because a child must not load libraries. The tie survives exec, not a further fork: who forks
    again ties its own children.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent_pid = os.getpid()

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent_pid:
            # The parent died before the tie was made.
            sys.exit(1)

    return prepare
