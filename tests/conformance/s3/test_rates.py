"""Clients that ask too often get 503 SlowDown; forwarded addresses count from trusted proxies only (row G16)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.s3.wire import BUCKET, SENTINEL, Wire
from tests.support.raw_http import Answer, Connection, request_bytes
from tests.support.served import Served

LIMITED = (503, "SlowDown")
REQUEST_COUNT = 60
"""Many more than pass while they are sent, however slow the machine is."""

Serve = Callable[[str], Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A deployment of one process with these rate limits."""
    running: list[Served] = []

    def start(limits: str) -> Served:
        def edited(text: str) -> str:
            return f"{text}\nrate_limits: {{{limits}}}\n"

        made = Served(tmp_path, volumes=1, edit_config=lambda t: edited(t) + "\nprocesses: {dataplane: 1}\n")
        running.append(made)
        made.start()
        return made

    yield start
    for each in running:
        each.stop()


def ask(wire: Wire, forwarded: str | None = None, *, target: str = SENTINEL) -> Answer:
    extra = [] if forwarded is None else [("x-forwarded-for", forwarded)]
    with Connection(wire.address) as connection:
        connection.send(request_bytes("GET", target, wire.headers("GET", target, extra)))
        return connection.answer()


def until_limited(answers: Iterator[Answer]) -> Answer | None:
    return next((each for each in answers if each.said == LIMITED), None)


def test_g16_a_client_that_names_another_address_is_still_itself(serve: Serve) -> None:
    wire = Wire.of(serve("per_address: 1"))

    refused = until_limited(ask(wire, f"203.0.113.{number}") for number in range(REQUEST_COUNT))

    assert refused is not None
    assert int(refused.header("retry-after") or "0") >= 1


def test_g16_a_trusted_proxy_speaks_for_its_clients(serve: Serve) -> None:
    wire = Wire.of(serve("per_address: 1, trusted_proxies: [127.0.0.0/8]"))

    assert until_limited(ask(wire, f"203.0.113.{number}") for number in range(REQUEST_COUNT)) is None
    # What a client wrote itself stands left of what the proxy added, and buys it nothing.
    refused = until_limited(ask(wire, f"198.51.100.{number}, 192.0.2.1") for number in range(REQUEST_COUNT))
    assert refused is not None
    assert ask(wire, "192.0.2.77").said != LIMITED
    with Connection(wire.address) as connection:
        connection.send(request_bytes("GET", "/-/live", [("host", "localhost")]))
        assert connection.answer().status == 200, "health is nobody's request"


def test_a_credential_meets_its_rate_from_wherever_it_asks(serve: Serve) -> None:
    wire = Wire.of(serve("per_credential: 1, trusted_proxies: [127.0.0.0/8]"))

    assert until_limited(ask(wire, f"203.0.113.{number}") for number in range(REQUEST_COUNT)) is not None


def test_nobody_spends_the_share_of_a_credential_that_is_not_theirs(serve: Serve) -> None:
    wire = Wire.of(serve("per_credential: 1"))
    forger = replace(wire, secret="not the secret at all")

    assert {ask(forger).said for _ in range(REQUEST_COUNT)} == {(403, "SignatureDoesNotMatch")}
    assert ask(wire, target=f"/{BUCKET}").said == (404, "NoSuchBucket")
