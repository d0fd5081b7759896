"""A service starts with the secrets of its volume, and not with an empty one."""

from pathlib import Path

from tests.support.deployment import script

ASK = ("sh", "-c", "echo $TIDEPOOL_BROKER_URL")


def test_secrets_become_variables(tmp_path: Path) -> None:
    (tmp_path / "TIDEPOOL_BROKER_URL").write_text("redis://:a'b$c@redis:6379/0")

    assert script("entrypoint", *ASK, TIDEPOOL_SECRETS=tmp_path).stdout == "redis://:a'b$c@redis:6379/0\n"


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "TIDEPOOL_BROKER_URL").write_text("")

    refused = script("entrypoint", *ASK, TIDEPOOL_SECRETS=tmp_path)

    assert (refused.returncode, refused.stdout) == (78, "")
    assert refused.stderr == "the secret TIDEPOOL_BROKER_URL is empty\n"


def test_without_a_volume_the_environment_is_as_it_is(tmp_path: Path) -> None:
    given = script("entrypoint", *ASK, TIDEPOOL_SECRETS=tmp_path / "none", TIDEPOOL_BROKER_URL="redis://elsewhere")

    assert given.stdout == "redis://elsewhere\n"


def test_the_service_takes_the_place_of_the_script(tmp_path: Path) -> None:
    """So that it gets the signals that are sent to the container."""
    shown = script("entrypoint", "sh", "-c", "tr '\\0' ' ' </proc/$$/cmdline", TIDEPOOL_SECRETS=tmp_path)

    assert shown.stdout.startswith("sh -c tr")


def test_what_killed_attempts_left_is_gone(tmp_path: Path) -> None:
    (tmp_path / "attempt-1" / "shards").mkdir(parents=True)
    (tmp_path / "other").touch()

    script("entrypoint", "true", TIDEPOOL_SECRETS=tmp_path / "none", TIDEPOOL_SCRATCH=tmp_path)

    assert [file.name for file in tmp_path.iterdir()] == ["other"]
