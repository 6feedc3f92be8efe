"""Processes whose machine clock is wrong: a small library that they preload moves the time of day, and only that.

It is compiled when first needed. (libfaketime 0.9.10, which systems ship, breaks `time.sleep` of Python 3.11 when
it leaves the monotonic clock alone, and waits for locks when it does not.)
"""

import atexit
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

_SOURCE = Path(__file__).with_name("clock_ahead.c")

HAS_WRONG_CLOCKS = shutil.which("cc") is not None
"""Without a C compiler there are none."""


def environ_of_clock(ahead_s: int) -> dict[str, str]:
    """What a process must find in its environment to live so many seconds ahead, or behind."""
    return {"LD_PRELOAD": str(_library()), "CLOCK_AHEAD_S": str(ahead_s)} if ahead_s else {}


@cache
def _library() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="penstock-clock-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    library = folder / "clock_ahead.so"
    subprocess.run(
        ["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, _SOURCE, "-ldl"],
        check=True,
    )
    return library
