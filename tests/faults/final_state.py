"""Records the final state of a run: every job and version in the API and in the database."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
from sqlalchemy import Table, select

from contract.artifacts import ObjectRef
from contract.errors import TidepoolError
from services.storage.tables import dataset_versions, idempotency, model_versions
from tests.faults.cluster import Cluster
from tests.faults.history import Operation, Recorder
from worker.retries import retry_outages

TABLES: dict[str, Table] = {"datasets": dataset_versions, "models": model_versions}


def record_final_state(cluster: Cluster, recorder: Recorder) -> None:
    """Record every job with its event stream, every version in API and database, and every Idempotency-Key."""
    headers = {"Authorization": f"Bearer {cluster.key}"}
    with httpx.Client(base_url=cluster.url, headers=headers, timeout=30, trust_env=False) as http:
        for job in _pages(http, "/v1/jobs"):
            reference = (job["result"] or {}).get("dataset" if job["kind"] == "preprocess" else "model")
            noun = "datasets" if job["kind"] == "preprocess" else "models"
            value = {"state": job["state"], "reference": f"{noun} {reference}" if reference else None}
            recorder.note("api", Operation.FINAL, job["id"], value)
            recorder.note("api", Operation.STREAM, job["id"], _stream(http, job["id"]))
        for noun in TABLES:
            for item in _pages(http, f"/v1/{noun}"):
                for version in item["versions"]:
                    body = http.get(f"/v1/{noun}/{item['name']}/versions/{version}").raise_for_status().json()
                    value = {"job": body["job"], "fence": None, "intact": True}
                    recorder.note("api", Operation.VERSION, f"{noun} {item['name']}@{version}", value)
    with cluster.stores.database.read() as connection:
        for noun, table in TABLES.items():
            for row in connection.execute(select(table)).mappings().all():
                value = {"job": row["job_id"], **_artifact(cluster, noun, row["manifest"], row["job_id"])}
                recorder.note("database", Operation.VERSION, f"{noun} {row['name']}@{row['version']}", value)
        for row in connection.execute(select(idempotency)).mappings().all():
            recorder.note("database", Operation.KEY, row["key"], {"job": row["answer"]["id"]})


def _artifact(cluster: Cluster, noun: str, manifest: Any, job: str) -> dict[str, Any]:
    """Return the fence in the key of a version's file, and whether the file is the job's and intact."""
    artifact = manifest["shards"]["train"][0]["images"] if noun == "datasets" else manifest["artifact"]
    ref = ObjectRef.model_validate(artifact)
    owner, _, fence = ref.key.split("/")[:3]
    try:
        # retried, as an outage is not damage
        intact = owner == job and retry_outages(lambda: cluster.stores.objects.read(ref)) == job.encode()
    except TidepoolError:
        intact = False
    return {"fence": int(fence), "intact": intact}


def _stream(http: httpx.Client, job: str) -> dict[str, Any]:
    """Read the states and epochs of a job's event stream to its end."""
    states, epochs, kind = [], [], ""
    with http.stream("GET", f"/v1/jobs/{job}/events") as response:
        for line in response.iter_lines():
            field, _, text = line.partition(": ")
            if field == "event":
                kind = text
            if field == "data" and kind == "state":
                states.append(json.loads(text)["data"]["state"])
            if field == "data" and kind == "metrics":
                epochs.append(json.loads(text)["data"]["epoch"])
    return {"states": states, "epochs": epochs}


def _pages(http: httpx.Client, path: str) -> Iterator[Any]:
    cursor: dict[str, str] = {}
    while True:
        page = http.get(path, params={"limit": "200", **cursor}).raise_for_status().json()
        yield from page["items"]
        if page["next"] is None:
            return
        cursor = {"cursor": page["next"]}
