"""The messages of online inference: a batch of questions for one model version, and its reply.

They are msgspec structs for speed: every request passes through them. A message that breaks a bound is dropped.
"""

from typing import Annotated

from msgspec import Meta, Struct

from contract.base import NAME_PATTERN

ModelName = Annotated[str, Meta(pattern=NAME_PATTERN)]
Id = Annotated[str, Meta(max_length=256)]
LARGEST_ANSWER = 64 << 20  # bytes of the outputs in a reply: Redis holds them until the gateway takes them
MOST_QUESTIONS = 1 << 16  # of a batch; gateways send far fewer


class Tensor(Struct, frozen=True, array_like=True):
    """A tensor with a data type of the Open Inference Protocol; `data` is row-major and little-endian.

    Each BYTES element is preceded by its length as an unsigned 32-bit integer.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: bytes


class EncodedImage(Struct, frozen=True, array_like=True, tag=True):
    """An encoded image as the client sent it; requests its `top_k` best classes.

    With `copy`, a copy without metadata comes back, too; replicas of older releases ignore it.
    """

    file: bytes
    top_k: int = 1
    copy: bool = False


class Tensors(Struct, frozen=True, array_like=True, tag=True):
    """Inputs of any model; requests the named outputs, or all if none is named."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...] = ()


class Scores(Struct, frozen=True, array_like=True, tag=True):
    """An image's best classes, best first, each with its softmax probability.

    `margin` is the best probability minus the second best one, whatever was asked for; replicas of older releases do
    not send it. If a copy was asked for, `entropy` is that of all classes in nats, and `copy` the image upright and
    without metadata, if it can be made.
    """

    best: tuple[tuple[str, float], ...]
    margin: float | None = None
    entropy: float | None = None
    copy: bytes = b""


class Outputs(Struct, frozen=True, array_like=True, tag=True):
    """The outputs for Tensors, in the requested order."""

    tensors: tuple[Tensor, ...]


class Failure(Struct, frozen=True, array_like=True, tag=True):
    """Why a question has no answer; `code` is that of an error in contract.errors."""

    code: str
    message: str


Payload = EncodedImage | Tensors
Answer = Scores | Outputs | Failure


class Question(Struct, frozen=True, array_like=True):
    """One request's part of a batch; after `deadline` (Unix time, seconds) no client waits for it.

    `traceparent` is set if the request is traced. Replicas of older releases ignore it.
    """

    payload: Payload
    deadline: float
    request_id: str
    traceparent: str = ""


class Artifact(Struct, frozen=True, array_like=True):
    """The ONNX file of a version: an ObjectRef without validation."""

    bucket: str
    key: str
    size: int
    sha256: str


class Target(Struct, frozen=True, array_like=True):
    """The model version of a question; `batched` if the first axis is a batch, which questions may share.

    `artifact` is the file of `variant`.
    """

    model: ModelName
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    artifact: Artifact
    batched: bool = True
    variant: str = "fp32"
    project: ModelName = "default"

    @property
    def label(self) -> str:
        """The model's name in metrics, with the project unless it is the default one."""
        return self.model if self.project == "default" else f"{self.project}/{self.model}"


class Batch(Struct, frozen=True, array_like=True):
    """Questions for one version; the reply goes to the list `reply_to`."""

    id: Id
    reply_to: Id
    target: Target
    questions: Annotated[tuple[Question, ...], Meta(max_length=MOST_QUESTIONS)]


class Reply(Struct, frozen=True, array_like=True):
    """Answers in the order of the batch's questions, and the execution provider that computed them.

    `max_batch` is the largest batch that the replica runs this version with.
    """

    id: Id
    answers: Annotated[tuple[Answer, ...], Meta(max_length=MOST_QUESTIONS)]
    inference_ms: Annotated[float, Meta(ge=0, le=1e9)]
    provider: Annotated[str, Meta(max_length=256)]
    max_batch: Annotated[int, Meta(ge=0)]
