"""TLS of a connection: what the loop and its threads use in place of a plain socket."""

import os
import socket
import ssl
import threading

FIRST_BYTE = 0x16
"""What a TLS client says first (RFC 8446, section 5.1): the type of a handshake record."""

FILE_BLOCK_BYTES = 128 * 1024
"""Read of a file before it is encrypted: what the socket has no room for is read again the next time."""

_Plain = socket.socket


class _Block(threading.local):
    """A thread's buffer for parts of files."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(FILE_BLOCK_BYTES))


_block = _Block()


class TlsSocket:
    """Never blocks. Raises BlockingIOError like a plain socket, and ConnectionError for whatever breaks TLS.

    For one thread at a time, but for `shutdown` of both ways. After that for writing it receives without decrypting.
    """

    __slots__ = ("_has_ended", "_held", "_is_cut", "_socket", "wants_write")

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        """Take over a connected socket, also when it raises, which is an OSError."""
        self._socket = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        self._held = b""
        self._has_ended = True
        self._is_cut = False
        self.wants_write = False

    def handshake(self) -> bool:
        """Whether it is over; until then call again when the socket is readable, or writable if `wants_write`."""
        self.wants_write = False
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLWantWriteError:
            self.wants_write = True
            return False
        self._has_ended = False
        return True

    def fileno(self) -> int:
        return self._socket.fileno()

    def setsockopt(self, level: int, option: int, value: int | bytes, /) -> None:
        self._socket.setsockopt(level, option, value)

    def recv(self, size: int, /) -> bytes:
        if self._has_ended:
            return _Plain.recv(self._socket, size)
        try:
            return self._socket.recv(size)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError from error
        except ssl.SSLError as error:
            raise ConnectionResetError("TLS is broken") from error

    def recv_into(self, buffer: memoryview, /) -> int:
        """As much as is here: TLS gives a record at a time, and whoever takes it works for each time."""
        received = 0
        try:
            while received < len(buffer):
                count = self._socket.recv_into(buffer[received:])
                if count == 0:
                    break
                received += count
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            if received == 0:
                raise BlockingIOError from error
        except ssl.SSLError as error:
            # What came before is whole records; the next call meets the same again.
            if received == 0:
                raise ConnectionResetError("TLS is broken") from error
        return received

    def take_decrypted(self) -> bytes:
        """What was decrypted and not asked for: no event tells of it. At most one record, 16 KiB."""
        count = self._socket.pending()
        return self.recv(count) if count else b""

    def send(self, data: bytes | memoryview, flags: int = 0, /) -> int:
        """As a plain socket; with MSG_MORE the bytes wait for those of a file, to leave in the same record."""
        if flags & socket.MSG_MORE:
            self._held += bytes(data)
            return len(data)
        if self._has_ended:
            raise BrokenPipeError("the connection has ended")
        try:
            return self._socket.send(data)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            # The next call has to begin with the same bytes, and does: nothing else is sent before them.
            raise BlockingIOError from error
        except ssl.SSLError as error:
            raise ConnectionResetError("TLS is broken") from error

    def sendmsg(self, buffers: list[memoryview], /) -> int:
        """The first of them only: the caller goes on with the others."""
        return self.send(buffers[0])

    def send_file(self, fd: int, offset: int, count: int) -> int:
        """Encrypt and send part of a file, a block at most, behind what was held back; 0 at the file's end."""
        held, view = self._held, _block.view
        begin = len(held)
        view[:begin] = held
        size = os.preadv(fd, [view[begin : begin + min(count, FILE_BLOCK_BYTES - begin)]], offset)
        if size == 0:
            return 0
        end, sent = begin + size, 0
        try:
            # A call sends one record, and reading the file for each would cost as much as the record.
            while sent < end:
                sent += self.send(view[sent:end])
        except BlockingIOError:
            self._held = held[sent:]
            if sent <= begin:
                raise
        else:
            self._held = b""
        return max(0, sent - begin)

    def take_held(self) -> bytes:
        """What waits for the bytes of a file, which do not come; it is sent again, before others."""
        held, self._held = self._held, b""
        return held

    def shutdown(self, how: int, /) -> None:
        """Tell the client that no more comes, or, for both ways and from any thread, cut the connection."""
        if how == socket.SHUT_WR:
            self._say_end()
        # Not that of SSLSocket, after which it would send and receive in the clear.
        _Plain.shutdown(self._socket, how)

    def cut(self) -> None:
        """The client shall not take what it got for everything."""
        self._is_cut = True

    def close(self) -> None:
        if not self._is_cut:
            self._say_end()
        self._socket.close()

    def _say_end(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        try:
            # Sends close_notify, then looks for the client's, which is not waited for.
            self._socket.unwrap()
        except (OSError, ValueError):
            pass


AnySocket = socket.socket | TlsSocket
