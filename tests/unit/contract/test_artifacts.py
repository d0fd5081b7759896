"""The key layout."""

from contract.artifacts import attempt_prefix


def test_no_attempt_writes_into_the_folder_of_another() -> None:
    first, tenth = attempt_prefix("job", 1), attempt_prefix("job", 10)

    assert first == "job/attempts/1/"
    assert not tenth.startswith(first)
