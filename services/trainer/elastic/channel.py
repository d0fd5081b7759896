"""How the process that computes as rank 0 talks to its attempt, which holds the lease: over a local socket.

The process is started anew in every round, and may be killed in the middle of a message, so it connects each time.
"""

import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection, Listener

from contract.errors import TidepoolError

BEAT_S = 2.0
ACCEPT_AGAIN_S = 0.05
Address = tuple[str, bytes]
"""The path of the socket, and the key that the other side has to know."""


@dataclass(frozen=True)
class Began:
    """A round has begun with `size` processes."""

    size: int


@dataclass(frozen=True)
class Progressed:
    fraction: float
    message: str


@dataclass(frozen=True)
class Saved:
    """An epoch has ended: how many have, the number of processes, and the images that they computed each second."""

    checkpoint: bytes
    epochs: int
    size: int
    images_per_second: float


@dataclass(frozen=True)
class Failed:
    """The training cannot go on, in any round."""

    error: TidepoolError


@dataclass(frozen=True)
class Beat:
    """The process is alive."""


Message = Began | Progressed | Saved | Failed | Beat


@dataclass(frozen=True)
class Reply:
    """`stop_early` asks for the best model so far; `pause_s` is how long to wait for a new round before going on."""

    stop_early: bool = False
    pause_s: float = 0.0


class Server:
    """Answers the messages of the latest connection, in a thread."""

    def __init__(self, answer: Callable[[Message], Reply]) -> None:
        key = secrets.token_bytes(32)
        self._answer = answer
        self._listener = Listener(family="AF_UNIX", authkey=key)
        self.address: Address = (str(self._listener.address), key)
        self._received = time.monotonic()
        self._answering = False
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def silence_s(self) -> float:
        """The time since the last message, 0 while one is being answered."""
        return 0.0 if self._answering else time.monotonic() - self._received

    def heard(self) -> None:
        """Begin to measure the silence anew."""
        self._answering = False
        self._received = time.monotonic()

    def close(self) -> None:
        self._closed = True
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection = self._listener.accept()
            except Exception:  # noqa: BLE001  the other side was killed while it connected
                time.sleep(ACCEPT_AGAIN_S)
                continue
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        try:
            while True:
                message = connection.recv()
                self._received = time.monotonic()
                if not isinstance(message, Beat):
                    self._answering = True
                    connection.send(self._answer(message))
                    self.heard()
        except Exception:  # noqa: BLE001
            connection.close()  # the process was killed, or the attempt must stop and gives no answer
            self.heard()


class Caller:
    """Rank 0's side; ends this process when the attempt has died."""

    def __init__(self, address: Address) -> None:
        path, key = address
        self._connection = Client(path, family="AF_UNIX", authkey=key)
        self._lock = threading.Lock()
        threading.Thread(target=self._beat, daemon=True).start()

    def ask(self, message: Message) -> Reply:
        """Send a message and wait for the reply, which may take as long as the object store's outages."""
        try:
            with self._lock:
                self._connection.send(message)
                reply: Reply = self._connection.recv()
        except (EOFError, OSError):
            os._exit(1)
        return reply

    def _beat(self) -> None:
        while True:
            time.sleep(BEAT_S)
            if self._lock.acquire(timeout=0.0):  # while a reply is awaited, the attempt knows that this one is alive
                try:
                    self._connection.send(Beat())
                except OSError:
                    os._exit(1)
                finally:
                    self._lock.release()
