"""The messages of the online path: a batch of questions for one model version, and the one reply that answers it.

They are msgspec structs, since every request passes through them.
"""

from msgspec import Struct


class Tensor(Struct, frozen=True, array_like=True):
    """A tensor with a data type of the Open Inference Protocol; `data` is row-major and little-endian.

    BYTES elements each have their length before them, as an unsigned 32-bit number.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: bytes


class EncodedImage(Struct, frozen=True, array_like=True, tag=True):
    """An encoded picture as the client sent it; asks for its `top_k` best classes."""

    file: bytes
    top_k: int = 1


class Tensors(Struct, frozen=True, array_like=True, tag=True):
    """Inputs of any model; asks for the named outputs, or for all where none is named."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...] = ()


class Scores(Struct, frozen=True, array_like=True, tag=True):
    """A picture's best classes, best first, each with its softmax probability."""

    best: tuple[tuple[str, float], ...]


class Outputs(Struct, frozen=True, array_like=True, tag=True):
    """What a model made of Tensors, in the order asked for."""

    tensors: tuple[Tensor, ...]


class Failure(Struct, frozen=True, array_like=True, tag=True):
    """Why one question has no answer, by the code of an error of contract.errors."""

    code: str
    message: str


Payload = EncodedImage | Tensors
Answer = Scores | Outputs | Failure


class Question(Struct, frozen=True, array_like=True):
    """One request's part of a batch; after `deadline` (Unix time, seconds) nobody waits for it."""

    payload: Payload
    deadline: float
    request_id: str


class Artifact(Struct, frozen=True, array_like=True):
    """The ONNX file of a version: an ObjectRef without its checks."""

    bucket: str
    key: str
    size: int
    sha256: str


class Target(Struct, frozen=True, array_like=True):
    """The model version that a question is for; `batched` if the first axis is a batch, which questions may share."""

    model: str
    version: int
    artifact: Artifact
    batched: bool = True


class Batch(Struct, frozen=True, array_like=True):
    """Questions for one version; the reply goes to the list `reply_to`."""

    id: str
    reply_to: str
    target: Target
    questions: tuple[Question, ...]


class Reply(Struct, frozen=True, array_like=True):
    """Answers in the order of the batch's questions, and who computed them.

    `max_batch` is the largest batch that the replica runs this version on at once.
    """

    id: str
    answers: tuple[Answer, ...]
    inference_ms: float
    provider: str
    max_batch: int
