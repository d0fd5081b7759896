"""Messages as bytes and back."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.artifacts import Bucket, ObjectRef
from contract.errors import Malformed
from contract.jobs import JobError
from contract.predictions import ImageResult, PredictCall, Prediction, PredictReply
from runtime.codec import decode, encode

CALL = PredictCall(
    model="cifar-cnn",
    version=3,
    artifact=ObjectRef(bucket=Bucket.JOBS, key="j/attempts/1/model.onnx", size=9, sha256="0" * 64),
    top_k=2,
    images=(b"\xff\xd8\x00raw", b"", bytes(range(256))),
)


def test_a_call_comes_back_equal() -> None:
    assert decode(PredictCall, encode(CALL)) == CALL


def test_a_reply_comes_back_equal() -> None:
    reply = PredictReply(
        results=(
            ImageResult(predictions=(Prediction(label="chat·猫", score=0.1 + 0.2), Prediction(label="dog", score=0.0))),
            ImageResult(error=JobError(code="bad_image", message="not a picture")),
        ),
        inference_ms=1.25,
        provider="CPUExecutionProvider",
    )

    assert decode(PredictReply, encode(reply)) == reply


def test_pictures_travel_as_raw_bytes() -> None:
    picture = bytes(range(256)) * 40

    encoded = encode(CALL.model_copy(update={"images": (picture,)}))

    assert picture in encoded
    assert len(encoded) < len(picture) + 300


@given(st.binary(max_size=200))
def test_garbage_is_malformed(garbage: bytes) -> None:
    with pytest.raises(Malformed):
        decode(PredictCall, garbage)


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_cut_message_is_malformed(cut: int) -> None:
    with pytest.raises(Malformed):
        decode(PredictCall, encode(CALL)[:cut])


@pytest.mark.parametrize(
    "other",
    [
        encode(JobError(code="a", message="b")),
        msgpack.packb(CALL.model_dump() | {"surprise": 1}),
        msgpack.packb(CALL.model_dump() | {"version": 0}),
        msgpack.packb({1: 2}),
        msgpack.packb([[]] * 9),
    ],
)
def test_another_message_is_malformed(other: bytes) -> None:
    with pytest.raises(Malformed):
        decode(PredictCall, other)
