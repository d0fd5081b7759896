"""A job may name a prefix of an object store as its source, if the operator allows it."""

import json

import httpx
import pytest

pytestmark = pytest.mark.anyio

JOB = {"kind": "preprocess", "spec": {"dataset": "pets", "source": {"s3": "s3://photos/pets"}}}


async def test_a_source_that_the_operator_does_not_allow_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/jobs", json=JOB)

    assert response.status_code == 422
    assert response.json()["detail"] == (
        "s3://photos/pets is not a source that the operator allows; see the setting TIDEPOOL_S3_SOURCES"
    )


async def test_a_source_that_the_operator_allows_is_accepted(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEPOOL_S3_SOURCES", json.dumps({"own": {"buckets": ["photos"]}}))

    response = await client.post("/v1/jobs", json=JOB)

    assert response.status_code == 202
    assert response.json()["spec"]["source"] == {"s3": "s3://photos/pets"}


async def test_an_unknown_source_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/jobs", json=JOB | {"spec": {"dataset": "pets", "source": {"http": "x"}}})

    assert response.status_code == 422
    assert "must name an upload or an s3 prefix" in response.text
