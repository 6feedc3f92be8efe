"""Requests that wait for a commit are set aside on the loop: others run, order holds, and none is forgotten."""

from collections.abc import Callable

from dataplane.server.contract import Lane
from tests.integration.dataplane.server.stub import Running, eventually, request

Serve = Callable[..., Running]


def park(target: str = "/park?lane=parking", body: bytes = b"") -> bytes:
    return request("PUT", target, f"Content-Length: {len(body)}", body=body)


def test_others_are_served_while_one_is_set_aside(server: Running) -> None:
    waiting, other = server.client(), server.client()
    waiting.send(park(body=b"body"))
    spot = server.application.spots.get(timeout=20)

    assert other.get("/hello").status == 200

    spot.wake()
    assert waiting.answer().body == b"True body"


def test_many_wait_at_once_and_are_woken_in_any_order(server: Running) -> None:
    clients = [server.client() for _ in range(20)]
    for number, client in enumerate(clients):
        client.send(park(body=b"%d" % number))
    spots = [server.application.spots.get(timeout=20) for _ in clients]

    for spot in reversed(spots):
        spot.wake()

    assert [client.answer().body for client in clients] == [
        b"True %d" % number for number in range(len(clients))
    ]


def test_pipelined_requests_are_answered_in_order(server: Running) -> None:
    client = server.client()

    client.send(park(body=b"1") + request("GET", "/hello") + park(body=b"2") + request("GET", "/hello"))

    server.application.spots.get(timeout=20).wake()
    assert client.answer().body == b"True 1"
    assert client.answer().body == b"hello "
    server.application.spots.get(timeout=20).wake()
    assert client.answer().body == b"True 2"
    assert client.answer().body == b"hello "


def test_a_wait_ends_with_its_time(serve: Serve) -> None:
    server = serve()
    client = server.client()

    client.send(park("/park?lane=parking&s=0.02"))

    assert client.answer().body == b"False "


def test_beyond_the_limit_threads_wait(serve: Serve) -> None:
    server = serve()
    server.application.parking.count_max = 1
    first, second = server.client(), server.client()
    first.send(park())
    spot = server.application.spots.get(timeout=20)

    second.send(park())

    assert second.answer().body == b"not parked"
    assert server.application.runs[-1][1] is Lane.SHORT
    spot.wake()
    assert first.answer().body == b"True "


def test_a_body_that_is_not_there_yet_is_read_by_a_thread(server: Running) -> None:
    client = server.client()
    client.send(request("PUT", "/park?lane=parking", "Content-Length: 4", "Expect: 100-continue"))

    eventually(lambda: len(server.application.runs) == 1)

    assert server.application.runs[0][1] is Lane.STREAMING
    client.send(b"body")


def test_a_stop_waits_for_what_is_set_aside(server: Running) -> None:
    client = server.client()
    client.send(park())
    spot = server.application.spots.get(timeout=20)

    server.loop.stop(20.0)
    eventually(server.application.is_draining.is_set)
    spot.wake()

    answer = client.answer()
    assert (answer.body, answer.headers["connection"]) == (b"True ", "close")
    assert server.application.ending().is_whole


def test_a_stop_cuts_what_is_not_woken_in_time_and_a_late_wake_harms_nobody(server: Running) -> None:
    client = server.client()
    client.send(park())
    spot = server.application.spots.get(timeout=20)

    server.stop(0.0)
    spot.wake()

    assert client.is_at_end()
    assert not server.application.ending().is_whole
