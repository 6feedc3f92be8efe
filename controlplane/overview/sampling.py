"""What the data plane of this instance serves: read from the folder its processes count in, told by a row."""

import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from penstock.admin.v1 import stats_pb2
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from controlplane.operations.courtesy import Courtesy
from controlplane.overview.counts import Counts, load_of, stats_of
from engine.clock import Clock
from engine.errors import EngineError
from engine.metadata.instance_stats import DOCUMENT_BYTES_MAX, put_stats
from engine.metadata.store import Store
from engine.settings.running import AdmissionSettings

SAMPLE_EVERY_S = 2.0
METRICS_FOLDER = "metrics"
"""Of the node's state; the data plane's processes count there."""

_log = logging.getLogger("penstock.control")


class Sampler(threading.Thread):
    """Samples from `start` to `stop`. A sample that fails is left out: the next one comes soon."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        clock: Clock,
        *,
        instance_id: bytes,
        node: str,
        courtesy: Courtesy,
        limits: Callable[[], AdmissionSettings],
        every_s: float = SAMPLE_EVERY_S,
    ) -> None:
        """`courtesy` hears how busy the data plane is, of what it may have in flight: `limits`."""
        super().__init__(name="sampler", daemon=True)
        self._store = store
        self._clock = clock
        self._read = partial(read_counts, folder)
        self._instance_id = instance_id
        self._shell = stats_pb2.InstanceStats(instance=f"instances/{instance_id.hex()}", node=node)
        self._courtesy = courtesy
        self._limits = limits
        self._every_s = every_s
        self._before: tuple[float, Counts] | None = None
        self._is_failing = False
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.wait(self._every_s):
            self._guarded(self.sample)

    def stop(self, timeout_s: float) -> bool:
        """Whether no sample is under way any more."""
        self._stopping.set()
        if self.ident is not None:
            self.join(timeout_s)
        return not self.is_alive()

    def sample(self) -> None:
        """Take one; nothing while no data plane counts here. Raises what a write raises."""
        counts, now_s = self._read(), self._clock.monotonic_s()
        if counts is None:
            self._before = None
            self._courtesy.note(None)
            return
        before = self._before
        self._before = (now_s, counts)
        interval_s = 0.0 if before is None else now_s - before[0]
        earlier = None if before is None else before[1]
        self._courtesy.note(load_of(counts, earlier, interval_s, self._limits()))
        stats = stats_of(counts, earlier, interval_s)
        stats.MergeFrom(self._shell)
        stats.sample_time.FromMicroseconds(self._clock.now_us())
        document = stats.SerializeToString()
        if len(document) <= DOCUMENT_BYTES_MAX:
            self._store.write(partial(put_stats, instance_id=self._instance_id, document=document))

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except EngineError as error:
            if not self._is_failing:
                _log.warning("sampler.failed", extra={"problem": str(error)})
            self._is_failing = True
        except Exception:  # a thread that ended here would take the figures along
            if not self._is_failing:
                _log.exception("sampler.failed")
            self._is_failing = True
        else:
            self._is_failing = False


def read_counts(folder: Path) -> Counts | None:
    """What all processes counted since the data plane started; null where none counts."""
    try:
        if not any(folder.glob("*.db")):
            return None
        collector = MultiProcessCollector(CollectorRegistry(), path=str(folder))  # type: ignore[no-untyped-call]
        families = list(collector.collect())  # type: ignore[no-untyped-call]
    except (FileNotFoundError, ValueError, KeyError):
        # A process begins or ends its files just now.
        return None
    return Counts(sample for family in families for sample in family.samples)
