"""What a deadline means for a connection: its client is too slow, or there was just nothing to do."""

from dataplane.server.connections import Connection, Phase
from dataplane.server.course import SEND_CHECKS_PER_TIMEOUT
from dataplane.server.errors import Refused
from dataplane.server.open_connections import OpenConnections
from dataplane.server.reception import Reception
from dataplane.server.settings import ServerSettings

_BODY, _SENDING, _WAITING = Phase.BODY, Phase.SENDING, Phase.WAITING


class Deadlines:
    """Looks at connections whose deadline has come: those with enough progress get another one."""

    def __init__(self, connections: OpenConnections, reception: Reception, settings: ServerSettings) -> None:
        self._connections = connections
        self._reception = reception
        self._settings = settings

    def expired(self) -> list[Connection]:
        now_s = self._connections.now_s
        return [each for each in self._connections.by_fd.values() if each.deadline_s <= now_s]

    def apply(self, connection: Connection) -> None:
        settings, now_s, phase = self._settings, self._connections.now_s, connection.phase
        if phase is _BODY:
            if connection.window_bytes >= settings.rate_window_s * settings.rate_bytes_min:
                connection.window_bytes = 0
                connection.deadline_s = now_s + settings.rate_window_s
            else:
                self._reception.refuse(
                    connection, Refused(400, "RequestTimeout", "the body comes too slowly")
                )
        elif phase is _SENDING:
            if self._is_read(connection):
                connection.deadline_s = now_s + settings.send_timeout_s / SEND_CHECKS_PER_TIMEOUT
            else:
                self._connections.abort(connection)
        elif phase is _WAITING:
            self._connections.abort(connection)
        else:
            self._connections.close(connection)

    def _is_read(self, connection: Connection) -> bool:
        """Whether the client takes enough of the response."""
        settings, now_s, request = self._settings, self._connections.now_s, connection.request
        assert request is not None
        taken_bytes = request.response.sent_bytes - connection.unacknowledged_bytes()
        if taken_bytes > connection.taken_bytes:
            connection.progress_s = now_s
            connection.taken_bytes = taken_bytes
        elif now_s - connection.progress_s >= settings.send_timeout_s:
            return False
        window_s = now_s - connection.window_s
        if window_s >= settings.rate_window_s:
            if taken_bytes - connection.window_bytes < window_s * settings.rate_bytes_min:
                return False
            connection.window_s = now_s
            connection.window_bytes = taken_bytes
        return True
