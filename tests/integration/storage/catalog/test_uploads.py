"""Uploads that are announced, completed and rejected."""

import pytest

from contract.artifacts import Bucket, ObjectRef
from contract.errors import Conflict, Invalid, NotFound
from services.storage.catalog.uploads import Uploads, new_upload_id
from tests.examples import WHEN

SHA256 = "a" * 64


def stored(upload_id: str, size: int = 4096, sha256: str = SHA256) -> ObjectRef:
    return ObjectRef(bucket=Bucket.UPLOADS, key=upload_id, size=size, sha256=sha256)


@pytest.mark.parametrize("announced", [None, SHA256])
def test_an_upload_as_announced_is_accepted(uploads: Uploads, announced: str | None) -> None:
    # given
    expected = uploads.expect(new_upload_id(), "pets.zip", 4096, announced)
    assert (expected.filename, expected.complete, expected.created_at) == ("pets.zip", False, WHEN)

    # when
    upload = uploads.complete(expected.id, stored(expected.id))

    # then
    assert upload == uploads.get(expected.id)
    assert (upload.complete, upload.sha256) == (True, SHA256)
    assert uploads.ref(expected.id) == stored(expected.id)


@pytest.mark.parametrize(
    ("put", "reason"),
    [({"size": 4095}, "4096 bytes were announced and 4095"), ({"sha256": "b" * 64}, "sha256")],
    ids=str,
)
def test_an_upload_that_differs_from_the_announcement_is_rejected(
    uploads: Uploads, put: dict[str, str], reason: str
) -> None:
    # given
    expected = uploads.expect(new_upload_id(), "pets.zip", 4096, SHA256)

    # when
    with pytest.raises(Invalid, match=reason):
        uploads.complete(expected.id, stored(expected.id).model_copy(update=put))

    # then it is still expected
    assert uploads.get(expected.id) == expected
    with pytest.raises(Conflict, match="not complete"):
        uploads.ref(expected.id)


def test_a_complete_upload_cannot_be_replaced(uploads: Uploads) -> None:
    upload = uploads.expect(new_upload_id(), "pets.zip", 4096, None)
    uploads.complete(upload.id, stored(upload.id))

    with pytest.raises(Invalid):
        uploads.complete(upload.id, stored(upload.id, sha256="b" * 64))

    assert uploads.complete(upload.id, stored(upload.id)) == uploads.get(upload.id)


def test_an_archive_that_is_already_stored_is_complete(uploads: Uploads) -> None:
    ref = stored(new_upload_id())

    upload = uploads.add("x" * 300, ref)

    assert (upload.id, upload.complete, len(upload.filename)) == (ref.key, True, 255)
    assert uploads.ref(upload.id) == ref


def test_an_upload_may_be_huge(uploads: Uploads) -> None:
    upload = uploads.expect(new_upload_id(), "pets.zip", 2**40, None)

    assert uploads.get(upload.id).size == 2**40


def test_an_upload_that_is_collected_while_it_is_completed_is_not_found(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = uploads.expect(new_upload_id(), "pets.zip", 4096, None)
    uploads.forget(expected.id)
    monkeypatch.setattr(uploads, "get", lambda _: expected)

    with pytest.raises(NotFound):
        uploads.complete(expected.id, stored(expected.id))


def test_an_unknown_upload_is_not_found(uploads: Uploads) -> None:
    for look in (uploads.get, uploads.ref):
        with pytest.raises(NotFound):
            look("none")
    with pytest.raises(NotFound):
        uploads.complete("none", stored("none"))
