"""Long work of operators: done a bounded step at a time, gone on with after a crash from where the last step ended.

An operation's runner owns the loop: it stores what each step says, renews the lease, and asks between steps whether it
was cancelled. A work knows its own subject only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from engine.metadata.store import Tx

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]

Fence = Callable[[Tx], None]
"""To be called in the transaction of every write of a work; raises LeaseLost, which rolls the write back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much there is to do, as far as that is known: null where it is not."""

    item_count: int | None = None
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step did. The counts are of this step alone; `cursor` is where the next one begins."""

    cursor: str
    is_last: bool
    item_count: int = 0
    failed_count: int = 0
    moved_bytes: int = 0
    stage: str = ""
    """What is being done, in a word or two, for people."""
    current_item: str = ""
    warnings: tuple[str, ...] = ()
    """What went otherwise than asked, for people."""
    result: Mapping[str, Json] | None = None
    """With the last step: what the operation answers in the end."""


class LongWork(Protocol):
    """A piece of long work, made anew by whoever goes on with it."""

    def measure(self) -> Extent:
        """How much is left to do from the beginning; asked once, before the first step."""

    def step(self, cursor: str | None, /) -> Step:
        """At most some 500 rows, 64 MiB or a second of work; null is the beginning.

        Repeating a step whose end was not stored is harmless. Raises LeaseLost when somebody else goes on with the
        work; any other error ends the operation as failed, so what may pass is waited out or counted as failed.
        """

    def cancelled(self) -> None:
        """The work was cancelled between two steps: put right what only a whole run would. Repeating it is harmless."""


class Pace(Protocol):
    """What holds a work back: its own bytes a second, and a stop."""

    @property
    def is_over(self) -> bool:
        """Whether the process stops or the work was cancelled: nothing is held back any more, so begin nothing new."""

    def take(self, size_bytes: int, /) -> None:
        """Wait until so many bytes may be moved; returns early when the process stops or the work was cancelled."""


class Unpaced:
    """A pace that holds nothing back."""

    is_over = False

    def take(self, size_bytes: int, /) -> None: ...
