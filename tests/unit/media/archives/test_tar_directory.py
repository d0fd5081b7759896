"""A tar is read as a zip is: within limits, with unsafe members rejected alone."""

import io
import struct
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.errors import BadArchive, BadImage
from media.archives.archive import Archive
from media.archives.limits import Limits
from media.archives.places import read_member
from media.archives.rejections import Rejections
from tests.support.images import png

DEFAULT = Limits()
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "GNU": tarfile.GNU_FORMAT, "PAX": tarfile.PAX_FORMAT}


def tarred(path: Path, files: dict[str, bytes], mode: Any = "w:", **options: Any) -> Path:
    with tarfile.open(path, mode, **options) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def opened(path: Path, limits: Limits = DEFAULT, encoding: str | None = None) -> tuple[Archive, dict[str, str]]:
    rejections = Rejections()
    archive = Archive(path, limits, rejections, encoding)
    return archive, {item.file: item.reason for item in rejections.first()}


def resealed(header: bytearray) -> bytes:
    """Return a header with its right checksum."""
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "upload.zip"  # the content decides, not the name


LONG = "a-folder-with-a-long-name/" * 10 + "1.png"
NAMES = ["cat/1.png", "./dog//2.png", "café/猫.png", "d/" + "x" * 90 + ".png"]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_files_are_read_by_clean_names(path: Path, kind: str, mode: str) -> None:
    names = NAMES if kind == "ustar" else [*NAMES, LONG, "猫" * 80 + "/1.png"]
    files = {name: png(seed) for seed, name in enumerate(names)}

    archive, rejected = opened(tarred(path, files, mode, format=FORMATS[kind]))

    clean = [name.removeprefix("./").replace("//", "/") for name in names]
    assert list(archive.names) == clean
    assert [archive.read(name) for name in archive.names] == list(files.values())
    assert not rejected


def test_a_member_can_be_read_from_its_place_alone(path: Path) -> None:
    files = {"cat/1.png": png(1), "dog/2.png": png(2), "dog/empty": b""}
    archive, _ = opened(tarred(path, files))

    for name, content in files.items():
        place = archive.place(name)
        assert read_member(path.read_bytes()[place.start : place.stop], place, DEFAULT) == content


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link; create the archive with --hard-dereference"),
        (tarfile.FIFOTYPE, "not a regular file"),
        (tarfile.CHRTYPE, "not a regular file"),
        (tarfile.BLKTYPE, "not a regular file"),
        (b"Z", "not a regular file"),
    ],
)
def test_links_and_devices_are_rejected(path: Path, kind: bytes, reason: str) -> None:
    with tarfile.open(path, "w:") as archive:
        archive.addfile(special("cat/1.png", kind, "/etc/passwd"))
        archive.addfile(special("ok", tarfile.REGTYPE))

    result, rejected = opened(path)

    assert (result.names, rejected) == (("ok",), {"cat/1.png": reason})


def test_folders_and_clutter_are_ignored(path: Path) -> None:
    tarred(path, {"._cat": b"", "cat/._1.png": b"1", "cat/.DS_Store": b"", "@eaDir/1.png": b"", "cat/1.png": b"2"})
    with tarfile.open(path, "a:") as archive:
        archive.addfile(special("dog/", tarfile.DIRTYPE))

    result, rejected = opened(path)

    assert (result.names, rejected) == (("cat/1.png",), {})
    assert result.ignored.count == 4


def test_bad_names_and_repeated_names_are_rejected(path: Path) -> None:
    with tarfile.open(path, "w:") as archive:
        for name in ["../1.png", "/etc/passwd", "cat/../../x", "a.zip", "ok", "ok", "./ok", ".cats/1.png"]:
            archive.addfile(special(name, tarfile.REGTYPE))

    result, rejected = opened(path)

    assert result.names == ("ok",)
    assert rejected.keys() == {"../1.png", "/etc/passwd", "cat/../../x", "a.zip", "ok", ".cats/1.png"}


def test_a_sparse_file_is_rejected_and_the_next_one_read(path: Path) -> None:
    blocks = 30  # the map needs two more headers
    pieces = [(number * 8192, 512) for number in range(blocks)]
    header = bytearray(tarfile.TarInfo("sparse.png").tobuf(tarfile.GNU_FORMAT))
    header[156:157], header[124:136] = b"S", b"%011o\0" % (blocks * 512)
    octal = [b"%011o\0%011o\0" % piece for piece in pieces]
    header[386:482], header[482] = b"".join(octal[:4]), 1
    more = [b"".join(octal[4:25]) + b"\1" + bytes(7), b"".join(octal[25:]).ljust(504, b"\0") + bytes(8)]
    rest = tarred(path, {"ok": b"two"}).read_bytes()
    path.write_bytes(resealed(header) + b"".join(more) + bytes(blocks * 512) + rest)

    archive, rejected = opened(path)

    assert rejected == {"sparse.png": "a sparse file; create the archive without --sparse"}
    assert archive.read("ok") == b"two"


