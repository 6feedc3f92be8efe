"""Processes for tests, forked from one that has imported the engine and opened nothing."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.integration.engine.metadata.sqlite.writer"])


def start(
    target: Callable[..., None], folder: Path, *arguments: object
) -> tuple[ForkServerProcess, "Connection[Any, Any]"]:
    """Start a process whose arguments are the folder, the ones given first, the pipe, and the others."""
    receives, sends = _context.Pipe(duplex=False)
    before, after = arguments[:1], arguments[1:]
    process = _context.Process(target=target, args=(folder, *before, sends, *after), daemon=True)
    process.start()
    sends.close()
    return process, receives


def drain(receives: "Connection[Any, Any]") -> list[Any]:
    """All that the process said before it ended."""
    said = []
    try:
        while receives.poll(20):
            said.append(receives.recv())
    except EOFError:
        pass
    finally:
        receives.close()
    return said
