"""A crowd that writes small objects at once waits for its turn; nobody is sent away while there is room to wait."""

from contextlib import ExitStack
from pathlib import Path

from tests.conformance.s3.wire import BUCKET, Wire
from tests.support.raw_http import Connection
from tests.support.served import Served

_FEW_WRITES = """
processes:
  dataplane: 1

admission:
  writes: 16

identities:
"""


def test_more_small_writes_than_may_be_in_flight_are_all_served(tmp_path: Path) -> None:
    with (
        Served(tmp_path, edit_config=lambda text: text.replace("\nidentities:\n", _FEW_WRITES)) as served,
        ExitStack() as stack,
    ):
        wire = Wire.of(served)
        wire.lay_sentinel()
        crowd = [stack.enter_context(Connection(wire.address)) for _ in range(100)]
        requests = [wire.raw("PUT", f"/{BUCKET}/{number}", body=b"small") for number in range(len(crowd))]

        for connection, request in zip(crowd, requests, strict=True):
            connection.send(request)

        assert {connection.answer("PUT").status for connection in crowd} == {200}
