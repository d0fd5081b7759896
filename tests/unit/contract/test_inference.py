"""Gateways and replicas of different releases understand each other's batches."""

import msgspec
from msgspec import Struct

from contract.inference import (
    Answer,
    Artifact,
    Batch,
    EncodedImage,
    Failure,
    Outputs,
    Payload,
    Question,
    Reply,
    Scores,
    Target,
)

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


class OldScores(Struct, frozen=True, array_like=True, tag="Scores"):
    """Scores before replicas sent margin and entropy."""

    best: tuple[tuple[str, float], ...]


class OldReply(Struct, frozen=True, array_like=True):
    id: str
    answers: tuple[OldScores | Outputs | Failure, ...]
    inference_ms: float
    provider: str
    max_batch: int


def test_a_gateway_of_an_older_release_ignores_margin_and_entropy() -> None:
    answers: tuple[Answer, ...] = (Scores((("cat", 0.5),), 0.25, 0.7), Failure("bad_image", "damaged"))

    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(Reply("1", answers, 1.0, "cpu", 8)), type=OldReply)

    assert decoded.answers == (OldScores((("cat", 0.5),)), Failure("bad_image", "damaged"))


def test_the_scores_of_an_older_replica_have_no_margin_and_no_entropy() -> None:
    reply = OldReply("1", (OldScores((("cat", 0.5),)),), 1.0, "cpu", 8)

    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=Reply)

    assert decoded.answers == (Scores((("cat", 0.5),), None, None),)
