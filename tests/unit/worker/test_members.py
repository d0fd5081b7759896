"""Members of an archive, divided into parts that read only their bytes."""

from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path

import pyarrow as pa
import pytest

from contract.access import DEFAULT_PROJECT
from contract.division import Division
from contract.errors import Corrupt
from contract.jobs import JobKind
from contract.references import UploadSource
from media.archives.archive import Archive
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from services.storage.stores import Stores
from tests.examples import PREPROCESS_REQUEST
from tests.support.images import zipped
from tests.support.job_runs import memory_stores, uploaded
from worker import members
from worker.attempt import Attempt
from worker.members import Members, MembersPart, divided, nowhere, with_places

FILES = {f"{number:02d}.bin": bytes([number]) * (100 if number % 4 else 4000) for number in range(20)}


@pytest.fixture
def stores() -> Stores:
    return memory_stores()


@pytest.fixture
def task(stores: Stores, tmp_path: Path) -> Iterator[Attempt]:
    source = UploadSource(upload=uploaded(stores, zipped(tmp_path / "upload.zip", FILES, method=0)))
    spec = PREPROCESS_REQUEST.spec.model_copy(update={"source": source})
    stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST.model_copy(update={"spec": spec}))
    claim = stores.leases.claim(JobKind.PREPROCESS, "replica")
    assert claim is not None
    worker_end, attempt_end = Pipe()
    with worker_end, attempt_end:  # an attempt ends its process when the worker's end is closed
        yield Attempt(claim, stores, tmp_path, attempt_end)


def planned(path: Path) -> pa.Table:
    with Archive(path, Limits(), Rejections()) as archive:
        places = [archive.place(name) for name in archive.names]
        return with_places(pa.table({"path": [*archive.names, "gone"]}), [*places, nowhere(path)])


def parts_of(task: Attempt, most: int) -> list[MembersPart]:
    path = task.folder / "upload.zip"
    division = divided(task, b"{}", planned(path), path, task.uploads.ref("upload-1"), most)
    assert isinstance(division, Division)
    return [MembersPart.model_validate(part) for part in division.parts]


@pytest.mark.parametrize("most", [3, 7, 100])
def test_parts_have_every_row_once_in_order_and_read_their_members(task: Attempt, most: int) -> None:
    parts = [Members.of_part(task, part, Limits()) for part in parts_of(task, most)]

    assert [path for part in parts for path in part.rows["path"].to_pylist()] == [*FILES, "gone"]
    assert max(len(part) for part in parts) <= most
    for part in parts:
        for number, path in enumerate(part.rows["path"].to_pylist()):
            assert path == "gone" or part.read(number) == FILES[path]


def test_parts_of_large_members_have_fewer_rows(task: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "PART_BYTES", 5000)

    sizes = [len(Members.of_part(task, part, Limits())) for part in parts_of(task, 100)]

    assert sum(sizes) == 21
    assert len(sizes) == 5
    assert max(sizes) < 7


def test_a_part_notices_that_the_archive_has_changed(task: Attempt, stores: Stores) -> None:
    (part,) = parts_of(task, 100)
    reference = task.uploads.ref("upload-1")
    data = bytearray(stores.objects.read(reference))
    data[50] ^= 1
    stores.objects.put(reference.bucket, reference.key, bytes(data))

    with pytest.raises(Corrupt):
        Members.of_part(task, part, Limits()).read(0)
