"""/v1/reviews and /v1/feedback"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract.access import DEFAULT_PROJECT, Role, Scope
from contract.artifacts import Bucket
from contract.datasets import Split
from contract.reviews import NewReview
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.support.erasures import Erasures, sha256_of
from tests.support.images import png
from tests.support.problems import problem
from tests.unit.gateway.test_dependencies import ANY_KEY, SCOPES, request_of, send

pytestmark = pytest.mark.anyio

IMAGE = png(99)
FILES = {"train/cat/secret.png": IMAGE, "train/dog/1.png": png(2), "test/cat/2.png": png(3), "test/dog/3.png": png(4)}
OF_DATASET = NewReview(
    source="label_errors", dataset="pets@1", split=Split.TRAIN, sha256=sha256_of(IMAGE), label_now="cat"
)


@pytest.fixture
def labeller(client_with: Callable[..., httpx.AsyncClient]) -> httpx.AsyncClient:
    return client_with(Scope.REVIEW)


@pytest.fixture
def erasures(stores: Stores, tmp_path: Path) -> Erasures:
    """pets@1 with FILES, and its image in the queue."""
    made = Erasures(stores, tmp_path)
    made.prepare(FILES)
    stores.of(DEFAULT_PROJECT).reviews.add([OF_DATASET])
    return made


def add_sample(stores: Stores, file: bytes = IMAGE) -> None:
    copy = stores.objects.put(Bucket.UPLOADS, "sample", file)
    stores.of(DEFAULT_PROJECT).reviews.add(
        [NewReview(source="margin", sha256=copy.sha256, file=copy, prediction="a-request", guess=(("cat", 0.5),))]
    )


async def leased(client: httpx.AsyncClient, **query: str) -> dict[str, Any]:
    """The next item."""
    response = await client.get("/v1/reviews/next", params=query)
    assert response.status_code == 200, response.text
    (item,) = response.json()["items"]
    return dict(item)


async def test_an_image_is_reviewed(labeller: httpx.AsyncClient, client: httpx.AsyncClient, erasures: Erasures) -> None:
    # given an image that a labeller sees
    item = await leased(labeller, dataset="pets")
    assert (item["label_now"], item["classes"], item["leased_until"] is None) == ("cat", ["cat", "dog"], False)
    image = await labeller.get(f"/v1/reviews/{item['id']}/image")
    assert (image.status_code, image.content, image.headers["content-type"]) == (200, IMAGE, "image/png")

    # when the labeller answers
    answer = await labeller.post(f"/v1/reviews/{item['id']}", json={"lease": item["lease"], "label": "dog"})

    # then it is decided
    assert (answer.json()["state"], answer.json()["label"]) == ("done", "dog")
    progress = (await labeller.get("/v1/reviews/progress")).json()
    assert (progress["counts"], progress["not_applied"]) == ({"done": 1}, 1)
    (listed,) = (await client.get("/v1/reviews", params={"state": "done", "source": "label_errors"})).json()["items"]
    assert [given["reviewer_name"] for given in listed["answers"]] == ["test"]
    # and each view is in the audit trail
    audit = (await client.get("/v1/audit", params={"action": "view"})).json()["items"]
    assert [(entry["subject"], entry["detail"]) for entry in audit] == [
        (f"images/{sha256_of(IMAGE)}", f"reviews/{item['id']}")
    ]


async def test_a_labeller_sees_nothing_but_the_queue(app: Any, stores: Stores) -> None:
    secret = stores.keys.create("ann", Role.LABELLER).secret
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), headers=headers) as client:
        statuses = {operation: (await send(client, request_of(operation))).status_code for operation in SCOPES}

    allowed = {operation for operation, status in statuses.items() if status not in {401, 403}}
    assert allowed == {operation for operation, scope in SCOPES.items() if scope is Scope.REVIEW}
    assert all("/v1/reviews" in operation for operation in allowed)
    assert {"GET /v2", "GET /v1/me"} == ANY_KEY


async def test_an_empty_queue_says_why(labeller: httpx.AsyncClient, client: httpx.AsyncClient, stores: Stores) -> None:
    empty = (await labeller.get("/v1/reviews/next")).json()
    assert (empty["items"], "POST /v1/reviews/sources" in empty["reason"]) == ([], True)

    add_sample(stores)
    await leased(client)
    held = (await labeller.get("/v1/reviews/next")).json()
    assert (held["items"], "people hold 1 of the 1 images" in held["reason"]) == ([], True)


async def test_a_refused_answer_says_what_to_change(labeller: httpx.AsyncClient, stores: Stores) -> None:
    add_sample(stores)
    item = await leased(labeller)

    async def answer(**body: object) -> httpx.Response:
        return await labeller.post(f"/v1/reviews/{item['id']}", json={"lease": item["lease"], **body})

    assert "did you mean 'cat'" in problem(await answer(label="Cats"), 422, "invalid").detail
    assert "unprintable" in problem(await answer(label="zebra\u200b", new=True), 422, "invalid").detail
    assert "exactly one" in problem(await answer(label="cat", skip=True), 422, "invalid").detail
    assert "handed out again" in problem(await answer(label="cat", lease="old"), 409, "conflict").detail
    assert (await answer(label="Cats", new=True)).json()["label"] == "Cats"
    assert "undo" in problem(await answer(label="cat"), 409, "conflict").detail
    other = await labeller.post("/v1/reviews/unknown", json={"lease": "a", "skip": True})
    problem(other, 404, "not_found")


async def test_an_undo_that_is_repeated_goes_back_once(labeller: httpx.AsyncClient, stores: Stores) -> None:
    for file in (png(1), png(2)):
        add_sample(stores, file)
        item = await leased(labeller)
        await labeller.post(f"/v1/reviews/{item['id']}", json={"lease": item["lease"], "not_any": True})

    undone = [await labeller.post("/v1/reviews/undo", headers={"Idempotency-Key": "one"}) for _ in range(2)]

    assert [answer.json()["id"] for answer in undone] == [item["id"]] * 2
    assert (await labeller.get("/v1/reviews/progress")).json()["counts"] == {"open": 1, "done": 1}
    lease = undone[0].json()["lease"]
    extended = await labeller.post(f"/v1/reviews/{item['id']}/lease", json={"lease": lease})
    assert extended.json()["lease"] == lease


async def test_an_image_that_browsers_do_not_show_is_shown_as_it_was_prepared(
    labeller: httpx.AsyncClient, stores: Stores, tmp_path: Path
) -> None:
    Erasures(stores, tmp_path).prepare(FILES, "tar.gz")  # of which no part can be read
    stores.of(DEFAULT_PROJECT).reviews.add([OF_DATASET])
    item = await leased(labeller)

    image = await labeller.get(f"/v1/reviews/{item['id']}/image")

    assert (image.status_code, image.headers["content-type"]) == (200, "image/jpeg")


async def test_a_damaged_original_is_shown_as_it_was_prepared(
    labeller: httpx.AsyncClient, stores: Stores, objects: MemoryObjects, erasures: Erasures
) -> None:
    item = await leased(labeller)
    for bucket, key in objects.content:
        if bucket is Bucket.UPLOADS:
            objects.content[bucket, key] = bytes(len(objects.content[bucket, key]))

    image = await labeller.get(f"/v1/reviews/{item['id']}/image")

    assert (image.status_code, image.headers["content-type"]) == (200, "image/jpeg")


async def test_nothing_is_answered_as_somebody_else(labeller: httpx.AsyncClient, stores: Stores) -> None:
    add_sample(stores)
    response = await labeller.get("/v1/reviews/next")
    (item,) = response.json()["items"]
    me = (await labeller.get("/v1/me")).json()
    assert response.headers["cache-control"] == "no-store"

    async def answer(reviewer: str) -> httpx.Response:
        body, headers = {"lease": item["lease"], "label": "cat"}, {"Tidepool-Reviewer": reviewer}
        return await labeller.post(f"/v1/reviews/{item['id']}", json=body, headers=headers)

    for other in (f"0000ffff@{me['project']}", f"{me['id']}@other"):
        assert "another project" in problem(await answer(other), 401, "unauthenticated").detail
    assert (await answer(f"{me['id']}@{me['project']}")).json()["state"] == "done"


async def test_an_erased_image_is_gone_from_the_queue(
    client: httpx.AsyncClient, stores: Stores, objects: MemoryObjects, erasures: Erasures, tmp_path: Path
) -> None:
    item = await leased(client)
    holding = (await client.get(f"/v1/images/{sha256_of(IMAGE)}")).json()
    assert holding["reviews"] == [item["id"]]

    job = erasures.erase(IMAGE)

    assert job.result is not None
    assert job.result["reviews"] == 1
    problem(await client.get(f"/v1/reviews/{item['id']}/image"), 404, "not_found")
    answer = await client.post(f"/v1/reviews/{item['id']}", json={"lease": item["lease"], "skip": True})
    problem(answer, 404, "not_found")
    assert (await client.get("/v1/reviews")).json()["items"] == []


async def test_an_image_that_only_the_queue_has_is_erased_by_the_hash_of_what_was_sent(
    client: httpx.AsyncClient, stores: Stores, erasures: Erasures
) -> None:
    copy = stores.objects.put(Bucket.UPLOADS, "sample", b"copy")
    sent = sha256_of(b"sent")
    sample = NewReview(source="random", sha256=copy.sha256, original_sha256=sent, file=copy)
    stores.of(DEFAULT_PROJECT).reviews.add([sample])

    holding = (await client.get(f"/v1/images/{sent}")).json()
    job = (await client.delete(f"/v1/images/{sent}")).json()

    assert (holding["sha256"], len(holding["reviews"]), holding["versions"]) == (copy.sha256, 1, [])
    assert job["spec"] == {"sha256": copy.sha256}


async def test_feedback_about_a_sample_is_an_answer(
    client_with: Callable[..., httpx.AsyncClient], stores: Stores
) -> None:
    add_sample(stores)
    application = client_with(Scope.PREDICT)

    results = [
        (await application.post("/v1/feedback", json={"prediction": prediction, "label": "cat"})).json()
        for prediction in ("a-request", "another")
    ]

    assert [result["review"] is not None for result in results] == [True, False]
    assert "was not sampled" in results[1]["note"]
    (answered,) = stores.of(DEFAULT_PROJECT).reviews.answered()
    assert (answered.id, answered.label) == (results[0]["review"], "cat")
