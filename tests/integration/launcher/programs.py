"""Small programs that stand for the planes, and a supervisor of them in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

WAIT_S = 20.0

PROLOGUE = """\
import os, signal, sys, time
def note(text):
    with open(sys.argv[1], "a") as log:
        log.write(f"{text} {os.getpid()}\\n")
"""
"""`note` appends a line to the file that the first argument names; a line is one write, so lines never mix."""

OBEDIENT = """
def stop(*_):
    note(NAME + "-stopped")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
note(NAME + "-started")
while True:
    signal.pause()
"""

STUBBORN = """
signal.signal(signal.SIGTERM, lambda *_: note(NAME + "-asked"))
note(NAME + "-started")
while True:
    signal.pause()
"""

FORKING = """
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(NAME + "-forked")
    while True:
        signal.pause()
note(NAME + "-started")
while True:
    signal.pause()
"""

DYING = """
note(NAME + "-started")
sys.exit(3)
"""

REFUSING = """
note(NAME + "-started")
sys.exit(78)
"""

LATE_TO_REFUSE = """
note(NAME + "-started")
with open(sys.argv[1]) as log:
    is_first = log.read().count(NAME + "-started") == 1
if is_first:
    time.sleep(float(os.environ["STABLE_S"]) + 0.5)
    sys.exit(3)
sys.exit(78)
"""

_SUPERVISE = """\
import json, sys
from launcher.children import ChildSpec
from launcher.supervisor import Supervisor
specs = [ChildSpec(**each) for each in json.loads(sys.argv[1])]
sys.exit(Supervisor(specs, say=lambda line: print(line, file=sys.stderr, flush=True)).run())
"""


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Look until it holds; an AssertionError when it does not within `WAIT_S`."""
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"still waiting for {what}")
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


class Supervised:
    """A supervisor over named programs, started by `with`; what they noted, and what the supervisor said."""

    def __init__(self, folder: Path, *, stop_timeout_s: float = WAIT_S, **programs: str) -> None:
        self._notes = folder / "notes"
        self._notes.touch()
        self._said = folder / "said"
        specs = []
        for name, text in programs.items():
            file = folder / f"{name}.py"
            file.write_text(f"{PROLOGUE}NAME = {name!r}\n{text}")
            command = [sys.executable, str(file), str(self._notes)]
            specs.append({"name": name, "command": command, "stop_timeout_s": stop_timeout_s})
        self._command = [sys.executable, "-c", _SUPERVISE, json.dumps(specs)]
        self.process: subprocess.Popen[bytes]

    def __enter__(self) -> Self:
        with self._said.open("wb") as said:
            self.process = subprocess.Popen(self._command, stderr=said, stdin=subprocess.DEVNULL)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            # Twice means at once; killed outright, it could not see to what its children forked.
            self.send(signal.SIGTERM)
            self.send(signal.SIGINT)
            self.process.wait()

    def notes(self) -> list[str]:
        """What was noted, without process ids, in order."""
        return [line.split()[0] for line in self._notes.read_text().splitlines()]

    def pids(self, note: str) -> list[int]:
        """Processes that noted this, in order."""
        lines = [line.split() for line in self._notes.read_text().splitlines()]
        return [int(pid) for noted, pid in lines if noted == note]

    def wait_for(self, note: str, *, count: int = 1) -> int:
        """Wait for the count-th such note; the process that made it."""
        wait_until(lambda: len(self.pids(note)) >= count, f"{count} × {note}, have {self.notes()}")
        return self.pids(note)[count - 1]

    def said(self) -> str:
        return self._said.read_text()

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def ended(self) -> int:
        return self.process.wait(WAIT_S)
