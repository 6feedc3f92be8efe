"""Callers that are set aside while they wait, without a server around them."""

import select
from collections.abc import Callable
from functools import partial
from typing import Any

from dataplane.server.parking import Parking


class Turns:
    """A loop that does nothing but run calls and let them go on."""

    def __init__(self) -> None:
        self.parking = Parking()
        self._epoll = select.epoll()
        self.parking.open(lambda: None, self._epoll)

    def run(self, *calls: Callable[[], object]) -> list[Any]:
        """What each call returned or raised. All of them begin in one turn."""
        outcomes: list[Any] = [None] * len(calls)

        def keep(index: int, call: Callable[[], object]) -> None:
            try:
                outcomes[index] = call()
            except Exception as error:
                outcomes[index] = error

        for index, call in enumerate(calls):
            self.parking.run(partial(keep, index, call))
        while len(self.parking):
            self.parking.resume()
            self.parking.let_go_on()
            for fd, _ in self._epoll.poll(0.05):
                self.parking.ready(fd)
            self.parking.expire()
        return outcomes
