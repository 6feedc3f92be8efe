"""A process that has imported everything and forks others, which open a deployment at once or until they are killed.

Takes orders as JSON, one a line, and answers with what became of each process: `starts.Starter` is its other side.
"""

import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

from engine.deployment.opening import open_deployment
from tests.integration.engine.deployment.conftest import ENVIRON


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(_run(Path(order["config"]), order["step"], order["count"])), flush=True)


def _run(config: Path, step: str | None, count: int) -> list[dict[str, Any]]:
    gate, opener = os.pipe()
    children = []
    for _ in range(count):
        answer, teller = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(opener)
            os.close(answer)
            _be_child(config, step, gate, teller)
        os.close(teller)
        children.append((pid, answer))
    # Nobody writes: when the last end of the gate is closed, all of them go on at once.
    os.close(opener)
    os.close(gate)
    results = []
    for pid, answer in children:
        with os.fdopen(answer) as told:
            text = told.read()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        results.append({"status": status, "told": json.loads(text) if text else None})
    return results


def _be_child(config: Path, step: str | None, gate: int, teller: int) -> None:
    status = 1
    try:
        os.read(gate, 1)
        if step is not None:
            _die_at(step)
        deployment = open_deployment(config, ENVIRON, plane="dataplane", version="1")
        told = {
            "deployment": deployment.deployment_id.hex(),
            "generation": deployment.generation,
            "key": deployment.ring.primary.key_id.hex(),
            "process": deployment.process_id.hex(),
            "backends": sorted(each.name for each in deployment.backends),
            "failed": [
                each.name for each in deployment.backends if deployment.health.problem_of(each.backend_id)
            ],
        }
        deployment.tick()
        deployment.close()
        os.write(teller, json.dumps(told).encode())
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _die_at(step: str) -> None:
    """Be killed at `before FUNCTION` or `after FUNCTION`, wherever that is called first."""
    when, _, function = step.partition(" ")
    event = "call" if when == "before" else "return"

    def watch(frame: FrameType, what: str, argument: object) -> None:
        if what == event and f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}" == function:
            os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(watch)
    sys.setprofile(watch)


if __name__ == "__main__":
    main()
