"""The road of a new user with the command line alone: from a folder of photos to predictions, with every exit code."""

import csv
import json
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.running import TIDEPOOL, Running
from tests.support.images import class_folders, png
from tests.support.servers import free_port

QUICK, LONG = '{"epochs": 2}', '{"epochs": 1000}'


@pytest.fixture(scope="module")
def running(stack: Running, tmp_path_factory: pytest.TempPathFactory) -> Running:
    variables = {"XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("config")), "NO_COLOR": "1"}
    return replace(stack, environment=stack.environment | variables)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty photos in a folder for each of two classes, some others to classify, and a file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    for name, image in class_folders(("cat", "dog"), 20, under="My Pets/").items():
        write(folder / name, image)
    for number in range(20):
        write(folder / "new" / "more" / f"{number:02}.png", png(100 + number))
    write(folder / "new" / "broken.jpg", b"\xff\xd8\xff\xe0 and no more")
    write(folder / "new" / "notes.txt", b"text")
    write(folder / "one" / "cat" / "1.png", png(1))
    return folder


@pytest.fixture(scope="module")
def trained(running: Running, photos: Path) -> subprocess.CompletedProcess[str]:
    return running.tidepool("train", str(photos / "My Pets"), "--spec", QUICK)


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def as_json(running: Running, *words: str) -> Any:
    """The JSON that a command prints, which has succeeded."""
    done = running.tidepool(*words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_folder_becomes_a_model(trained: subprocess.CompletedProcess[str]) -> None:
    assert trained.returncode == 0, trained.stderr
    assert "Dataset my-pets@1 is ready." in trained.stdout
    assert "Model my-pets@1 is ready." in trained.stdout
    assert "test images; on other images like these, expect " in trained.stdout
    assert "tidepool predict my-pets ./new/*.jpg" in trained.stdout
    assert all(f"{step}: done in" in trained.stderr for step in ("Uploading", "Preparing the images", "Training"))
    assert not any(ord(char) < 32 and char != "\n" for char in trained.stdout + trained.stderr)


def test_images_are_classified_in_order_and_others_are_reported(
    running: Running, photos: Path, trained: object, tmp_path: Path
) -> None:
    new, table = photos / "new", tmp_path / "out.csv"
    paths = [str(new / "more" / f"{number:02}.png") for number in range(20)]

    one = running.tidepool("predict", "my-pets", paths[0])
    all_of_them = running.tidepool("predict", "my-pets@1", str(new), "--csv", str(table), "--top-k", "2")
    lines = running.tidepool("predict", "my-pets", *paths, "--json").stdout.splitlines()

    assert (one.returncode, one.stderr) == (0, "")
    assert one.stdout.split()[-1] == "%"
    assert (all_of_them.returncode, all_of_them.stdout) == (3, "")
    assert f"{new / 'broken.jpg'}: " in all_of_them.stderr
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == paths
    assert {row["class"] for row in rows} | {row["class_2"] for row in rows} == {"cat", "dog"}
    assert [json.loads(line)["path"] for line in lines] == paths


def test_the_model_is_judged_promoted_and_exported(running: Running, trained: object, tmp_path: Path) -> None:
    assert "my-pets@1 is right on" in running.tidepool("evaluate", "my-pets").stdout
    assert running.tidepool("promote", "my-pets@1").stdout == "my-pets@production is version 1 now.\n"
    assert "precision" in running.tidepool("models", "show", "my-pets@production").stdout
    assert running.tidepool("export", "my-pets", "--output", str(tmp_path / "pets.zip")).returncode == 0
    assert (tmp_path / "pets.zip").stat().st_size > 1000


def test_everything_is_listed(running: Running, trained: object) -> None:
    assert [row["name"] for row in as_json(running, "datasets", "ls")] == ["my-pets"]
    assert [row["name"] for row in as_json(running, "models", "ls")] == ["my-pets"]
    assert as_json(running, "datasets", "show", "my-pets")["counts_by_class"]["train"].keys() == {"cat", "dog"}
    job = as_json(running, "jobs", "ls", "--kind", "train", "--state", "succeeded", "-n", "1")[0]
    assert as_json(running, "jobs", "show", job["id"])["result"]["model"] == "my-pets@1"
    logs = running.tidepool("jobs", "logs", "-f", job["id"])
    assert logs.returncode == 0
    assert logs.stdout.splitlines()[0].endswith("  queued")
    assert logs.stdout.splitlines()[-1].endswith("  succeeded")
    assert as_json(running, "usage")["by"] == "day"
    assert running.tidepool("open", "--no-browser").stdout.startswith(f"{running.url}/sign-in?token=")


def test_a_key_that_may_only_read_is_refused(running: Running, trained: object, tmp_path: Path) -> None:
    """Logged in to the server from a folder where no stack runs."""
    secret = running.tidepool("keys", "create", "reader", "--role", "viewer").stdout.strip()
    reader = replace(running, environment=running.environment | {"TIDEPOOL_HOME": str(tmp_path / "none")})
    command = [TIDEPOOL, "login", running.url]
    login = subprocess.run(command, input=secret, env=reader.environment, capture_output=True, text=True, check=False)

    assert (login.returncode, login.stdout) == (
        0,
        f"Logged in to {running.url} as reader: viewer in the project default.\n",
    )
    assert reader.tidepool("models", "ls").returncode == 0
    refused = reader.tidepool("train", "my-pets")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert "write" in refused.stderr
    assert "reader" in reader.tidepool("whoami").stdout
    assert reader.tidepool("logout").returncode == 0
    assert reader.tidepool("models", "ls").returncode == 1


def test_a_project_has_its_own_things(running: Running, trained: object) -> None:
    assert running.tidepool("projects", "create", "lab").returncode == 0

    assert as_json(running, "models", "ls", "--project", "lab") == []
    assert running.tidepool("models", "show", "my-pets", "--project", "lab").returncode == 3
    assert running.tidepool("projects", "rm", "lab").returncode == 0


def test_a_job_that_fails_has_an_exit_code_of_its_own(running: Running, photos: Path) -> None:
    done = running.tidepool("train", str(photos / "one"))

    assert (done.returncode, done.stdout) == (4, "")
    assert "class" in done.stderr
    assert "`tidepool jobs logs " in done.stderr


def test_a_server_that_is_away_has_an_exit_code_of_its_own(running: Running) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    away = replace(running, environment=running.environment | {"TIDEPOOL_URL": url, "TIDEPOOL_API_KEY": "tp_key"})

    done = away.tidepool("jobs", "ls")

    assert (done.returncode, done.stdout) == (5, "")
    assert f"{url} does not answer" in done.stderr


@pytest.mark.parametrize("words", [["train"], ["train", "./none"], ["predict", "my-pets", "none.jpg"], ["trian"]])
def test_wrong_usage_has_an_exit_code_of_its_own(running: Running, words: list[str]) -> None:
    done = running.tidepool(*words)

    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1


def test_ctrl_c_leaves_the_job_running(running: Running, trained: object) -> None:
    # given a training that is followed
    command = [TIDEPOOL, "train", "my-pets", "--follow", "--spec", LONG]
    # A shell ignores SIGINT in what it starts in the background, and so would the command.
    following = subprocess.Popen(
        command,
        env=running.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    job = wait_for_a_running_training(running)

    # when Ctrl-C is pressed
    following.send_signal(signal.SIGINT)
    output, explanation = following.communicate(timeout=30)

    # then the command says how to come back, and the job goes on until it is cancelled
    assert (following.returncode, output) == (130, "")
    assert f"the train job {job} goes on." in explanation
    assert f"tidepool jobs logs -f {job}" in explanation
    assert as_json(running, "jobs", "show", job)["state"] == "running"
    assert "running" in running.tidepool("jobs", "logs", job).stdout
    assert running.tidepool("jobs", "cancel", job).returncode == 0
    followed = running.tidepool("jobs", "logs", "-f", job)
    assert followed.returncode == 4
    assert followed.stdout.splitlines()[-1].endswith("  cancelled")


def wait_for_a_running_training(running: Running) -> str:
    deadline = time.monotonic() + 60
    while not (jobs := as_json(running, "jobs", "ls", "--kind", "train", "--state", "running")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return str(jobs[0]["id"])
