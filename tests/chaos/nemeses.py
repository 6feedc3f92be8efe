"""What may happen while clients use a store: connections to its database end at any moment, its database crashes,
its processes are killed, or sleep and wake."""

import os
import random
import signal
import threading
from collections.abc import Sequence

import psycopg

from tests.chaos.register_load import Nemesis
from tests.support.instances import Instance, SharedDatabase
from tests.support.served import kill

_END_ONE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type = 'client backend'
ORDER BY random() LIMIT 1
"""
_END_COMMITTING = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = %s AND wait_event = 'SyncRep'
"""
WARM_UP_S = 3.0
"""After this each process remembers what it served, for the time without database."""

_COMMIT_WAIT_S = 0.15
_PEACE_S = 0.3


class EndedConnections(Nemesis):
    """Connections of the instances are ended by the server, one after the other, in the middle of whatever they do."""

    def __init__(self, database: SharedDatabase, seed: int) -> None:
        super().__init__()
        self._database = database
        self._random = random.Random(seed)

    def work(self, over: threading.Event) -> None:
        with self._database.server.connect() as connection:
            while not over.wait(self._random.uniform(0.01, 0.08)):
                ended = connection.execute(_END_ONE, (self._database.name,)).fetchall()
                if ended:
                    self.deeds["ended"] += len(ended)


class EndedCommits(Nemesis):
    """Connections end at their COMMIT, after it took effect and before anybody is told.

    For a moment the server waits for a standby that does not exist: commits stand in its log, and hang. Those
    that hang are ended, and so nobody hears of them.
    """

    def __init__(self, database: SharedDatabase, seed: int) -> None:
        super().__init__()
        self._database = database
        self._random = random.Random(seed)

    def work(self, over: threading.Event) -> None:
        with self._database.server.connect() as connection:
            try:
                while not over.wait(self._random.uniform(0.5, 1.5) * _PEACE_S):
                    self._wait_for_standby(connection, "nobody")
                    over.wait(_COMMIT_WAIT_S)
                    ended = connection.execute(_END_COMMITTING, (self._database.name,)).fetchall()
                    if ended:
                        self.deeds["ended at commit"] += len(ended)
                    self._wait_for_standby(connection, "")
            finally:
                self._wait_for_standby(connection, "")

    def _wait_for_standby(self, connection: "psycopg.Connection[object]", name: str) -> None:
        connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
        connection.execute("SELECT pg_reload_conf()")


class Crashes(Nemesis):
    """The server stops as in a crash, is away for a while, and recovers."""

    def __init__(self, database: SharedDatabase, seed: int, *, away_s: float = 3.0) -> None:
        super().__init__()
        self._database = database
        self._random = random.Random(seed)
        self._away_s = away_s

    def work(self, over: threading.Event) -> None:
        server = self._database.server
        pause_s = WARM_UP_S
        while not over.wait(pause_s):
            pause_s = self._random.uniform(1.0, 2.0)
            server.stop("immediate")
            over.wait(self._away_s)
            server.start()
            self.deeds["crashed"] += 1


class KilledProcesses(Nemesis):
    """Processes of the data plane are killed, one after the other; their instance starts them again."""

    def __init__(self, instances: Sequence[Instance], seed: int) -> None:
        super().__init__()
        self._instances = instances
        self._random = random.Random(seed)

    def work(self, over: threading.Event) -> None:
        while not over.wait(self._random.uniform(0.3, 1.0)):
            pids = self._random.choice(self._instances).dataplane_pids()
            if pids:
                kill(self._random.choice(pids))
                self.deeds["killed"] += 1
        for each in self._instances:
            each.wait_ready()


class SleepingProcesses(Nemesis):
    """Processes of the data plane stop in the middle of whatever they do, and go on as if no time had passed."""

    def __init__(self, instances: Sequence[Instance], seed: int, *, sleep_s_max: float) -> None:
        super().__init__()
        self._instances = instances
        self._random = random.Random(seed)
        self._sleep_s_max = sleep_s_max

    def work(self, over: threading.Event) -> None:
        while not over.wait(self._random.uniform(0.1, 0.4)):
            pid = self._random.choice(self._random.choice(self._instances).dataplane_pids())
            os.kill(pid, signal.SIGSTOP)
            try:
                is_deep = self._random.random() < 0.2
                over.wait(self._sleep_s_max if is_deep else self._random.uniform(0.1, 1.0))
            finally:
                os.kill(pid, signal.SIGCONT)
            self.deeds["slept"] += 1
