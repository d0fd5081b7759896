"""The object keys of attempts and uploads, and what they say of an object."""

import pytest

from contract.artifacts import Bucket, attempt_of, attempt_prefix, project_of, review_key, upload_key


def test_attempts_have_different_prefixes() -> None:
    first, tenth = attempt_prefix("job", 1), attempt_prefix("job", 10)

    assert first == "job/attempts/1/"
    assert not tenth.startswith(first)


@pytest.mark.parametrize("project", ["default", "lab", "attempts", "01a20c69-671c-75b4-9e31-a6c00b050a58"])
@pytest.mark.parametrize("name", ["x", "train/0.npy", "attempts/1/x"])
def test_a_key_tells_its_attempt_and_project(project: str, name: str) -> None:
    prefix = attempt_prefix("01a20c69-0000-75b4-9e31-a6c00b050a58", 7, project)

    assert attempt_of(prefix + name) == prefix
    assert project_of(Bucket.JOBS, prefix + name) == project
    assert project_of(Bucket.UPLOADS, upload_key("an-upload", project)) == project
    assert project_of(Bucket.UPLOADS, review_key("a-review", project)) == project


@pytest.mark.parametrize("key", ["x", "job/x", "job/attempts/1", "a/b/c/d/e", "lab/job/x", ""])
def test_an_object_of_unknown_origin_belongs_to_the_default_project(key: str) -> None:
    assert attempt_of(key) is None
    assert project_of(Bucket.JOBS, key) == "default"
