"""The whole way of a data set and its model, from the upload until both are deleted."""

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from tests.soak.deployment import ENDED
from tests.soak.members import Failed, Member
from tests.support.images import encoded, noise, png, zipped

CLASSES, IMAGES, SIDE = ("cat", "dog", "owl"), 10, 16
WAITS = 12  # of 30 s, for a job to end


class Lifecycle:
    """Repeats the way with other images each turn; every second archive goes by a presigned URL."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._turn = 0

    def run(self) -> None:
        """Do it once; what was made is deleted, also if a step failed."""
        self._turn += 1
        member, name, model = self._member, "pets", "pets-cnn"
        made: list[str] = []
        try:
            version = self._prepared(name)
            made.append(f"/v1/datasets/{version.replace('@', '/versions/')}")
            trained = self._trained(version, model)
            made.insert(0, f"/v1/models/{trained.replace('@', '/versions/')}")
            number = int(trained.rpartition("@")[2])
            member.send("PUT", f"/v1/models/{model}/aliases/production", json={"version": number})
            made.insert(0, f"/v1/models/{model}/aliases/production")
            self._use(version, trained, number)
        finally:
            for path in made:
                try:
                    member.send("DELETE", path)
                except Failed:
                    member.tally.problem("lifecycle", f"{path} was not deleted")

    def _prepared(self, name: str) -> str:
        """Upload an archive and return the reference of the version."""
        archive = self._archive()
        if self._turn % 2:
            files = {"archive": ("pets.zip", archive, "application/zip")}
            job = self._member.send("POST", f"/v1/datasets/{name}/versions", files=files).json()
        else:
            source = {"upload": self._presigned(archive)}
            job = self._member.send("POST", f"/v1/datasets/{name}/versions", json={"source": source}).json()
        return self._result(job)["dataset"]

    def _presigned(self, archive: bytes) -> str:
        announced = {"filename": "pets.zip", "size": len(archive), "sha256": hashlib.sha256(archive).hexdigest()}
        upload = self._member.send("POST", "/v1/uploads", json=announced).json()
        try:
            stored = httpx.put(upload["url"], content=archive, trust_env=False, timeout=30)
        except httpx.HTTPError as error:
            self._member.tally.problem("presigned PUT", type(error).__name__)
            raise Failed from error
        if not stored.is_success:
            self._member.tally.problem("presigned PUT", f"{stored.status_code} {stored.text}")
            raise Failed
        self._member.send("POST", f"/v1/uploads/{upload['id']}/complete")
        return str(upload["id"])

    def _trained(self, version: str, model: str) -> str:
        """Train for one epoch, or fit a probe every third turn, while the events are read; return the reference."""
        how: dict[str, Any] = (
            {"method": "probe"} if self._turn % 3 == 0 else {"architecture": {"name": "cnn"}, "epochs": 1}
        )
        body = {"kind": "train", "spec": {"dataset": version, "model": model, **how}}
        return self._result(self._member.send("POST", "/v1/jobs", json=body).json())["model"]

    def _use(self, version: str, trained: str, number: int) -> None:
        member, (model, _, _) = self._member, trained.partition("@")
        for _ in range(3):
            headers = {"Content-Type": "image/png"}
            path = f"/v1/models/{model}/predict?alias=production"
            member.send("POST", path, content=png(self._turn, SIDE, SIDE), headers=headers)
        spec = {"model": trained, "input": {"dataset": version, "split": "test"}, "format": "csv"}
        job = member.send("POST", "/v1/jobs", json={"kind": "predict", "spec": spec}).json()
        self._result(job)
        location = member.send("GET", f"/v1/jobs/{job['id']}/output", 307).headers["Location"]
        if not httpx.get(location, trust_env=False, timeout=30).is_success:
            member.tally.problem("output", "the presigned URL of an output does not work")
        for path in ("card", "export", "artifact"):
            member.send("GET", f"/v1/models/{model}/versions/{number}/{path}", 200, 307)
        dataset = f"/v1/datasets/{version.replace('@', '/versions/')}"
        images = member.send("GET", f"{dataset}/images", params={"limit": 3}).json()["items"]
        for image in images:
            member.send("GET", f"{dataset}/images/{image['sha256']}/thumbnail")
            member.send("GET", f"{dataset}/images/{image['sha256']}/original")

    def _result(self, job: dict[str, Any]) -> dict[str, Any]:
        """Follow a job until it ends and return its result; raises Failed if it did not succeed."""
        self._member.events(job["id"])
        for _ in range(WAITS):
            if job["state"] in ENDED:
                break
            job = self._member.send("GET", f"/v1/jobs/{job['id']}", params={"wait": 30}).json()
        if job["state"] != "succeeded":
            self._member.tally.problem("job", f"{job['kind']} ended as {job['state']}: {job.get('error')}")
            raise Failed
        return job["result"]

    def _archive(self) -> bytes:
        seed = self._turn * len(CLASSES) * IMAGES
        files = {
            f"{label}/{number}.png": encoded(noise(SIDE, SIDE, seed=seed + position * IMAGES + number))
            for position, label in enumerate(CLASSES)
            for number in range(IMAGES)
        }
        with TemporaryDirectory() as folder:
            return zipped(Path(folder) / "pets.zip", files).read_bytes()
