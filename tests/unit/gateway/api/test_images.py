"""/v1/datasets/{name}/versions/{version}/images"""

import hashlib
import io
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
from PIL import Image

from contract.access import DEFAULT_PROJECT, Scope
from contract.artifacts import Bucket
from contract.datasets import Split
from contract.errors import DatabaseUnavailable, ObjectsUnavailable
from contract.image_index import ImageDetails, ImagePage, ImageRecord
from contract.references import Reference, UploadSource
from media.image_index import PLACE, IndexWriter, read_index
from services.storage.catalog.datasets import Datasets
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.examples import (
    DATASET_MANIFEST,
    MODEL_MANIFEST,
    PREDICT_REQUEST,
    PREPROCESS_REQUEST,
    TRAIN_REQUEST,
)
from tests.support.images import encoded, noise, png, zipped
from tests.support.preparation import SPEC, Workshop
from tests.support.problems import problem
from tests.support.publication import publish

pytestmark = pytest.mark.anyio

IMAGES = "/v1/datasets/pets/versions/1/images"
CAT, DOG = png(1, height=20, width=30), encoded(noise(40, 40, seed=2), "JPEG")
FILES = {
    "train/cat/one.png": CAT,
    "train/cat/copy of one.png": CAT,
    'train/dog/grün "x".jpg': DOG,
    "test/cat/two.png": png(3),
    "test/dog/three.png": png(4),
}


def sha256_of(file: bytes) -> str:
    return hashlib.sha256(file).hexdigest()


def store(stores: Stores, objects: MemoryObjects, folder: Path, files: dict[str, bytes]) -> None:
    """Publish the next version of pets from a zip of the files."""
    archive = zipped(folder / "upload.zip", files).read_bytes()
    project = stores.of(DEFAULT_PROJECT)
    key = f"upload-{len(objects.content)}"
    project.uploads.add("pets.zip", objects.put(Bucket.UPLOADS, key, archive))
    spec = SPEC.model_copy(update={"source": UploadSource(upload=key)})
    (folder / "work").mkdir(exist_ok=True)
    manifest = Workshop(folder / "work", objects).prepare(files, spec)
    publish(stores, PREPROCESS_REQUEST.model_copy(update={"spec": spec}), manifest)


@pytest.fixture
def pets(stores: Stores, objects: MemoryObjects, tmp_path: Path) -> None:
    """pets@1, with an index."""
    store(stores, objects, tmp_path, FILES)


async def page(client: httpx.AsyncClient, **params: str | int) -> ImagePage:
    response = await client.get(IMAGES, params=params)
    assert response.status_code == 200, response.text
    return ImagePage.model_validate_json(response.content)


@pytest.mark.usefixtures("pets")
async def test_images_are_listed_by_split_and_class(client: httpx.AsyncClient) -> None:
    everything = (await page(client)).items

    assert {image.path for image in everything} == set(FILES)
    assert {image.sha256 for image in everything} == {sha256_of(file) for file in FILES.values()}
    assert [image.path for image in (await page(client, split="test", **{"class": "dog"})).items] == [
        "test/dog/three.png"
    ]
    assert len((await page(client, **{"class": "cat"})).items) == 3
    assert (await page(client, split="val")).items == ()


@pytest.mark.usefixtures("pets")
async def test_pages_follow_one_another(client: httpx.AsyncClient) -> None:
    images, cursor = list[ImageRecord](), ""
    while True:
        part = await page(client, limit=2, cursor=cursor)
        images += part.items
        if part.next is None:
            break
        cursor = part.next

    assert images == list((await page(client)).items)


@pytest.mark.usefixtures("pets")
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("class=bird", "no class 'bird'; its classes are cat, dog"),
        ("split=all", "query.split"),
        ("cursor=x", "cursor"),
        ("limit=0", "query.limit"),
        ("label=cat", "this path has class, cursor, limit, split"),
    ],
)
async def test_an_invalid_query_is_refused(client: httpx.AsyncClient, query: str, message: str) -> None:
    assert message in problem(await client.get(f"{IMAGES}?{query}"), 422, "invalid").detail


