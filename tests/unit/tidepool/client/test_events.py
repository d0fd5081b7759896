import json

import pytest

from tidepool.client.events import events_in


def sent(number: int, kind: str = "log", **data: object) -> bytes:
    body = json.dumps({"at": "2026-01-01T00:00:00Z", "data": data}, ensure_ascii=False)
    return f"id: {number}\r\nevent: {kind}\r\ndata: {body}\r\n\r\n".encode()


STREAM = sent(1, "state", state="queued") + b": ping - now\r\n\r\n" + sent(2, message="ü\u2028\x85: , id: 7")


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_events_come_whole_however_the_stream_is_cut(size: int) -> None:
    chunks = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]

    first, second = events_in(chunks)

    assert (first.id, first.kind, first.data) == (1, "state", {"state": "queued"})
    assert (second.id, second.kind, second.data) == (2, "log", {"message": "ü\u2028\x85: , id: 7"})


def test_an_event_that_is_cut_off_is_none() -> None:
    assert [event.id for event in events_in([STREAM, sent(3)[:-1]])] == [1, 2]


def test_an_empty_stream_has_no_events() -> None:
    assert list(events_in([])) == []
