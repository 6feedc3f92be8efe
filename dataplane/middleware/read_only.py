"""The deployment's read-only switch, as a process of the data plane knows it: looked at twice a second."""

import logging
from collections.abc import Callable

from engine.errors import DatabaseUnavailable, ReadOnly

_log = logging.getLogger("penstock.dataplane")


class ReadOnlySwitch:
    """`is_on` asks the database; what was known before holds while it is away, when nothing is written anyway."""

    def __init__(self, is_on: Callable[[], bool]) -> None:
        self._ask = is_on
        self.is_on = False

    def look(self) -> None:
        """For one thread at a time."""
        try:
            is_on = self._ask()
        except DatabaseUnavailable:
            return
        if is_on != self.is_on:
            _log.warning("dataplane.read_only", extra={"is_on": is_on})
        self.is_on = is_on

    def require_off(self) -> None:
        """Raises ReadOnly while it is on."""
        if self.is_on:
            raise ReadOnly()
