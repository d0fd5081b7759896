"""A replica for the tests of online predictions; the content of a question selects its behaviour."""

import os
import time
from pathlib import Path

from contract.errors import BadImage
from contract.inference import Answer, EncodedImage, Failure, Question, Scores, Target
from messaging.answering import BatchAnswers, BatchHandler
from services.storage.stores import Stores
from worker.replica import serve

COMPUTED: list[str] = []


def respond(_: Target, questions: tuple[Question, ...]) -> BatchAnswers:
    """Answer with the file reversed; the words in `_answer` select other behaviour."""
    return BatchAnswers([_answer(question) for question in questions], 1.0, "echo", 8)


def _answer(question: Question) -> Answer:
    assert isinstance(question.payload, EncodedImage)
    text = question.payload.file.decode()
    word, _, rest = text.partition(" ")
    if word == "raise":
        raise BadImage("the file is damaged")
    if word == "bug":
        raise ZeroDivisionError("secret detail")
    if word == "bad":
        return Failure(BadImage.code, "the file is damaged")
    if word == "computed":
        return Scores(tuple((text, 1.0) for text in COMPUTED))
    if word == "pid":
        return Scores(((str(os.getpid()), 1.0),))
    if word == "until":
        path = Path(rest)
        path.with_name(f"busy-{os.getpid()}").touch()
        wait_for(path)
    COMPUTED.append(text)
    return Scores(((text[::-1], 1.0),))


def wait_for(path: Path) -> None:
    """Return when the file exists, or after 20 seconds."""
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def setup(_: Stores) -> BatchHandler:
    return BatchHandler(respond)


if __name__ == "__main__":
    serve("echo", setup=setup)
