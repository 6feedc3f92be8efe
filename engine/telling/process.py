"""A process's side of telling: its log lines go to the control plane, and levels are set as that wishes."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.telling.datagrams import Kind, Teller
from engine.telling.lines import line_of, write_line
from engine.telling.wishes import LevelWish, TraceWish, WishesFile

ROOT = "penstock"
"""The logger above all of ours. Libraries' loggers keep the configuration's level: at debug they tell secrets."""


class Levels:
    """Levels of loggers that are set for a while."""

    def __init__(self) -> None:
        self._set: dict[str, int] = {}

    def apply(self, wishes: Mapping[str, LevelWish]) -> None:
        """Set what is wished, and put back what is not any more; repeating it costs nothing."""
        wished = {name: wish.level for name, wish in wishes.items() if is_ours(name)}
        if wished == self._set:
            return
        for name in self._set.keys() - wished.keys():
            logging.getLogger(name).setLevel(logging.NOTSET)
        for name, level in wished.items():
            logging.getLogger(name).setLevel(level)
        self._set = wished


class TellingHandler(logging.Handler):
    """Tells every line; stands beside the one that writes them."""

    is_beside = True

    def __init__(self, tell: Callable[[bytes], object], *, process: str) -> None:
        super().__init__()
        self._tell = tell
        self._process = process

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._tell(write_line(line_of(record, process=self._process)))
        except Exception:
            self.handleError(record)


class ProcessTelling:
    """To be made after the fork, with `tick` called about twice a second, and `close`."""

    def __init__(self, state_dir: Path, *, process: str) -> None:
        self.teller = Teller(state_dir)
        self._file = WishesFile(state_dir)
        self._levels = Levels()
        self._handler = TellingHandler(lambda line: self.teller.tell(Kind.LOG, [line]), process=process)
        logging.getLogger().addHandler(self._handler)

    def tick(self) -> TraceWish | None:
        """Set levels; the requests to be told of, null for none."""
        wishes = self._file.look()
        self._levels.apply(wishes.levels)
        return wishes.trace

    def close(self) -> None:
        logging.getLogger().removeHandler(self._handler)
        self._levels.apply({})
        self.teller.close()


def is_ours(logger: str) -> bool:
    return logger == ROOT or logger.startswith(f"{ROOT}.")
