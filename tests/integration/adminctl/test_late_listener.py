"""A control plane that is about to listen: a command waits a moment for it."""

import socket
import threading
import time
from contextlib import closing

from tests.integration.adminctl.running import adminctl
from tests.support.ports import free_ports

LATE_S = 0.6


def test_a_command_waits_for_a_listener_that_is_a_moment_late() -> None:
    (port,) = free_ports(1)
    asked = threading.Event()

    def listen_late() -> None:
        time.sleep(LATE_S)
        with closing(socket.create_server(("127.0.0.1", port))) as server:
            server.settimeout(20)
            # The look whether somebody listens, then the call.
            for _ in range(2):
                server.accept()[0].close()
            asked.set()

    listener = threading.Thread(target=listen_late)
    listener.start()
    done = adminctl("--address", f"127.0.0.1:{port}", "--timeout", "3", "status")
    listener.join()

    assert asked.is_set()
    assert done.returncode == 6
    assert "Connection refused" not in done.stderr
