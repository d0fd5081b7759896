"""Make home.zip: a stack's data as an older release of this repository has written it.

`python -m tests.e2e.older_release.make 25b9ab0` starts the stack of that commit in a worktree, prepares a dataset,
trains a model, predicts, and packs what is left: the database as SQL, the objects, the key, and the answers.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.images import class_folders, png, zipped
from tests.support.servers import free_port

ROOT = Path(__file__).parents[3]
TARGET = Path(__file__).with_name("home.zip")
WRITTEN_AT = (2026, 11, 29, 0, 0, 0)  # of every member, so that equal data is an equal file
LAYERS = {"layers": [{"flatten": {}}, {"dense": 8}, {"relu": {}}]}
TRAINING = {"dataset": "pets@1", "model": "pets", "architecture": LAYERS, "epochs": 3, "augment": False}
IMAGES = [png(seed) for seed in range(100, 104)]
WAIT_S = 120.0


@contextmanager
def worktree(commit: str, folder: Path) -> Iterator[Path]:
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--detach", folder, commit], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", folder], check=True)


@contextmanager
def running(code: Path, home: Path) -> Iterator[httpx.Client]:
    """Run the stack of another checkout; its modules come first, because Python runs in its folder."""
    port = free_port()
    environment = os.environ | {"TIDEPOOL_HOME": str(home), "TIDEPOOL_PORT": str(port)}
    command = [sys.executable, "-m", "tidepool.cli.app"]
    try:
        subprocess.run([*command, "up"], cwd=code, env=environment, check=True)
        headers = {"Authorization": f"Bearer {(home / 'api-key').read_text().strip()}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
            yield client
    finally:
        subprocess.run([*command, "down"], cwd=code, env=environment, check=True)


def finished(client: httpx.Client, answer: httpx.Response) -> Any:
    """Wait until a job has succeeded."""
    job, deadline = answer.raise_for_status().json(), time.monotonic() + WAIT_S
    while job["state"] in {"queued", "running"} and time.monotonic() < deadline:
        job = client.get(f"/v1/jobs/{job['id']}", params={"wait": 10}).raise_for_status().json()
    if job["state"] != "succeeded":
        raise SystemExit(f"The job is {job['state']}: {job['error']}")
    return job


def work(client: httpx.Client, folder: Path) -> Any:
    """Make one of everything that is small, and return the answers of the model."""
    archive = zipped(folder / "pets.zip", class_folders(("cat", "dog"), 20))
    with archive.open("rb") as file:
        finished(client, client.post("/v1/datasets/pets/versions", files={"archive": ("pets.zip", file)}))
    finished(client, client.post("/v1/jobs", json={"kind": "train", "spec": TRAINING}))
    client.put("/v1/models/pets/aliases/production", json={"version": 1}).raise_for_status()
    spec = {"model": "pets@1", "dataset": "pets@1", "split": "test"}
    finished(client, client.post("/v1/jobs", json={"kind": "evaluate", "spec": spec}))
    return [
        client.post(
            "/v1/models/pets/predict", content=image, headers={"Content-Type": "image/png"}, params={"top_k": 2}
        )
        .raise_for_status()
        .json()["predictions"]
        for image in IMAGES
    ]


def pack(home: Path, answers: Any) -> None:
    with closing(sqlite3.connect(home / "data" / "tidepool.db")) as database:
        dump = "\n".join(database.iterdump())
    objects = sorted(path for path in (home / "data" / "s3").rglob("*") if path.is_file())
    members = {
        "answers.json": json.dumps(answers, indent=1),
        "dump.sql": dump,
        "api-key": (home / "api-key").read_text(),
    }
    with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, WRITTEN_AT), data, zipfile.ZIP_DEFLATED)
        for path in objects:
            info = zipfile.ZipInfo(str(path.relative_to(home)), WRITTEN_AT)
            archive.writestr(info, path.read_bytes(), zipfile.ZIP_DEFLATED)


def unpack(home: Path) -> Any:
    """Write the data into the folder of a stack, and return the answers of the older release."""
    with zipfile.ZipFile(TARGET) as archive:
        for name in archive.namelist():
            if name.startswith("data/") or name == "api-key":
                archive.extract(name, home)
        dump, answers = archive.read("dump.sql").decode(), json.loads(archive.read("answers.json"))
    with closing(sqlite3.connect(home / "data" / "tidepool.db")) as database:
        database.executescript(dump)
    return answers


def main(commit: str) -> None:
    with tempfile.TemporaryDirectory() as folder, worktree(commit, Path(folder) / "code") as code:
        home = Path(folder) / "home"
        with running(code, home) as client:
            answers = work(client, Path(folder))
        pack(home, answers)
    print(f"{TARGET}: {TARGET.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main(sys.argv[1])
