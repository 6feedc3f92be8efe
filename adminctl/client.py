"""One connection to the control plane, as the global options describe it. gRPC is imported once it is used."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from adminctl.formats import Format
from adminctl.place import Place, Wanted, find_place
from adminctl.tracing import TRACEPARENT, Trace

if TYPE_CHECKING:
    import grpc
    from google.protobuf.message import Message

DEFAULT_TIMEOUT_S = 10.0
START_PATIENCE_S = 1.0
"""`penstock serve` answers S3 clients a moment before its control plane listens, on a busy machine a longer one."""
API_VERSION = "penstock.admin.v1"
"""What is spoken here; a server tells what it speaks."""

Answer = TypeVar("Answer", bound="Message")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What the global options say."""

    wanted: Wanted = field(default_factory=Wanted)
    output: Format = field(default_factory=lambda: Format("table"))
    has_headings: bool = True
    timeout_s: float = DEFAULT_TIMEOUT_S
    is_verbose: bool = False


class Connection:
    """Made for every command; it reaches out only once a channel is opened."""

    def __init__(
        self, flags: Flags, environ: Mapping[str, str] = os.environ, *, trace: Trace | None = None
    ) -> None:
        """`trace` is what its calls are part of; one of its own without."""
        self.flags = flags
        self._environ = environ
        self._trace = trace or Trace(environ)

    def with_flags(self, **changes: Any) -> Connection:
        """The same with other values for some fields of `Flags`, in the same trace."""
        return Connection(replace(self.flags, **changes), self._environ, trace=self._trace)

    @property
    def format(self) -> Format:
        return self.flags.output

    @property
    def timeout_s(self) -> float:
        return self.flags.timeout_s

    @property
    def is_verbose(self) -> bool:
        return self.flags.is_verbose

    @cached_property
    def place(self) -> Place:
        """Raises Refused."""
        return find_place(self.flags.wanted, self._environ)

    @property
    def address(self) -> str:
        return self.place.address

    @property
    def traceparent(self) -> str:
        return self._trace.traceparent

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        traced = ((TRACEPARENT, self.traceparent),)
        return (*traced, ("authorization", f"Bearer {self.place.token}")) if self.place.token else traced

    @contextmanager
    def channel(self, *, patience_s: float = START_PATIENCE_S) -> Iterator[grpc.Channel]:
        """Raises Refused; that nobody answers is noticed by the first call.

        `patience_s`: how long somebody on this machine may take to begin to listen, within the command's deadline.
        """
        from adminctl.channels import open_channel

        with open_channel(self.place, patience_s=min(patience_s, self.timeout_s)) as channel:
            yield self._trace.traced(channel)

    def call(
        self, method: Callable[..., Answer], request: Message, *, timeout_s: float | None = None
    ) -> Answer:
        """Call once within the deadline; an error is told on stderr and ends the command with its exit status."""
        from adminctl.failures import telling_failures

        with telling_failures(self):
            return method(request, timeout=timeout_s or self.timeout_s, metadata=self.metadata)

    def stream(self, method: Callable[..., Iterable[Answer]], request: Message) -> Iterator[Answer]:
        """The messages of a server stream until it ends; errors as with `call`. There is no deadline."""
        from adminctl.failures import telling_failures

        with telling_failures(self):
            yield from method(request, metadata=self.metadata)

    def wrote(self, answer: Message) -> bool:
        """Write a message whole in the format that programs asked for; false when people are to get a table."""
        if self.format.is_for_people:
            return False
        from adminctl.messages import write_message

        write_message(answer, self.format, has_headings=self.flags.has_headings)
        return True

    def wrote_line(self, answer: Message) -> bool:
        """The same of a message of a stream, as a line of JSON whatever programs asked for."""
        if self.format.is_for_people:
            return False
        from adminctl.messages import write_line

        write_line(answer)
        return True


def resource_name(collection: str, text: str) -> str:
    """`near` and `backends/near` name the same backend."""
    return text if text.startswith(f"{collection}/") else f"{collection}/{text}"
