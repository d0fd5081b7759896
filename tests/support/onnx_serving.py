"""Serves ONNX models in this process, without a queue, for tests of the Open Inference Protocol."""

import asyncio
import uuid

import onnxruntime as ort

from contract.artifacts import Bucket
from contract.errors import TidepoolError, error_of
from contract.inference import Failure, Payload, Target, Tensors
from contract.jobs import Job
from contract.kinds.train import TrainSpec
from contract.training import TensorSignature
from services.gateway.serving.batching.batcher import Leave
from services.gateway.serving.batching.request import BatchedAnswer, Then
from services.inference.engine.tensors import TensorRunner
from services.inference.engine.watchdog import LimitedSession, watchdog
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.examples import MODEL_MANIFEST, TRAIN_REQUEST
from tests.support.publication import publish

RUN_S = 1.0  # the longest run


class LocalInference:
    """Answers each question with ONNX Runtime, or raises `error` if set."""

    def __init__(self, objects: MemoryObjects) -> None:
        self.targets: list[Target] = []
        self.within_s: list[float] = []
        self.error: TidepoolError | None = None
        self._objects = objects
        self._runners: dict[str, TensorRunner] = {}

    async def ask(self, target: Target, payload: Payload, within_s: float) -> BatchedAnswer:
        self.targets.append(target)
        self.within_s.append(within_s)
        if self.error is not None:
            raise self.error
        assert isinstance(payload, Tensors)
        (answer,) = await asyncio.to_thread(self._runner(target).answer, [payload])
        if isinstance(answer, Failure):
            raise error_of(answer.code, answer.message)
        return BatchedAnswer(answer, 0.0, 0.0, 1, "CPUExecutionProvider")

    def post(self, target: Target, payload: Payload, within_s: float, request_id: str, then: Then) -> Leave:
        async def ask() -> None:
            try:
                then(await self.ask(target, payload, within_s))
            except TidepoolError as error:
                then(error)

        task = asyncio.ensure_future(ask())

        def leave() -> None:
            task.cancel()

        return leave

    async def open(self) -> None:
        return None

    async def ping(self) -> None:
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        return None

    def _runner(self, target: Target) -> TensorRunner:
        key = target.artifact.key
        if key not in self._runners:
            session = session_of(self._objects.content[Bucket(target.artifact.bucket), key])
            self._runners[key] = TensorRunner(LimitedSession(session, watchdog(RUN_S)), target.batched, 8)
        return self._runners[key]


def session_of(file: bytes) -> ort.InferenceSession:
    """A session that does not log errors of bad inputs."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return ort.InferenceSession(file, options, ["CPUExecutionProvider"])


def serve(stores: Stores, name: str, file: bytes) -> Job:
    """Publish an ONNX file as the next version of a model, with the signature that ONNX Runtime reports."""
    session = session_of(file)
    artifact = stores.objects.put(Bucket.JOBS, f"{name}/{uuid.uuid4().hex}/model.onnx", file)
    manifest = {
        "artifact": artifact,
        "batched": all(node.shape[:1] == ["batch"] for node in (*session.get_inputs(), *session.get_outputs())),
        "inputs": tuple(map(_signature, session.get_inputs())),
        "outputs": tuple(map(_signature, session.get_outputs())),
    }
    request = TRAIN_REQUEST.model_copy(update={"spec": TrainSpec(dataset="pets@1", model=name)})
    return publish(stores, request, MODEL_MANIFEST.model_copy(update=manifest))


def _signature(node: ort.NodeArg) -> TensorSignature:
    shape = tuple(-1 if axis is None else axis for axis in node.shape)
    return TensorSignature(name=node.name, dtype=node.type.removeprefix("tensor(").removesuffix(")"), shape=shape)
