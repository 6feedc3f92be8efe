"""Many clients on few keys over several instances: all of them put, get, delete, compete and complete at once."""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.history import Kind, Operation, Outcome
from tests.support.register_client import Place, RegisterClient

BUCKET = "registers"
CLIENT_JOIN_TIMEOUT_S = 120.0
RECOVERY_TIMEOUT_S = 30.0
_BACK_OFF_S = 0.02
_SMALL_BYTES = (64, 600, 4096)
_LARGE_BYTES = 200_000
"""Beyond what is received before a thread is taken."""

ALL_KINDS: Mapping[Kind, int] = {
    Kind.GET: 39,
    Kind.PUT: 22,
    Kind.PUT_IF_MATCH: 16,
    Kind.PUT_IF_ABSENT: 12,
    Kind.DELETE: 7,
    Kind.COMPLETE: 4,
}


@dataclass(slots=True, kw_only=True)
class Outcomes:
    """What a load saw."""

    histories: dict[str, list[Operation]]
    troubles: Counter[str]
    unexpected: list[str]
    refusals_s: list[float]
    """How long each 503 to a change took, the longest last."""

    @property
    def operations(self) -> list[Operation]:
        return [each for history in self.histories.values() for each in history]


@dataclass(slots=True, kw_only=True)
class Load:
    """So many operations by so many clients on so many keys; `seed` decides what each client asks.

    It goes on until whoever does harm meanwhile did some.
    """

    places: Sequence[Place]
    seed: int
    operation_count: int
    client_count: int = 12
    key_count: int = 10
    weights: Mapping[Kind, int] = field(default_factory=lambda: ALL_KINDS)
    """How often each kind is asked, against the others."""
    _left: "itertools.count[int]" = field(default_factory=itertools.count, init=False)
    newest: dict[str, str] = field(default_factory=dict, init=False)
    """The etag that somebody saw last of a key: what conditional writers name."""
    _nemesis: "Nemesis | None" = field(default=None, init=False)

    def make_bucket(self) -> None:
        with RegisterClient("setup", self.places[0], BUCKET, self.seed) as client:
            client.make_bucket()

    def run(self, nemesis: "Nemesis | None" = None) -> Outcomes:
        """Until all operations were asked, with `nemesis` at work meanwhile; at last every key is read everywhere."""
        clients = [
            _Client(self, f"c{number}", self.places[number % len(self.places)], self.seed * 1000 + number)
            for number in range(self.client_count)
        ]
        self._nemesis = nemesis
        over = threading.Event()
        watcher = threading.Thread(target=_set_at_end, args=(over, clients), daemon=True)
        for each in clients:
            each.start()
        watcher.start()
        if nemesis is not None:
            # By this thread, which stays: a server that it starts ends with the thread that started it.
            nemesis.work(over)
        assert over.wait(CLIENT_JOIN_TIMEOUT_S), "the clients do not come to an end"
        return self._gathered(clients)

    def keys(self) -> list[str]:
        return [f"k{number}" for number in range(self.key_count)]

    def goes_on(self) -> bool:
        """Whether another operation is to be asked; counts it."""
        return next(self._left) < self.operation_count or bool(self._nemesis and not self._nemesis.deeds)

    def _gathered(self, clients: Sequence["_Client"]) -> Outcomes:
        histories: dict[str, list[Operation]] = {key: [] for key in self.keys()}
        troubles: Counter[str] = Counter()
        for each in clients:
            troubles += each.client.troubles
            for key, operation in each.done:
                histories[key].append(operation)
        for place in self.places:
            with RegisterClient(f"last@{place.name}", place, BUCKET, 0) as reader:
                for key in self.keys():
                    histories[key].append(_read_at_last(reader, key))
        return Outcomes(
            histories=histories,
            troubles=troubles,
            unexpected=[each.failure for each in clients if each.failure],
            refusals_s=sorted(took_s for each in clients for took_s in each.client.refusals_s),
        )


def _set_at_end(over: threading.Event, clients: Sequence[threading.Thread]) -> None:
    for each in clients:
        each.join()
    over.set()


def _read_at_last(reader: RegisterClient, key: str) -> Operation:
    """A real answer: an instance may need a moment to find its database again."""
    deadline_s = time.monotonic() + RECOVERY_TIMEOUT_S
    while time.monotonic() < deadline_s:
        operation = reader.get(key)
        if operation is not None and not operation.is_degraded:
            return operation
        time.sleep(_BACK_OFF_S)
    raise AssertionError(f"{key} cannot be read after the load: {reader.troubles}")


class Nemesis:
    """Somebody who does harm while a load runs. What it did is in `deeds`."""

    def __init__(self) -> None:
        self.deeds: Counter[str] = Counter()

    def work(self, over: threading.Event) -> None:
        """Until the load is over. Whatever was broken is whole again on return."""
        raise NotImplementedError


class _Client(threading.Thread):
    def __init__(self, load: Load, name: str, place: Place, seed: int) -> None:
        super().__init__(name=name, daemon=True)
        self._load = load
        self._random = random.Random(seed)
        self.client = RegisterClient(f"{name}@{place.name}", place, BUCKET, seed)
        self.done: list[tuple[str, Operation]] = []
        self.failure: str | None = None

    def run(self) -> None:
        try:
            self._ask_and_note()
        except Exception as error:  # the test's own thread reports it
            self.failure = f"{self.name}: {type(error).__name__}: {error}"

    def _ask_and_note(self) -> None:
        with self.client:
            keys = self._load.keys()
            kinds, weights = list(self._load.weights), list(self._load.weights.values())
            pause = threading.Event()
            while self._load.goes_on():
                # Half of all operations meet on a third of the keys.
                hot_count = len(keys) if self._random.random() < 0.5 else max(1, len(keys) // 3)
                key = keys[self._random.randrange(hot_count)]
                operation = self._ask(self._random.choices(kinds, weights)[0], key)
                if operation is None or operation.outcome is Outcome.UNKNOWN:
                    pause.wait(_BACK_OFF_S)
                if operation is not None:
                    self.done.append((key, operation))
                    self._note(key, operation)

    def _ask(self, kind: Kind, key: str) -> Operation | None:
        is_large = self._random.random() < 0.03
        size_bytes = _LARGE_BYTES if is_large else self._random.choice(_SMALL_BYTES)
        match kind:
            case Kind.GET:
                return self.client.get(key, with_body=self._random.random() < 0.8)
            case Kind.PUT:
                return self.client.put(key, size_bytes)
            case Kind.DELETE:
                return self.client.delete(key)
            case Kind.PUT_IF_ABSENT:
                return self.client.put_if_absent(key, size_bytes)
            case Kind.COMPLETE:
                return self.client.complete(key, size_bytes)
            case Kind.PUT_IF_MATCH:
                expected = self._load.newest.get(key)
                if expected is None:
                    return self.client.get(key)
                return self.client.put_if_match(key, expected, size_bytes)

    def _note(self, key: str, operation: Operation) -> None:
        if operation.outcome is Outcome.DONE and operation.value is not None:
            self._load.newest[key] = operation.value
