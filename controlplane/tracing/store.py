"""A store whose units and statements have spans, within calls that are traced; otherwise the store itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from controlplane.tracing.tracing import Tracing
from engine.metadata.store import WRITE_TIMEOUT_S, Answer, Barrier, Params, Row, Store, Tx

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

T = TypeVar("T")


class TracedStore:
    """Implements `engine.metadata.store.Store`."""

    def __init__(self, store: Store, tracing: Tracing) -> None:
        self._store = store
        self._tracing = tracing

    def read(self, unit: Callable[[Tx], T], /) -> T:
        tracer = self._tracer()
        if tracer is None:
            return self._store.read(unit)
        with _spanned(tracer, f"read {name_of(unit)}") as statements:
            return self._store.read(lambda tx: unit(TracedTx(tx, statements)))

    def look(self, statement: str, params: Params, /) -> list[Row]:
        tracer = self._tracer()
        if tracer is None:
            return self._store.look(statement, params)
        with _spanned(tracer, f"look {statement}"):
            return self._store.look(statement, params)

    def write(
        self,
        unit: Callable[[Tx], T],
        /,
        *,
        after: Sequence[Barrier] = (),
        timeout_s: float = WRITE_TIMEOUT_S,
        holds_locks: bool = False,
    ) -> T:
        tracer = self._tracer()
        if tracer is None:
            return self._store.write(unit, after=after, timeout_s=timeout_s, holds_locks=holds_locks)
        with _spanned(tracer, f"write {name_of(unit)}") as statements:
            return self._store.write(
                lambda tx: unit(TracedTx(tx, statements)),
                after=after,
                timeout_s=timeout_s,
                holds_locks=holds_locks,
            )

    @property
    def waits_for_network(self) -> bool:
        return self._store.waits_for_network

    def close(self) -> None:
        self._store.close()

    def _tracer(self) -> Tracer | None:
        """Null outside of calls that are traced: background work has no spans."""
        tracer = self._tracing.tracer
        if tracer is None:
            return None
        from opentelemetry.trace import get_current_span

        return tracer if get_current_span().is_recording() else None


class Statements:
    """Begins spans of statements below that of their unit, on whichever thread the unit runs."""

    def __init__(self, tracer: Tracer, parent: Context) -> None:
        self._tracer = tracer
        self._parent = parent

    def begin(self, statement: str) -> Span:
        from opentelemetry.trace import SpanKind

        return self._tracer.start_span(
            statement, context=self._parent, kind=SpanKind.CLIENT, attributes={"db.operation.name": statement}
        )


class TracedTx:
    """Implements `engine.metadata.store.Tx`. What a statement is given never shows: it may be a secret."""

    def __init__(self, tx: Tx, statements: Statements) -> None:
        self._tx = tx
        self._statements = statements

    @property
    def stripe_count(self) -> int:
        return self._tx.stripe_count

    @property
    def is_again(self) -> bool:
        return self._tx.is_again

    def ask(self, statement: str, params: Params) -> Answer:
        """Its span ends with the first look at the answer, and is left out when nobody looks."""
        span = self._statements.begin(statement)
        return TracedAnswer(self._tx.ask(statement, params), span)

    def lock(self, statement: str, params: Params) -> None:
        with self._spanned(statement):
            self._tx.lock(statement, params)

    def try_lock(self, statement: str, params: Params) -> Callable[[], bool]:
        span = self._statements.begin(statement)
        is_locked = self._tx.try_lock(statement, params)
        span.end()
        return is_locked

    def tell(self) -> None:
        self._tx.tell()

    def row(self, statement: str, params: Params) -> Row:
        with self._spanned(statement):
            return self._tx.row(statement, params)

    def row_or_none(self, statement: str, params: Params) -> Row | None:
        with self._spanned(statement):
            return self._tx.row_or_none(statement, params)

    def rows(self, statement: str, params: Params) -> list[Row]:
        with self._spanned(statement):
            return self._tx.rows(statement, params)

    def run(self, statement: str, params: Params) -> int:
        with self._spanned(statement):
            return self._tx.run(statement, params)

    def ask_many(self, statement: str, params: Sequence[Params]) -> Answer:
        """One span for all of them."""
        span = self._statements.begin(statement)
        return TracedAnswer(self._tx.ask_many(statement, params), span)

    def now_us(self) -> int:
        return self._tx.now_us()

    @contextmanager
    def _spanned(self, statement: str) -> Iterator[None]:
        span = self._statements.begin(statement)
        try:
            yield
        finally:
            span.end()


class TracedAnswer:
    """Implements `engine.metadata.store.Answer`."""

    def __init__(self, answer: Answer, span: Span) -> None:
        self._answer = answer
        self._span = span

    def row(self) -> Row:
        return self._ended(self._answer.row)

    def row_or_none(self) -> Row | None:
        return self._ended(self._answer.row_or_none)

    def rows(self) -> list[Row]:
        return self._ended(self._answer.rows)

    def count(self) -> int:
        return self._ended(self._answer.count)

    def _ended(self, look: Callable[[], T]) -> T:
        try:
            return look()
        finally:
            self._span.end()


@contextmanager
def _spanned(tracer: Tracer, name: str) -> Iterator[Statements]:
    from opentelemetry.trace import set_span_in_context

    with tracer.start_as_current_span(name) as span:
        yield Statements(tracer, set_span_in_context(span))


def name_of(unit: Callable[..., Any]) -> str:
    """`engine.metadata.workers.list_workers` for that function, whatever it is bound to."""
    while isinstance(unit, partial):
        unit = unit.func
    module, name = getattr(unit, "__module__", ""), getattr(unit, "__qualname__", type(unit).__qualname__)
    return f"{module}.{name}".replace(".<locals>.<lambda>", "").removeprefix(".")
