"""kill -9 of the whole tree, or of one process, at random moments under load: what was acknowledged reads back.

Afterwards rows and bytes agree both ways, and no piece is left that nobody accounts for.
"""

import os
import random
import threading
from pathlib import Path

import pytest

from tests.chaos.load import BUCKET, Client, check
from tests.support.engines import ENGINES
from tests.support.postgres import shared_server, with_database
from tests.support.served import Served, kill

KILL_COUNT = int(os.environ.get("PENSTOCK_CHAOS_KILLS", "3"))
SEED = int(os.environ.get("PENSTOCK_CHAOS_SEED", "1"))
CLIENT_COUNT = 6


@pytest.mark.timeout(60 + 30 * KILL_COUNT)
@pytest.mark.parametrize("engine", ENGINES)
def test_acknowledged_objects_survive_kills_at_random_moments(tmp_path: Path, engine: str) -> None:
    chance = random.Random(SEED)
    server = shared_server() if engine == "postgres" else None
    served = Served(
        tmp_path,
        volumes=2,
        edit_config=lambda text: (
            text if server is None else with_database(text, server, server.create_empty_database())
        ),
    )
    served.start()
    served.client().create_bucket(Bucket=BUCKET)
    stop = threading.Event()
    clients = [Client(served.client(), f"c{n}", SEED * 100 + n, stop) for n in range(CLIENT_COUNT)]

    for kill_index in range(KILL_COUNT):
        stop = threading.Event()
        clients = [client.renew(served.client(), stop) for client in clients]
        for client in clients:
            client.start()
        threading.Event().wait(chance.uniform(0.2, 2.0))
        whole_tree = chance.random() < 0.5
        if whole_tree:
            served.kill_tree()
        else:
            kill(chance.choice([pid for pid in served.processes() if pid != served.pid]))
        stop.set()
        for client in clients:
            client.join(60)
        if whole_tree:
            served.start()
        else:
            served.wait_ready()
        problems = check(served.client(retries={"max_attempts": 5}), clients)
        assert not problems, f"kill {kill_index} (whole tree: {whole_tree}, seed {SEED}): {problems}"

    assert sum(client.acknowledged_count for client in clients) > KILL_COUNT
    assert served.stop() == 0
    report = served.fsck()
    assert report["is_clean"], report["findings"]
    assert report["counts"]["blob_count"] > 0
