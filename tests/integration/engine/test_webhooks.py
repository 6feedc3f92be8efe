"""One POST, signed, to the address that was looked at; whatever is not a plain yes is tried again later."""

import socket
import threading

import pytest

from engine.notifications.targets import Target
from engine.notifications.webhooks import DeliveryFailed, Webhooks, signature
from tests.support.receiver import Receiver


def send(url: str, **more: bool | float) -> None:
    target = Target(name="hook", url=url, secret=b"secret", **{"allows_private": True, **more})  # type: ignore[arg-type]
    Webhooks(now_s=lambda: 1_700_000_000.5).send(
        target, b"{}", event_id="e1", content_type="application/json"
    )


def test_a_message_is_signed_with_its_time() -> None:
    with Receiver() as receiver:
        send(receiver.url("/path"))

        (came,) = receiver.received
    assert (came.path, came.body) == ("/path", b"{}")
    assert came.headers["x-penstock-event-id"] == "e1"
    assert came.headers["x-penstock-timestamp"] == "1700000000"
    assert came.headers["x-penstock-signature"] == signature(b"secret", 1_700_000_000, b"{}")


def test_a_redirect_is_not_followed() -> None:
    with Receiver() as inner, Receiver(status=307, location=inner.url("/inner")) as receiver:
        with pytest.raises(DeliveryFailed, match="answered 307"):
            send(receiver.url())

        assert inner.received == []


def test_an_inner_address_is_not_even_connected_to() -> None:
    with Receiver() as receiver:
        with pytest.raises(DeliveryFailed, match="no public address"):
            send(receiver.url(), allows_private=False)
        with pytest.raises(DeliveryFailed, match="no public address"):
            send(f"http://localhost:{receiver.port}/", allows_private=False)

        assert receiver.received == []


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 204", b"not http\r\n\r\n", b"HTTP/1.1 2" + b"0" * 100_000]
)
def test_an_answer_that_is_none_or_has_no_end_is_a_failure(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            taken, _ = listening.accept()
            with taken:
                taken.recv(4096)
                try:
                    taken.sendall(answer)
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(DeliveryFailed):
            send(f"http://127.0.0.1:{listening.getsockname()[1]}/", timeout_s=1.0)
        thread.join()


def test_who_does_not_answer_is_given_up_in_time() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        pytest.raises(DeliveryFailed, match="timed out"),
    ):
        send(f"http://127.0.0.1:{listening.getsockname()[1]}/", timeout_s=0.2)


def test_nor_is_who_answers_a_byte_at_a_time_waited_for() -> None:
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            taken, _ = listening.accept()
            with taken:
                while not over.wait(0.05):
                    try:
                        taken.sendall(b"H")
                    except OSError:
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(DeliveryFailed, match="timed out"):
            send(f"http://127.0.0.1:{listening.getsockname()[1]}/", timeout_s=0.5)
        over.set()
        thread.join()
