"""The replica's end of the connection of one gateway of its machine."""

import socket
import struct
import threading
from contextlib import suppress

from messaging.local_socket import LEAVING, RECEIVE, Frames

SEND_S = 5.0  # for a gateway to receive what fills its socket

_SEND_TIMEOUT = struct.pack("ll", int(SEND_S), 0)


class LocalConnection:
    """The connection of one gateway. It is closed when it has ended and all of its batches are answered."""

    def __init__(self, client: socket.socket) -> None:
        # a timeout of Python's would cost a system call more for each message
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SEND_TIMEOUT)
        self.frames = Frames()
        self._client = client
        self._unanswered = 0
        self._ended = False
        self._lock = threading.Lock()

    def receive(self) -> list[memoryview]:
        """Return the messages that have arrived; raises EOFError at the end, and OSError."""
        data = self._client.recv(RECEIVE)
        if not data:
            raise EOFError
        messages = self.frames.feed(data)
        with self._lock:
            self._unanswered += len(messages)
        return messages

    def reply(self, frame: bytes | bytearray) -> None:
        """Send the reply to a batch; if the gateway does not receive it, end the connection."""
        with self._lock:
            self._unanswered -= 1
            self._send(frame)
            self._close_if_done()

    def drop(self) -> None:
        """End the connection after a damaged batch; the gateway sends its batches again."""
        with self._lock:
            self._unanswered -= 1
            self._shut_down()
            self._close_if_done()

    def leave(self) -> None:
        """Tell the gateway to send no more."""
        with self._lock:
            self._send(LEAVING)

    def end(self) -> None:
        """Close the connection when its batches are answered: the gateway sends no more."""
        with self._lock:
            self._ended = True
            self._close_if_done()

    def close(self) -> None:
        """Close the connection now."""
        with self._lock:
            self._shut_down()

    def _send(self, frame: bytes | bytearray) -> None:
        try:
            self._client.sendall(frame)
        except OSError:  # the gateway is gone or stuck; it sends its batches again
            self._shut_down()

    def _shut_down(self) -> None:
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_RDWR)  # `receive` then raises EOFError

    def _close_if_done(self) -> None:
        if self._ended and not self._unanswered:
            self._client.close()
