"""What may happen to a database while clients use it: connections end at any moment, and the server crashes."""

import random
import threading

import psycopg

from tests.chaos.register_load import Nemesis
from tests.support.instances import SharedDatabase

_END_ONE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type = 'client backend'
ORDER BY random() LIMIT 1
"""
_END_COMMITTING = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = %s AND wait_event = 'SyncRep'
"""
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
        while not over.wait(self._random.uniform(1.0, 2.0)):
            server.stop("immediate")
            over.wait(self._away_s)
            server.start()
            self.deeds["crashed"] += 1
