"""Hostile senders without a key: they hold connections, and send too much, too slowly, or junk."""

import os
import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import grpc
import httpx

from services.gateway.oip.proto import inference_pb2 as messages
from services.gateway.oip.proto.inference_pb2_grpc import GRPCInferenceServiceStub
from tests.soak.deployment import Deployment
from tests.soak.tally import Tally

HOSTILE = "hostile"
LINES = 8  # connections of one attack
HEADERS_S = 10.0  # the gateway's limit for headers
PATIENCE_S = HEADERS_S + 8.0  # after which a connection counts as held
GET = b"GET /v1/me HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /v1/models/steady/predict HTTP/1.1\r\nHost: x\r\n"


class Strangers:
    """Each attack ends by itself; what it sees is counted, and a connection that is held too long is a problem."""

    def __init__(self, deployment: Deployment, tally: Tally) -> None:
        self._address = (deployment.host, deployment.port)
        self._url, self._grpc = deployment.url, deployment.grpc
        self._tally = tally
        self._random = random.Random(1)

    def work(self) -> dict[str, tuple[float, Callable[[], None]]]:
        """Return the seconds between two turns of each attack, and the attack."""
        return {
            "slow headers": (25.0, self.slow_headers),
            "silent connections": (25.0, self.silent_connections),
            "broken connections": (10.0, self.broken_connections),
            "huge headers": (10.0, self.huge_headers),
            "many headers": (10.0, self.many_headers),
            "body without a key": (10.0, self.body_without_key),
            "unknown keys": (10.0, self.unknown_keys),
            "junk bytes": (5.0, self.junk),
            "pipelined requests": (10.0, self.pipeline),
            "gRPC without a key": (10.0, self.grpc_without_key),
            "junk to gRPC": (10.0, self.junk_to_grpc),
            "odd requests": (10.0, self.odd_requests),
        }

    def slow_headers(self) -> None:
        """Send one byte of a header each second, on several connections."""
        with self._lines(LINES) as lines:
            deadline, text = time.monotonic() + PATIENCE_S, GET + b"X-Slow: " + b"a" * 100
            for byte in text:
                for line in list(lines):
                    try:
                        line.sendall(bytes([byte]))
                        line.settimeout(0.01)
                        if not line.recv(4096):
                            lines.remove(line)
                    except TimeoutError:
                        continue
                    except OSError:
                        lines.remove(line)
                if not lines:
                    return
                if time.monotonic() > deadline:
                    self._tally.problem("slow headers", f"{len(lines)} of {LINES} connections are still open")
                    return
                time.sleep(0.5)

    def silent_connections(self) -> None:
        """Connect and send nothing, or half a request."""
        with self._lines(LINES) as lines:
            for line in lines[::2]:
                line.sendall(GET)
            for line in lines:
                line.settimeout(PATIENCE_S)
                self._until_closed(line, "silent connections")

    def broken_connections(self) -> None:
        """Reset connections in the middle of a request."""
        with self._lines(LINES) as lines:
            for line in lines:
                line.sendall(GET[: self._random.randrange(len(GET))])
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def huge_headers(self) -> None:
        self._exchange(GET + b"X-Large: " + b"a" * (1 << 20) + b"\r\n\r\n")

    def many_headers(self) -> None:
        self._exchange(GET + b"".join(b"X-%d: a\r\n" % number for number in range(2000)) + b"\r\n")

    def body_without_key(self) -> None:
        """Announce 60 MB without a key, and send as much as is taken."""
        with self._lines(1) as [line]:
            line.settimeout(5)
            with suppress(OSError):
                line.sendall(POST + b"Content-Length: 60000000\r\n\r\n")
                for _ in range(60):
                    line.sendall(bytes(1_000_000))
            self._read_status(line)

    def unknown_keys(self) -> None:
        with httpx.Client(base_url=self._url, trust_env=False, timeout=30) as http:
            for _ in range(20):
                headers = {"Authorization": f"Bearer tp_{self._random.getrandbits(32):08x}_{os.urandom(24).hex()}"}
                with suppress(httpx.HTTPError):
                    self._tally.answer(HOSTILE, http.get("/v1/jobs", headers=headers).status_code)

    def junk(self) -> None:
        self._exchange(os.urandom(self._random.choice((1, 100, 10_000, 100_000))))

    def pipeline(self) -> None:
        self._exchange((GET + b"\r\n") * 200)

    def grpc_without_key(self) -> None:
        """Send a message of 16 MB without a key, and one with an unknown key."""
        request = messages.ModelInferRequest(model_name="echo")
        request.inputs.add(name="x", datatype="FP32", shape=[2_000_000, 2])
        request.raw_input_contents.append(bytes(16_000_000))
        with grpc.insecure_channel(self._grpc) as channel:
            for metadata in ((), (("authorization", f"Bearer {os.urandom(8).hex()}"),)):
                try:
                    GRPCInferenceServiceStub(channel).ModelInfer(request, metadata=metadata, timeout=15)
                except grpc.RpcError as error:
                    self._tally.answer(HOSTILE, error.code().name)  # type: ignore[attr-defined]

    def junk_to_grpc(self) -> None:
        host, _, port = self._grpc.partition(":")
        for data in (os.urandom(1000), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + os.urandom(1000), GET + b"\r\n"):
            with suppress(OSError), socket.create_connection((host, int(port)), timeout=3) as line:
                line.sendall(data)
                line.recv(4096)

    def odd_requests(self) -> None:
        """Send unusual and slightly malformed HTTP requests."""
        for head in (
            b"GET /v1/jobs/%00 HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /v1/jobs/" + b"a" * 8000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET http://example.com/v1/me HTTP/1.1\r\nHost: x\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
            b"BREW /livez HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET /livez HTTP/1.1\r\n\r\n",
            b"GET /docs/../v1/me HTTP/1.0\r\n\r\n",
            POST + b"Content-Length: -1\r\n\r\n",
            POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
            POST + b"Expect: 100-continue\r\nContent-Length: 9999999999\r\n\r\n",
            GET + b"Upgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            GET + b"Authorization: Bearer \xff\xfe\r\n\r\n",
        ):
            self._exchange(head)

    def _exchange(self, data: bytes) -> None:
        with self._lines(1) as [line]:
            line.settimeout(5)
            with suppress(OSError):
                line.sendall(data)
            self._read_status(line)

    def _read_status(self, line: socket.socket) -> None:
        with suppress(OSError):
            answer = line.recv(4096)
            if answer.startswith(b"HTTP/1.1 "):
                self._tally.answer(HOSTILE, answer[9:12].decode())

    def _until_closed(self, line: socket.socket, name: str) -> None:
        try:
            while answer := line.recv(4096):
                if answer.startswith(b"HTTP/1.1 "):
                    self._tally.answer(HOSTILE, answer[9:12].decode())
        except TimeoutError:
            self._tally.problem(name, f"a connection is still open after {PATIENCE_S:.0f} s")
        except OSError:
            return

    @contextmanager
    def _lines(self, count: int) -> Iterator[list[socket.socket]]:
        with ExitStack() as stack:
            lines = [socket.create_connection(self._address, timeout=10) for _ in range(count)]
            for line in lines:
                stack.callback(line.close)
            yield lines
