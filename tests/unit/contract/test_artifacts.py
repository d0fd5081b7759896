"""The key layout."""

from contract.artifacts import attempt_prefix


def test_attempts_have_different_prefixes() -> None:
    first, tenth = attempt_prefix("job", 1), attempt_prefix("job", 10)

    assert first == "job/attempts/1/"
    assert not tenth.startswith(first)
