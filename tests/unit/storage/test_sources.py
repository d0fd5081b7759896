"""Which prefixes of object stores the operator allows as sources."""

import json

import pytest

from contract.errors import Invalid
from contract.kinds.preprocess import PreprocessSpec
from contract.references import S3Source, UploadSource
from services.storage.sources import SourceSettings, SourceStore, require_allowed


def test_no_source_is_allowed_by_default() -> None:
    with pytest.raises(Invalid, match="not a source that the operator allows; see the setting TIDEPOOL_S3_SOURCES"):
        require_allowed(PreprocessSpec(dataset="pets", source=S3Source(s3="s3://photos/2024")))
    require_allowed(PreprocessSpec(dataset="pets", source=UploadSource(upload="1")))


@pytest.mark.parametrize(
    ("location", "allowed"),
    [
        ("s3://photos", True),
        ("s3://photos/", True),
        ("s3://photos/any/folder", True),
        ("s3://photos-2/any", False),
        ("s3://lab/2024", True),
        ("s3://lab/2024/may/", True),
        ("s3://lab/20245", False),
        ("s3://lab", False),
        ("s3://lab/../2024", False),
    ],
)
def test_a_bucket_or_a_folder_of_it_is_allowed(location: str, allowed: bool) -> None:
    assert SourceStore(buckets=("photos", "lab/2024/")).allows(S3Source(s3=location)) is allowed


def test_the_first_store_that_has_the_bucket_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    stores = {"own": {"buckets": ["photos"]}, "lab": {"endpoint": "https://s3.example.org", "buckets": ["lab"]}}
    monkeypatch.setenv("TIDEPOOL_S3_SOURCES", json.dumps(stores))

    assert SourceSettings().store_of(S3Source(s3="s3://lab/2024")).endpoint == "https://s3.example.org"
    assert SourceSettings().store_of(S3Source(s3="s3://photos/1")).endpoint is None


@pytest.mark.parametrize(
    "location", ["http://photos/1", "s3://", "s3:///etc", "s3://Photos/1", "s3://a:b@host/x", "s3://p"]
)
def test_a_source_names_a_bucket_and_never_an_address(location: str) -> None:
    with pytest.raises(ValueError, match="s3"):
        S3Source(s3=location)