def test_a_sparse_file_of_posix_format_is_rejected(path: Path) -> None:
    info = tarfile.TarInfo("GNUSparseFile.0/1.png")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.name": "cat/1.png", "GNU.sparse.realsize": "9999999"}
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
        archive.addfile(special("ok", tarfile.REGTYPE))

    result, rejected = opened(path)

    assert (result.names, list(rejected)) == (("ok",), ["cat/1.png"])


def test_records_of_posix_format_count_before_the_header(path: Path) -> None:
    info = tarfile.TarInfo("short")
    info.size, info.pax_headers = 3, {"path": "cat/1.png", "SCHILY.xattr.user": "a=b\nc", "mtime": "1.5"}
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT, pax_headers={"comment": "of all"}) as archive:
        archive.addfile(info, io.BytesIO(b"one"))

    assert opened(path)[0].read("cat/1.png") == b"one"


def test_names_that_are_not_utf_8_are_decoded_together(path: Path) -> None:
    tarred(path, {"ソース/1.png": b"1", "表/2.png": b"2"}, format=tarfile.GNU_FORMAT, encoding="cp932")

    assert opened(path)[0].names == ("ソース/1.png", "表/2.png")
    assert opened(path)[0].detected_encoding == "cp932"
    assert opened(path, encoding="shift_jis")[0].detected_encoding is None


@pytest.mark.parametrize("end", [100, 512, 700, 1024, 1600, -10240 + 512, -1025])
def test_a_tar_that_is_cut_off_is_rejected(path: Path, end: int) -> None:
    data = tarred(path, {"a": bytes(range(200)), "b": bytes(600)}).read_bytes()
    last = len(data.rstrip(b"\0"))
    path.write_bytes(data[: end if end > 0 else last])

    with pytest.raises(BadArchive, match="cut off"):
        opened(path)


@pytest.mark.parametrize(
    "size",
    [b"\xff" * 12, b"\x80" + b"\xff" * 11, b"77777777777\0", b"99999999999\0", b"-0000000512\0"],
    ids=["negative", "huge", "octal", "no octal", "sign"],
)
@pytest.mark.parametrize("kind", [b"0", b"x", b"L", b"g", b"S"])
def test_a_hostile_size_is_rejected(path: Path, size: bytes, kind: bytes) -> None:
    header = bytearray(tarfile.TarInfo("bad").tobuf(tarfile.GNU_FORMAT))
    header[124:136], header[156:157] = size, kind
    path.write_bytes(tarred(path, {"ok": b"two"}).read_bytes()[:1024] + resealed(header) + bytes(2048))

    with pytest.raises(BadArchive, match="damaged or cut off"):
        opened(path)


@pytest.mark.parametrize(
    "records", [b"9 size=-1\n", b"12 size=1e9\n\n", b"99 path=x\n", b"0 path=x\n", b"abc", b"3 x\n"]
)
def test_hostile_records_are_rejected(path: Path, records: bytes) -> None:
    header = bytearray(tarfile.TarInfo("bad").tobuf(tarfile.GNU_FORMAT))
    header[124:136], header[156:157] = b"%011o\0" % len(records), b"x"
    rest = tarred(path, {"ok": b"two"}).read_bytes()
    path.write_bytes(resealed(header) + records.ljust(512, b"\0") + rest)

    with pytest.raises(BadArchive, match="damaged or cut off"):
        opened(path)


def test_a_chain_of_headers_without_a_member_ends(path: Path) -> None:
    header = bytearray(tarfile.TarInfo("bad").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = b"x"
    path.write_bytes(resealed(header) * 10_000 + bytes(1024))

    with pytest.raises(BadArchive, match="damaged or cut off"):
        opened(path, Limits(members=100))


def test_limits_are_those_of_a_zip(path: Path) -> None:
    tarred(path, {"a": bytes(600), "b": bytes(600)})

    with pytest.raises(BadArchive, match="over 1 files, the most that one dataset can have; send fewer"):
        opened(path, Limits(members=1))
    with pytest.raises(BadImage, match="over 500 bytes"):
        opened(path, Limits(member_bytes=500))[0].read("a")
    archive, _ = opened(path, Limits(total_bytes=1000))
    archive.read("a")
    with pytest.raises(BadArchive, match="over 1000 bytes"):
        archive.read("b")


def test_an_empty_tar_is_rejected(path: Path) -> None:
    with pytest.raises(BadArchive, match="the archive is empty"):
        opened(tarred(path, {}))


@settings(max_examples=200)
@given(changes=st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), max_size=8), seal=st.booleans())
def test_a_mutated_tar_is_read_or_rejected(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], seal: bool
) -> None:
    path = tmp_path_factory.mktemp("tar") / "upload.tar"
    data = bytearray(tarred(path, {"x" * 120: b"one", "b": bytes(600)}, format=tarfile.PAX_FORMAT).read_bytes())
    for at, value in changes:
        data[at] = value
    if seal:
        for at in (0, 1024, 2048):
            struct.pack_into("512s", data, at, resealed(data[at : at + 512]))
    path.write_bytes(data)

    try:
        archive, _ = opened(path)
    except BadArchive:
        return
    sizes = {name: archive.place(name).size for name in archive.names}
    assert {name: len(archive.read(name)) for name in archive.names} == sizes
