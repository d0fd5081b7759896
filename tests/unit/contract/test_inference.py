"""Gateways and replicas of different releases understand each other's batches."""

import msgspec
from msgspec import Struct

from contract.inference import Artifact, Batch, EncodedImage, Payload, Question, Target

TARGET = Target("pets", 1, Artifact("jobs", "key", 1, "0" * 64))


class OldQuestion(Struct, frozen=True, array_like=True):
    """A question before requests were traced."""

    payload: Payload
    deadline: float
    request_id: str


class OldBatch(Struct, frozen=True, array_like=True):
    id: str
    reply_to: str
    target: Target
    questions: tuple[OldQuestion, ...]


def test_a_replica_of_an_older_release_ignores_the_trace_of_a_question() -> None:
    batch = Batch("1", "gateway", TARGET, (Question(EncodedImage(b"x"), 1.0, "r", "00-…"),))

    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(batch), type=OldBatch)

    assert decoded.questions == (OldQuestion(EncodedImage(b"x"), 1.0, "r"),)


def test_a_question_of_an_older_gateway_has_no_trace() -> None:
    batch = OldBatch("1", "gateway", TARGET, (OldQuestion(EncodedImage(b"x"), 1.0, "r"),))

    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(batch), type=Batch)

    assert decoded.questions == (Question(EncodedImage(b"x"), 1.0, "r", ""),)
