"""Byte ranges of an archive that cover its members."""

import hashlib
from pathlib import Path

import pytest

from contract.artifacts import ByteRange
from worker import windows
from worker.windows import LocalFile, RemoteWindows, Span, hashed, windows_of


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "WINDOW_BYTES", 100)
    monkeypatch.setattr(windows, "MOST_GAP", 10)


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        pytest.param([(0, 30), (30, 60)], [(0, 60)], id="neighbours"),
        pytest.param([(0, 30), (40, 60)], [(0, 60)], id="a small gap"),
        pytest.param([(0, 30), (41, 60)], [(0, 30), (41, 60)], id="a large gap"),
        pytest.param([(0, 60), (60, 110), (110, 120)], [(0, 60), (60, 120)], id="over the size of a window"),
        pytest.param([(5, 205), (205, 210)], [(5, 205), (205, 210)], id="a large member"),
        pytest.param([(0, 30), (300, 300)], [(0, 30)], id="an empty span"),
        pytest.param([(300, 300)], [], id="only empty spans"),
    ],
)
def test_windows_cover_the_spans(spans: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    assert list(windows_of([Span(*span) for span in spans])) == [Span(*span) for span in expected]


def test_each_window_is_fetched_once_when_members_are_read_in_order(tmp_path: Path) -> None:
    data = bytes(range(250))
    (tmp_path / "archive").write_bytes(data)
    spans = [Span(0, 60), Span(60, 90), Span(90, 130), Span(200, 250)]
    ranges = [hashed(tmp_path / "archive", window) for window in windows_of(spans)]
    fetched: list[ByteRange] = []

    def fetch(span: ByteRange) -> bytes:
        fetched.append(span)
        return data[span.start : span.stop]

    remote, local = RemoteWindows(ranges, fetch), LocalFile(tmp_path / "archive")

    for span in spans:
        assert bytes(remote.read(*span)) == bytes(local.read(*span)) == data[span.start : span.stop]
    assert fetched == ranges
    assert all(hashlib.sha256(data[r.start : r.stop]).hexdigest() == r.sha256 for r in ranges)
    local.close()
