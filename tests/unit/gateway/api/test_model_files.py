"""/v1/models/{name}/versions/{version}: the card, the export, and the variant that serves."""

import io
import zipfile
from collections.abc import Callable

import httpx
import pytest

from contract.access import Scope
from contract.artifacts import Bucket
from contract.variants import Variant
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.examples import MODEL_MANIFEST, TRAIN_REQUEST, VET_REQUEST, VETTED_MANIFEST
from tests.support.problems import problem
from tests.support.publication import publish

pytestmark = pytest.mark.anyio

VERSION = "/v1/models/pet-cnn/versions/1"
PREDICT = "/v1/models/pet-cnn/predict"
PNG = {"Content-Type": "image/png"}


@pytest.fixture
def served(stores: Stores, objects: MemoryObjects) -> None:
    """A version with fp32 and int8, of which int8 serves."""
    fp32, int8 = (objects.put(Bucket.JOBS, f"{name}.onnx", name.encode()) for name in ("fp32", "int8"))
    files = tuple(
        Variant(name=name, artifact=file, size=file.size, accuracy=0.9, agreement=1.0, images_per_second=1.0)
        for name, file in (("fp32", fp32), ("int8", int8))
    )
    changes = {"artifact": fp32, "variants": files, "serving": "int8"}
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST.model_copy(update=changes))


async def serving(client: httpx.AsyncClient) -> str:
    """The variant that answers a prediction."""
    variant: str = (await client.post(PREDICT, content=b"image", headers=PNG)).json()["model_variant"]
    return variant


@pytest.mark.usefixtures("served")
async def test_a_pinned_variant_answers_until_it_is_unpinned(client: httpx.AsyncClient) -> None:
    assert await serving(client) == "int8"

    pinned = (await client.put(f"{VERSION}/variants/fp32/serving")).json()
    assert (pinned["serving"], pinned["pinned"]) == ("fp32", "fp32")
    assert await serving(client) == "fp32"

    unpinned = (await client.delete(f"{VERSION}/variants/fp32/serving")).json()
    assert (unpinned["serving"], unpinned["pinned"]) == ("int8", None)
    assert await serving(client) == "int8"


@pytest.mark.usefixtures("served")
async def test_a_variant_that_does_not_exist_cannot_be_pinned(client: httpx.AsyncClient) -> None:
    refused = problem(await client.put(f"{VERSION}/variants/fp16/serving"), 404, "not_found")
    assert "fp32, int8" in refused.detail

    problem(await client.put(f"{VERSION}/variants/int4/serving"), 422, "invalid")
    problem(await client.put("/v1/models/pet-cnn/versions/9/variants/fp32/serving"), 404, "not_found")


@pytest.mark.usefixtures("served")
async def test_unpinning_another_variant_is_a_conflict(client: httpx.AsyncClient) -> None:
    await client.put(f"{VERSION}/variants/fp32/serving")

    problem(await client.delete(f"{VERSION}/variants/int8/serving"), 409, "conflict")
    assert await serving(client) == "fp32"


@pytest.mark.usefixtures("served")
async def test_pinning_needs_the_scope_write(client_with: Callable[..., httpx.AsyncClient]) -> None:
    reader = client_with(Scope.READ)

    problem(await reader.put(f"{VERSION}/variants/fp32/serving"), 403, "forbidden")
    assert (await reader.get(f"{VERSION}/card")).status_code == 200


@pytest.mark.usefixtures("served", "dataset")
async def test_the_card_is_markdown(client: httpx.AsyncClient) -> None:
    response = await client.get(f"{VERSION}/card")

    assert response.headers["content-type"].startswith("text/markdown")
    assert response.text.startswith("# pet-cnn, version 1\n")
    assert "images for training" in response.text


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(("query", "content"), [("", b"int8"), ("?variant=fp32", b"fp32")])
async def test_the_export_has_the_variant_that_was_chosen(
    client: httpx.AsyncClient, query: str, content: bytes
) -> None:
    response = await client.get(f"{VERSION}/export{query}")

    assert response.headers["content-disposition"] == f'attachment; filename="pet-cnn-1-{content.decode()}.zip"'
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.read("model.onnx") == content
        assert {"card.md", "labels.json", "preprocessing.json", "predict.py", "requirements.txt"} < set(
            archive.namelist()
        )


@pytest.mark.usefixtures("served")
async def test_the_export_of_a_missing_variant_is_not_found(client: httpx.AsyncClient) -> None:
    response = await client.get(f"{VERSION}/export?variant=fp16")

    assert "fp16" in problem(response, 404, "not_found").detail


async def test_an_uploaded_model_has_a_card_and_an_export(
    client: httpx.AsyncClient, stores: Stores, objects: MemoryObjects
) -> None:
    artifact = objects.put(Bucket.JOBS, "vetted.onnx", b"graph")
    publish(stores, VET_REQUEST, VETTED_MANIFEST.model_copy(update={"artifact": artifact}))
    version = f"/v1/models/{VET_REQUEST.spec.model}/versions/1"

    assert "uploaded as an ONNX file" in (await client.get(f"{version}/card")).text
    with zipfile.ZipFile(io.BytesIO((await client.get(f"{version}/export")).content)) as archive:
        assert archive.namelist() == ["card.md", "requirements.txt", "model.onnx"]
    assert (await client.put(f"{version}/variants/fp32/serving")).json()["serving"] == "fp32"
