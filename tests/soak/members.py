"""Well-behaved clients: short requests of every kind, and the neighbour whose latency is measured."""

import time
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import numpy as np
import tritonclient.http as triton

from services.gateway.oip.proto import inference_pb2 as messages
from services.gateway.oip.proto.inference_pb2_grpc import GRPCInferenceServiceStub
from tests.soak.deployment import Deployment, Project
from tests.soak.tally import Tally
from tests.support.images import png

BUSY = {429, 503, 504}  # answers that any client may get on a busy machine
MEMBER, NEIGHBOUR = "member", "neighbour"


class Failed(Exception):
    """A request did not succeed; it has been counted."""


class Member:
    """A client of one project that counts its answers, and notes those that it did not expect."""

    def __init__(self, deployment: Deployment, project: Project, tally: Tally, sender: str = MEMBER) -> None:
        self.project = project
        self.tally = tally
        self._sender = sender
        self._http = deployment.http(project.key)
        self._channel = grpc.insecure_channel(deployment.grpc)
        self._stub = GRPCInferenceServiceStub(self._channel)

    def send(self, method: str, path: str, *expected: int, **arguments: Any) -> httpx.Response:
        """Return the response, which has one of the expected statuses; raises Failed."""
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            self.tally.problem(f"{method} {path}", f"{type(error).__name__} {error}")
            raise Failed from error
        self.tally.answer(self._sender, response.status_code)
        if response.status_code not in (expected or (200, 201, 202, 204)):
            if response.status_code not in BUSY:
                self.tally.problem(f"{method} {path}", f"{response.status_code} {response.text}")
            raise Failed
        return response

    def events(self, job: str) -> None:
        """Read the events of a job until it has ended."""
        try:
            with self._http.stream("GET", f"/v1/jobs/{job}/events", timeout=120) as response:
                self.tally.answer(self._sender, response.status_code)
                for _ in response.iter_lines():
                    pass
        except httpx.HTTPError as error:
            self.tally.problem("events", f"{type(error).__name__} {error}")
            raise Failed from error

    def close(self) -> None:
        self._http.close()
        self._channel.close()

    # Short requests

    def classify(self) -> None:
        self.send("POST", "/v1/models/steady/predict", content=_image(), headers={"Content-Type": "image/png"})

    def classify_several(self) -> None:
        self.send("POST", "/v1/models/steady/predict?top_k=3", files=[("image", ("i.png", _image()))] * 4)

    def infer_json(self) -> None:
        tensor = {"name": "x", "shape": [2], "datatype": "INT64", "data": [0, 3]}
        self.send("POST", "/v2/models/lookup/infer", json={"inputs": [tensor]})

    def infer_binary(self) -> None:
        tensor = triton.InferInput("x", [64, 2], "FP32")
        tensor.set_data_from_numpy(np.ones((64, 2), np.float32))
        body, length = triton.InferenceServerClient.generate_request_body([tensor])
        headers = {"Inference-Header-Content-Length": str(length), "Content-Type": "application/octet-stream"}
        self.send("POST", "/v2/models/echo/infer", content=body, headers=headers)

    def infer_grpc(self) -> None:
        request = messages.ModelInferRequest(model_name="echo")
        request.inputs.add(name="x", datatype="FP32", shape=[1, 2])
        request.raw_input_contents.append(np.ones((1, 2), np.float32).tobytes())
        metadata = (("authorization", f"Bearer {self.project.key}"),)
        try:
            self._stub.ModelInfer(request, metadata=metadata, timeout=15)
        except grpc.RpcError as error:
            code = error.code().name  # type: ignore[attr-defined]
            self.tally.answer(self._sender, code)
            if code not in {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}:
                self.tally.problem("ModelInfer", f"{code} {error.details()}")  # type: ignore[attr-defined]
        else:
            self.tally.answer(self._sender, "OK")

    def list_pages(self) -> None:
        """Read up to three short pages of every list."""
        for path in ("/v1/jobs", "/v1/datasets", "/v1/models", "/v1/backbones", "/v1/audit"):
            cursor: dict[str, str] = {}
            for _ in range(3):
                page = self.send("GET", path, params={"limit": 3, **cursor}).json()
                if page["next"] is None:
                    break
                cursor = {"cursor": page["next"]}

    def look_around(self) -> None:
        for path in (
            "/v1/me",
            "/v1/keys",
            "/v1/pools",
            "/v1/usage",
            "/v1/models/steady",
            "/v2/models/steady",
            "/livez",
        ):
            self.send("GET", path)

    def use_a_key_once(self) -> None:
        """Make a key, use it, revoke it; within a second it must be refused."""
        key = self.send("POST", "/v1/keys", json={"name": "soak-short", "role": "viewer"}).json()
        headers = {"Authorization": f"Bearer {key['secret']}"}
        self.send("GET", "/v1/me", headers=headers)
        self.send("DELETE", f"/v1/keys/{key['id']}")
        time.sleep(1.1)
        self.send("GET", "/v1/me", 401, headers=headers)

    def short_work(self) -> dict[str, tuple[float, Callable[[], None]]]:
        """Return the seconds between two turns of each kind of short request, and the kind."""
        return {
            "classify": (1.0, self.classify),
            "classify several": (3.0, self.classify_several),
            "OIP JSON": (2.0, self.infer_json),
            "OIP binary": (2.0, self.infer_binary),
            "OIP gRPC": (2.0, self.infer_grpc),
            "lists": (10.0, self.list_pages),
            "look around": (7.0, self.look_around),
            "short-lived key": (20.0, self.use_a_key_once),
        }


class Neighbour(Member):
    """Classifies one image after the other, and measures how long that takes."""

    def __init__(self, deployment: Deployment, project: Project, tally: Tally) -> None:
        super().__init__(deployment, project, tally, NEIGHBOUR)

    def classify(self) -> None:
        began = time.monotonic()
        super().classify()
        self.tally.latency(time.monotonic() - began)


def _image() -> bytes:
    return png(height=8, width=6)
