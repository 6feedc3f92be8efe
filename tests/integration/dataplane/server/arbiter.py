"""gunicorn's arbiter over the stub application: `arbiter FOLDER FAILURE OPTIONS`, options as JSON."""

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication

from dataplane.server.settings import ServerSettings
from tests.integration.dataplane.server.stub import StubApplication


class MarkingApplication(StubApplication):
    """Leaves a file for what only other processes can see."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__((folder / "pattern").open("rb"))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = super().__call__(environ, start_response)
        self._mark("entered")
        return answer

    def on_pid(self, environ: dict[str, Any], options: dict[str, str]) -> tuple[int, Any]:
        return 200, f"{os.getpid()} {environ['penstock.listener']}".encode()

    def draining(self) -> None:
        self._mark("draining")

    def close(self) -> None:
        self._mark("closed")

    def _mark(self, what: str) -> None:
        (self.folder / f"{what}.{os.getpid()}").touch()


class Server(BaseApplication):  # type: ignore[misc]
    """The arbiter with our worker class."""

    server_settings = ServerSettings(tick_s=0.05, drain_timeout_s=0.1)

    def __init__(self, folder: Path, failure: str, options: dict[str, Any]) -> None:
        self._folder = folder
        self._failure = failure
        self._given = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._given.items():
            self.cfg.set(name, value)

    def load(self) -> MarkingApplication:
        if self._failure == "raises":
            raise RuntimeError("no database")
        if self._failure == "exits":
            sys.exit(0)
        return MarkingApplication(self._folder)


if __name__ == "__main__":
    Server(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])).run()
