"""Many files, several requests at once"""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from contract.jobs import JobError
from contract.predictions import ImageResult, Prediction
from tidepool.cli import classify as module
from tidepool.cli.classify import BATCH, FileResult, classify_files


def label(image: bytes) -> ImageResult:
    return ImageResult(predictions=(Prediction(label=image.decode(), score=1.0),))


def files(count: int, content: bytes | None = None) -> list[Path]:
    paths = [Path(f"{number:03}.jpg") for number in range(count)]
    for path in paths:
        path.write_bytes(content or path.stem.encode())
    return paths


def labels(results: Sequence[FileResult]) -> list[str | None]:
    return [result.predictions[0].label if result.predictions else None for result in results]


def test_results_have_the_order_of_the_files_however_long_requests_take() -> None:
    delays, threads = iter([0.2, 0.0] * 10), set()

    def slowly(images: Sequence[bytes]) -> list[ImageResult]:
        threads.add(threading.current_thread())
        time.sleep(next(delays))
        return [label(image) for image in images]

    paths = files(5 * BATCH + 3)

    assert labels(list(classify_files(paths, slowly))) == [path.stem for path in paths]
    assert len(threads) > 1


def test_results_arrive_while_others_are_worked_on() -> None:
    waiting = threading.Event()

    def wait_for_the_reader(images: Sequence[bytes]) -> list[ImageResult]:
        if images[0] != b"000":
            assert waiting.wait(10)
        return [label(image) for image in images]

    results = classify_files(files(20 * BATCH), wait_for_the_reader)

    assert next(results).path == "000.jpg"
    waiting.set()
    assert len(list(results)) == 20 * BATCH - 1


def test_large_images_go_alone() -> None:
    sizes = []

    def count(images: Sequence[bytes]) -> list[ImageResult]:
        sizes.append(len(images))
        return [ImageResult(predictions=()) for _ in images]

    list(classify_files(files(3, bytes(module.BATCH_BYTES // 2 + 1)), count))

    assert sizes == [1, 1, 1]


def test_files_that_cannot_be_read_do_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1 << 20)
    paths = [*files(2), Path("folder"), Path("missing.jpg"), Path("large.jpg")]
    Path("folder").mkdir()
    Path("large.jpg").write_bytes(bytes((1 << 20) + 1))

    results = list(classify_files(paths, lambda images: [label(image) for image in images]))

    assert labels(results) == ["000", "001", None, None, None]
    assert [result.error.code for result in results if result.error] == ["unreadable", "unreadable", "too_large"]


def test_only_images_that_failed_for_a_passing_reason_are_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0)
    requests: list[list[bytes]] = []

    def overloaded(images: Sequence[bytes]) -> list[ImageResult]:
        requests.append(list(images))
        error = "bad_image" if len(requests) == 1 else "overloaded"
        return [label(images[0]), *(ImageResult(error=JobError(code=error, message="…")) for _ in images[1:])]

    first = list(classify_files(files(2), overloaded))
    second = list(classify_files(files(3), overloaded))

    assert labels(first) == ["000", None]
    assert labels(second) == ["000", "001", "002"]
    assert requests[1:] == [[b"000", b"001", b"002"], [b"001", b"002"], [b"002"]]


def test_an_error_of_the_whole_request_ends_it() -> None:
    def fail(images: Sequence[bytes]) -> list[ImageResult]:
        raise LookupError("no such model")

    with pytest.raises(LookupError):
        list(classify_files(files(100), fail))


def test_a_path_that_is_not_text_can_be_shown() -> None:
    assert module.printable(Path("caf\udce9.jpg")) == "caf\ufffd.jpg"
