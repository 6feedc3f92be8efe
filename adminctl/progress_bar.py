"""The bar that a terminal shows while a long operation is followed."""

from types import TracebackType
from typing import Self

from penstock.admin.v1 import operation_pb2
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from adminctl.following import part_done, progress_line


class ProgressBar:
    """On stderr, from `with` to its end; the last state stays on the terminal."""

    def __init__(self) -> None:
        # Drawn when something is told, by the thread that tells it: an interrupt finds no other one at work.
        self._progress = Progress(
            BarColumn(bar_width=12),
            TaskProgressColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            auto_refresh=False,
        )
        self._task = self._progress.add_task("waiting", total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, operation: operation_pb2.Operation) -> None:
        part = part_done(operation)
        self._progress.update(
            self._task,
            description=progress_line(operation, is_beside_bar=True),
            total=None if part is None else 1.0,
            completed=0.0 if part is None else part,
        )
        self._progress.refresh()

    def say(self, line: str) -> None:
        self._progress.stop()
        self._progress.console.print(line, markup=False, highlight=False)
