"""A streamed zip is a zip."""

import io
import tempfile
import zipfile
from collections.abc import Iterable

import pytest

from media.archives import zip_stream
from media.archives.zip_stream import ZipStream


def streamed(names: Iterable[str]) -> zipfile.ZipFile:
    out = io.BytesIO()
    with tempfile.TemporaryFile() as directory:
        archive = ZipStream(directory)
        for name in names:
            out.write(archive.entry(name, name.encode()))
        for chunk in (*archive.stored("last.json", io.BytesIO(b"{}")), *archive.end()):
            out.write(chunk)
    return zipfile.ZipFile(out)


@pytest.mark.parametrize("count", [0, 3, 66_000])
def test_every_file_can_be_read(count: int) -> None:
    names = [f"grün/{number}.txt" for number in range(count)]

    archive = streamed(names)

    assert archive.namelist() == [*names, "last.json"]
    assert archive.testzip() is None
    assert archive.read("last.json") == b"{}"


def test_large_offsets_take_zip64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_stream, "_MOST", 100)  # in place of 4 GiB
    names = [f"{number}.txt" for number in range(20)]

    archive = streamed(names)

    assert archive.namelist() == [*names, "last.json"]
    assert archive.testzip() is None
    assert archive.start_dir > 100