async def test_an_image_has_its_occurrences_and_uses(
    client: httpx.AsyncClient, stores: Stores, objects: MemoryObjects, tmp_path: Path
) -> None:
    # given two versions with the cat, one without it, and a model and a prediction of the first
    store(stores, objects, tmp_path, FILES)
    store(
        stores, objects, tmp_path, {name: file for name, file in FILES.items() if file != CAT} | {"train/cat/a": png(9)}
    )
    store(stores, objects, tmp_path, FILES)
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    job = stores.of(DEFAULT_PROJECT).jobs.create(PREDICT_REQUEST)

    response = await client.get(f"{IMAGES}/{sha256_of(CAT).upper()}")

    details = ImageDetails.model_validate_json(response.content)
    assert details.sha256 == sha256_of(CAT)
    assert sorted(image.path for image in details.occurrences) == ["train/cat/copy of one.png", "train/cat/one.png"]
    assert {(image.split, image.width, image.height) for image in details.occurrences} == {(Split.TRAIN, 30, 20)}
    assert (details.versions, details.models, details.jobs) == (("pets@3", "pets@1"), ("pet-cnn@1",), (job.id,))


@pytest.mark.usefixtures("pets")
async def test_a_thumbnail_is_a_small_jpeg_that_clients_keep(client: httpx.AsyncClient) -> None:
    path = f"{IMAGES}/{sha256_of(CAT)}/thumbnail"

    response = await client.get(path)

    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["cache-control"] == "private, max-age=3600"
    thumbnail = Image.open(io.BytesIO(response.content))
    assert (thumbnail.format, thumbnail.size, thumbnail.mode) == ("JPEG", (8, 8), "RGB")
    prepared = Image.open(io.BytesIO(CAT)).convert("RGB").resize((8, 8), Image.Resampling.BOX)
    assert abs(sum(thumbnail.resize((1, 1)).getpixel((0, 0))) - sum(prepared.resize((1, 1)).getpixel((0, 0)))) < 30
    again = await client.get(path, headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.usefixtures("pets")
@pytest.mark.parametrize(("file", "media_type"), [(CAT, "image/png"), (DOG, "image/jpeg")])
async def test_the_original_is_what_was_uploaded(client: httpx.AsyncClient, file: bytes, media_type: str) -> None:
    response = await client.get(f"{IMAGES}/{sha256_of(file)}/original")

    assert response.content == file
    assert response.headers["content-type"] == media_type
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["content-disposition"].startswith("attachment; filename*=UTF-8''")
    again = await client.get(
        f"{IMAGES}/{sha256_of(file)}/original", headers={"If-None-Match": response.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.usefixtures("pets")
async def test_a_name_cannot_add_to_the_header(client: httpx.AsyncClient) -> None:
    response = await client.get(f"{IMAGES}/{sha256_of(DOG)}/original")

    assert response.headers["content-disposition"] == "attachment; filename*=UTF-8''gr%C3%BCn%20%22x%22.jpg"


@pytest.mark.usefixtures("pets")
async def test_reading_an_original_is_recorded(client: httpx.AsyncClient) -> None:
    for suffix in ("", "/thumbnail", "/original"):
        await client.get(f"{IMAGES}/{sha256_of(DOG)}{suffix}")

    (entry,) = (await client.get("/v1/audit", params={"action": "read"})).json()["items"]

    assert (entry["subject"], entry["detail"]) == (f"images/{sha256_of(DOG)}", "datasets/pets@1")


@pytest.mark.usefixtures("pets")
@pytest.mark.parametrize("suffix", ["", "/thumbnail", "/original"])
async def test_an_unknown_image_or_version_is_not_found(client: httpx.AsyncClient, suffix: str) -> None:
    no_image = problem(await client.get(f"{IMAGES}/{'0' * 64}{suffix}"), 404, "not_found")
    no_version = await client.get(f"/v1/datasets/pets/versions/2/images/{'0' * 64}{suffix}")
    malformed = problem(await client.get(f"{IMAGES}/xyz{suffix}"), 422, "invalid")

    assert no_image.detail == "pets@1 has no image with this hash"
    assert problem(no_version, 404, "not_found").detail == "there is no dataset pets@2"
    assert "sha256: String should match pattern" in malformed.detail


@pytest.mark.parametrize("suffix", ["", f"/{'0' * 64}", f"/{'0' * 64}/thumbnail", f"/{'0' * 64}/original"])
async def test_a_version_without_an_index_names_the_job_that_makes_one(
    client: httpx.AsyncClient, stores: Stores, suffix: str
) -> None:
    publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST.model_copy(update={"index": None}))

    assert "kind index" in problem(await client.get(f"{IMAGES}{suffix}"), 409, "conflict").detail


@pytest.mark.usefixtures("pets")
async def test_a_key_needs_the_read_scope(anonymous: httpx.AsyncClient, stores: Stores) -> None:
    secret = stores.keys.create("predictor", frozenset({Scope.PREDICT})).secret
    for suffix in ("", f"/{sha256_of(CAT)}", f"/{sha256_of(CAT)}/thumbnail", f"/{sha256_of(CAT)}/original"):
        without = problem(await anonymous.get(IMAGES + suffix), 401, "unauthenticated")
        headers = {"Authorization": f"Bearer {secret}"}
        forbidden = problem(await anonymous.get(IMAGES + suffix, headers=headers), 403, "forbidden")

        assert "send an API key" in without.detail
        assert "lacks the scope read" in forbidden.detail


@pytest.mark.usefixtures("pets")
@pytest.mark.parametrize(
    "suffix", ["", f"/{sha256_of(CAT)}", f"/{sha256_of(CAT)}/thumbnail", f"/{sha256_of(CAT)}/original"]
)
async def test_an_outage_is_a_503(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    def unavailable(*_: object) -> None:
        raise ObjectsUnavailable("the object store does not answer; try again soon")

    with monkeypatch.context() as patch:
        for method in ("fetch", "read_slice"):
            patch.setattr(MemoryObjects, method, unavailable)
        no_objects = problem(await client.get(IMAGES + suffix), 503, "objects_unavailable")

    def no_database(*_: object) -> None:
        raise DatabaseUnavailable("the database does not answer")

    monkeypatch.setattr(Datasets, "manifest", no_database)
    without_database = problem(await client.get(IMAGES + suffix), 503, "database_unavailable")

    assert "the object store does not answer" in no_objects.detail
    assert "the database does not answer" in without_database.detail


@pytest.mark.usefixtures("pets")
async def test_a_changed_upload_is_not_sent(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    for (bucket, key), content in list(objects.content.items()):
        if bucket == Bucket.UPLOADS:
            objects.content[bucket, key] = bytes(len(content))

    result = problem(await client.get(f"{IMAGES}/{sha256_of(CAT)}/original"), 503, "corrupt")

    assert "original is not what was prepared" in result.detail


@pytest.mark.usefixtures("pets")
async def test_the_index_is_fetched_once(client: httpx.AsyncClient, objects: MemoryObjects) -> None:
    await page(client)
    index = (await page(client)).items

    objects.content = {}

    assert (await page(client)).items == index


async def test_an_original_in_a_compressed_tar_cannot_be_read(
    client: httpx.AsyncClient, stores: Stores, objects: MemoryObjects, tmp_path: Path, pets: None
) -> None:
    # given an index without places, as for a compressed tar
    _, manifest = stores.of(DEFAULT_PROJECT).datasets.manifest(Reference(name="pets", version=1))
    assert manifest.index is not None
    table = read_index(io.BytesIO(objects.read(manifest.index)))
    nulls = {name: pa.nulls(len(table), kind) for name, kind in zip(PLACE.names, PLACE.types, strict=True)}
    for name, column in nulls.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    with IndexWriter(tmp_path / "index.parquet") as writer:
        writer.add(table)
    index = objects.put(Bucket.JOBS, "index", tmp_path / "index.parquet")
    publish(stores, PREPROCESS_REQUEST, manifest.model_copy(update={"index": index}))

    images = "/v1/datasets/pets/versions/2/images"
    response = await client.get(f"{images}/{sha256_of(CAT)}/original")

    assert "compressed tar" in problem(response, 409, "conflict").detail
    assert (await client.get(f"{images}/{sha256_of(CAT)}/thumbnail")).status_code == 200
