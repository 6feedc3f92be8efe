"""Commands as a person types them: on a pseudo-terminal, with answers to what they ask."""

import os
import pty
import select
import signal
import subprocess
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.integration.adminctl.running import BIN

TIMEOUT_S = 30


class Terminal:
    """A command on a terminal of that width, from `with` to its end."""

    def __init__(
        self, command: Sequence[str], environ: dict[str, str], *, columns: int = 80, program: str = "adminctl"
    ) -> None:
        self._ours, theirs = pty.openpty()
        self._seen = b""
        self.process = subprocess.Popen(
            [BIN / program, *command],
            env={
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "TERM": "xterm",
                "COLUMNS": str(columns),
                **environ,
            },
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(TIMEOUT_S)
        os.close(self._ours)

    def wait_for(self, text: str) -> str:
        """Everything shown so far, once it holds the text."""
        while text.encode() not in self._seen:
            if not self._read():
                raise AssertionError(f"{text!r} was not shown: {self._seen.decode()!r}")
        return self._seen.decode()

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self) -> tuple[int, str]:
        """Exit status and everything shown, once it has ended."""
        while self._read():
            pass
        return self.process.wait(TIMEOUT_S), self._seen.decode().replace("\r\n", "\n")

    def _read(self) -> bool:
        readable, _, _ = select.select([self._ours], [], [], TIMEOUT_S)
        assert readable, f"nothing more was shown: {self._seen.decode()!r}"
        try:
            part = os.read(self._ours, 65536)
        except OSError:
            # Linux answers EIO once the last writer is gone.
            return False
        self._seen += part
        return bool(part)
