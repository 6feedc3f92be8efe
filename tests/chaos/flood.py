"""A flood of calls of the control API from a process of its own: with a token and without, whole ones and cut ones."""

import json
import os
import subprocess
import sys
import threading
from types import TracebackType
from typing import Any, Self

CALL_COUNT_AT_ONCE = 64
STOP_TIMEOUT_S = 20


class Flood:
    """From `with` to its end; `counts` then says what the calls ended with.

    The flooding process steps back behind everything else: on the machine of a test it would take the processors away
    from what is measured, which in earnest it does from another machine.
    """

    def __init__(self, address: str, token: str) -> None:
        self._command = [sys.executable, "-P", "-m", "tests.chaos.flood", address, token]
        self.counts: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"begun\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        out, _ = self._process.communicate(b"", timeout=STOP_TIMEOUT_S)
        self.counts = json.loads(out)


def main() -> None:
    """Call until standard input ends, then print how the calls ended."""
    import grpc

    address, token = sys.argv[1:]
    os.nice(14)
    counts: dict[str, int] = {}
    room = threading.Semaphore(CALL_COUNT_AT_ONCE)
    lock = threading.Lock()
    stopping = threading.Event()

    def ended(call: Any) -> None:
        with lock:
            counts[call.code().name] = counts.get(call.code().name, 0) + 1
        room.release()

    def flood(channel: grpc.Channel) -> None:
        look, change = (
            channel.unary_unary(
                f"/penstock.admin.v1.{name}", request_serializer=None, response_deserializer=None
            )
            for name in ("SystemService/GetHealth", "LogService/SetLogLevel")
        )
        good, bad = (("authorization", f"Bearer {token}"),), (("authorization", "Bearer wrong"),)
        number = 0
        while not stopping.is_set():
            number += 1
            room.acquire()
            method = change if number % 50 == 0 else look
            call: Any = method.future(b"", metadata=bad if number % 3 == 0 else good, timeout=10)
            call.add_done_callback(ended)
            if number % 7 == 0:
                call.cancel()

    with grpc.insecure_channel(address) as channel:
        thread = threading.Thread(target=flood, args=(channel,))
        thread.start()
        print("begun", flush=True)
        sys.stdin.read()
        stopping.set()
        thread.join()
        for _ in range(CALL_COUNT_AT_ONCE):
            room.acquire()
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main()
