"""Hostile senders with a key: bombs, endless models, streams that are never read, requests that are cancelled."""

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
import tritonclient.http as triton

from tests.soak.deployment import ENDED, MAX_STREAMS, REPLICAS, Deployment, Project, publish
from tests.soak.strangers import HOSTILE
from tests.soak.tally import Tally
from tests.support.images import png, png_header, zipped
from tests.support.onnx_graphs import loop

STORE = "object store"  # its answers are counted, and not judged
ENDLESS = 2**62
STOPS = 3 * REPLICAS["inference"]  # a replica quarantines a version after three runs in a row that it had to stop


class Insiders:
    """Attacks with the keys of one project; what they make is deleted."""

    def __init__(self, deployment: Deployment, project: Project, tally: Tally) -> None:
        self._project, self._tally = project, tally
        self._address = (deployment.host, deployment.port)
        self._http = deployment.http(project.hostile_key)
        self._predict = deployment.http(project.predict_key)

    def close(self) -> None:
        self._http.close()
        self._predict.close()

    def work(self) -> dict[str, tuple[float, Callable[[], None]]]:
        """Return the seconds between two turns of each attack, and the attack."""
        return {
            "zip bombs": (90.0, self.zip_bombs),
            "deep JSON": (7.0, self.deep_json),
            "endless model": (150.0, self.endless_model),
            "image bombs": (7.0, self.image_bombs),
            "wrong tensors": (5.0, self.wrong_tensors),
            "large tensors": (20.0, self.large_tensors),
            "too many streams": (40.0, self.too_many_streams),
            "cancelled requests": (5.0, self.cancelled_requests),
            "slow body": (60.0, self.slow_body),
            "oversized presigned PUT": (30.0, self.oversized_put),
            "bad parameters": (10.0, self.bad_parameters),
            "scopes it lacks": (10.0, self.scopes_it_lacks),
            "jobs that fail": (60.0, self.jobs_that_fail),
        }

    def zip_bombs(self) -> None:
        """Upload archives that inflate to much more than they are."""
        with TemporaryDirectory() as folder:
            huge = zipped(Path(folder) / "huge.zip", {"cat/a.png": bytes(60 << 20), "dog/b.png": bytes(60 << 20)})
            many = zipped(
                Path(folder) / "many.zip", {f"cat/{number}.png": png_header(60_000, 60_000) for number in range(200)}
            )
            for file in (huge.read_bytes(), many.read_bytes(), b"PK\x03\x04 no zip"):
                job = self._send("POST", "/v1/datasets/bomb/versions", files={"archive": ("bomb.zip", file)})
                self._end_of(job)

    def deep_json(self) -> None:
        headers = {"Content-Type": "application/json"}
        for path in ("/v1/jobs", "/v2/models/lookup/infer"):
            for body in (b"[" * 100_000, b'{"a":' * 50_000, b"[" * 50_000 + b"]" * 50_000, b"1" * 100_000, b"{\xff}"):
                response = self._send("POST", path, content=body, headers=headers)
                if response is not None and not 400 <= response.status_code < 500 and response.status_code != 503:
                    self._tally.problem("deep JSON", f"{path}: {response.status_code}")

    def endless_model(self) -> None:
        """Publish a model whose loop does not end, run it until it is quarantined, and delete it."""
        name = "endless"
        try:
            version = publish(self._http, name, loop())["result"]["model"].rpartition("@")[2]
        except (RuntimeError, httpx.HTTPError) as error:
            self._tally.problem("endless model", str(error))
            return
        tensors = [
            {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 1]},
            {"name": "rounds", "shape": [], "datatype": "INT64", "data": [ENDLESS]},
        ]
        for _ in range(STOPS):
            response = self._send("POST", f"/v2/models/{name}/infer", json={"inputs": tensors}, timeout=60)
            if response is not None and response.status_code == 409:
                break
        else:
            self._tally.problem("endless model", "it was not quarantined")
        self._send("DELETE", f"/v1/models/{name}/versions/{version}")

    def image_bombs(self) -> None:
        for image in (
            png_header(60_000, 60_000),
            png(1)[:200],
            b"GIF89a" + bytes(5000),
            b"\xff\xd8\xff" + bytes(100_000),
        ):
            self._send("POST", "/v1/models/steady/predict", self._predict, content=image)

    def wrong_tensors(self) -> None:
        for tensor in (
            {"name": "x", "shape": [2], "datatype": "INT64", "data": [0]},
            {"name": "x", "shape": [-1], "datatype": "INT64", "data": []},
            {"name": "x", "shape": [2**62, 2**62], "datatype": "INT64", "data": [1]},
            {"name": "x", "shape": [1], "datatype": "INT64", "data": [2**70]},
            {"name": "x", "shape": [1], "datatype": "INT64", "data": [1000]},  # beyond the table
            {"name": "x", "shape": [1], "datatype": "BYTES", "data": ["a"]},
            {"name": "y", "shape": [1], "datatype": "FP99", "data": ["a"]},
        ):
            self._send("POST", "/v2/models/lookup/infer", self._predict, json={"inputs": [tensor]})
        headers = {"Inference-Header-Content-Length": "999999", "Content-Type": "application/octet-stream"}
        self._send("POST", "/v2/models/lookup/infer", self._predict, content=b"{}", headers=headers)

    def large_tensors(self) -> None:
        """Send and receive 24 MB through the lanes and Redis."""
        tensor = triton.InferInput("x", [3 << 20, 2], "FP32")
        tensor.set_data_from_numpy(np.zeros((3 << 20, 2), np.float32))
        body, length = triton.InferenceServerClient.generate_request_body([tensor])
        headers = {"Inference-Header-Content-Length": str(length), "Content-Type": "application/octet-stream"}
        self._send("POST", "/v2/models/echo/infer", self._predict, content=body, headers=headers)

    def too_many_streams(self) -> None:
        """Open more event streams than a key may have, of a job that ends soon, and do not read them."""
        job = self._send("POST", "/v1/jobs", json=_training())
        if job is None or not job.is_success:
            return
        path, statuses = f"/v1/jobs/{job.json()['id']}/events", []
        with ExitStack() as stack:
            for _ in range(MAX_STREAMS + 10):
                with suppress(httpx.HTTPError):
                    stream = stack.enter_context(self._http.stream("GET", path, timeout=10))
                    statuses.append(stream.status_code)
                    self._tally.answer(HOSTILE, stream.status_code)
            time.sleep(2)
        self._send("POST", f"/v1/jobs/{job.json()['id']}/cancel")
        self._end_of(job)

    def cancelled_requests(self) -> None:
        """Close connections before the answer, and in the middle of the body."""
        image, key = png(3, 64, 64), self._project.predict_key
        head = (
            f"POST /v1/models/steady/predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: image/png\r\nContent-Length: {len(image)}\r\n\r\n"
        ).encode()
        for sent in (head + image, head + image[:100], head + image, head):
            with suppress(OSError), socket.create_connection(self._address, timeout=5) as line:
                line.sendall(sent)
                time.sleep(0.001)

    def slow_body(self) -> None:
        """Send a body one byte a second until the gateway ends it."""
        head = (
            f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self._project.hostile_key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        ).encode()
        with suppress(OSError), socket.create_connection(self._address, timeout=5) as line:
            line.sendall(head)
            for _ in range(45):
                line.sendall(b" ")
                line.settimeout(1)
                try:
                    answer = line.recv(4096)
                except TimeoutError:
                    continue
                if answer.startswith(b"HTTP/1.1 "):
                    self._tally.answer(HOSTILE, answer[9:12].decode())
                return
            self._tally.problem("slow body", "the connection is still open after 45 s")

    def oversized_put(self) -> None:
        """Announce a small file and put a large one at its URL."""
        announced = self._send("POST", "/v1/uploads", json={"filename": "a.zip", "size": 1000})
        if announced is None or not announced.is_success:
            return
        url, upload = announced.json()["url"], announced.json()["id"]
        with suppress(httpx.HTTPError):
            stored = httpx.put(url, content=bytes(5_000_000), trust_env=False, timeout=30)
            self._tally.answer(STORE, stored.status_code)
            if stored.is_success:
                self._tally.problem("oversized PUT", "the object store took it")
        completed = self._send("POST", f"/v1/uploads/{upload}/complete")
        if completed is not None and completed.is_success:
            self._tally.problem("oversized PUT", "the upload was completed")

    def bad_parameters(self) -> None:
        for path in (
            "/v1/jobs?cursor=garbage",
            "/v1/jobs?cursor=AAAA%00",
            "/v1/jobs?limit=-1",
            "/v1/jobs?limit=99999999999999999999999",
            "/v1/jobs/" + "0" * 3000,
            "/v1/models/a%2Fb",
            "/v1/models/steady/versions/99999999999999999999",
            "/v1/datasets/%F0%9F%98%80/versions/1",
            "/v1/audit?since=never",
            "/v1/usage?since=9999-12-31T23:59:59Z",
            "/v1/pools/none/history",
        ):
            self._send("GET", path)
        for body in (
            {},
            [],
            None,
            {"kind": "train"},
            {"kind": "x" * 5000},
            {"kind": "train", "spec": {"dataset": "\0"}},
        ):
            self._send("POST", "/v1/jobs", json=body)
        self._send("POST", "/v1/keys", json={"name": "x" * 10_000, "scopes": ["admin"]})

    def scopes_it_lacks(self) -> None:
        """Use a key of scope predict for everything else; each must be a 403, and another project's things a 404."""
        for method, path in (
            ("GET", "/v1/jobs"),
            ("GET", "/v1/audit"),
            ("POST", "/v1/jobs"),
            ("DELETE", "/v1/models/steady/versions/1"),
            ("PATCH", "/v1/pools/trainer"),
            ("POST", "/v1/projects"),
        ):
            response = self._send(method, path, self._predict)
            if response is not None and response.status_code not in (401, 403, 422, 503):
                self._tally.problem("scopes", f"{method} {path}: {response.status_code}")

    def jobs_that_fail(self) -> None:
        """Train on a data set that does not exist, and predict with what is no archive."""
        self._send("POST", "/v1/jobs", json=_training("no-such-data"))
        file = {"archive": ("a.zip", BytesIO(b"no archive at all"))}
        self._end_of(self._send("POST", "/v1/datasets/bad/versions", files=file))

    def _end_of(self, job: httpx.Response | None) -> None:
        """Wait for the end of a job, for at most two minutes."""
        if job is None or not job.is_success:
            return
        state, deadline = job.json()["state"], time.monotonic() + 120
        while state not in ENDED and time.monotonic() < deadline:
            response = self._send("GET", f"/v1/jobs/{job.json()['id']}", params={"wait": 20})
            state = response.json().get("state") if response is not None else state
        if state not in ENDED:
            self._tally.problem("hostile job", f"{job.json()['kind']} is still {state} after two minutes")

    def _send(
        self, method: str, path: str, http: httpx.Client | None = None, **arguments: Any
    ) -> httpx.Response | None:
        try:
            response = (http or self._http).request(method, path, **arguments)
        except httpx.HTTPError:
            self._tally.answer(HOSTILE, "no answer")
            return None
        self._tally.answer(HOSTILE, response.status_code)
        return response


def _training(dataset: str = "soak") -> dict[str, Any]:
    return {
        "kind": "train",
        "spec": {"dataset": dataset, "model": "hostile", "architecture": {"name": "cnn"}, "epochs": 50},
    }
