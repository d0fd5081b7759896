"""The review screens: what is left for whom, what the next version will have, and what a labeller may see."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import update

from contract.access import DEFAULT_PROJECT, Role
from contract.artifacts import Bucket, ObjectRef
from contract.errors import Invalid
from contract.jobs import JobKind
from contract.kinds.train import TrainRequest, TrainSpec
from contract.reviews import LabelErrorsRequest, NewReview, PredictionsRequest, ReviewAnswer
from services.gateway.console.screens.review_queue import source_of
from services.storage.people.queue import ReviewFilter
from services.storage.people.removal import WITHOUT_IMAGE
from services.storage.people.rows import Reviewer
from services.storage.screens.next_versions import NextVersions
from services.storage.screens.reviews import ReviewScreens
from services.storage.stores import Stores
from services.storage.tables import review_items
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, PREPROCESS_REQUEST
from tests.support.publication import publish

pytestmark = pytest.mark.anyio

ADA, BOB = Reviewer("0123abcd", "ada"), Reviewer("b0b0b0b0", "bob")
OWN = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
REFUSAL = "Your key may only review images"
# no pages: assets, the stream, and what belongs to signing in
OPEN = {"/console/{build}/{name:path}", "/sign-in", "/sign-out", "/console/links", "/"}
OWN_PAGES = {"/review", "/review/progress", "/review/undo"}


def sample(number: int, **changes: object) -> NewReview:
    """An item of the model pet-cnn, whose guess is a cat."""
    sha256 = f"{number:064x}"
    copy = ObjectRef(bucket=Bucket.JOBS, key=f"samples/{number}", size=1, sha256=sha256)
    values = {"source": "margin", "sha256": sha256, "model": "pet-cnn", "file": copy, "guess": (("cat", 0.6),)}
    return NewReview.model_validate(values | changes)


def of_dataset(number: int, label_now: str) -> NewReview:
    """An item about the label of an image of pets@1."""
    return sample(number, source="label_errors", dataset="pets@1", file=None, label_now=label_now)


def answer(stores: Stores, person: Reviewer, *answers: ReviewAnswer) -> None:
    reviews = stores.of(DEFAULT_PROJECT).reviews
    for item, given in zip(reviews.batch(person, len(answers)).items, answers, strict=True):
        reviews.answer(item.id, item.lease, person, given)


def test_what_a_person_has_answered_is_not_left_for_them(stores: Stores) -> None:
    stores.of(DEFAULT_PROJECT).reviews.add([sample(1, votes=2), sample(2), of_dataset(3, "cat")])
    answer(stores, ADA, ReviewAnswer(label="cat"))
    screens, since = ReviewScreens(stores.database, DEFAULT_PROJECT), stores.database.now() - timedelta(hours=1)

    assert screens.standing(ADA.id, since).left == 2
    assert screens.standing(BOB.id, since).left == 3
    assert screens.standing(BOB.id, since, ReviewFilter(dataset="pets")).left == 1
    assert screens.standing(BOB.id, since).of(ADA.id) == 1
    assert screens.standing(ADA.id, since + timedelta(hours=2)).of(ADA.id) == 0


def test_the_next_version_is_described_before_it_is_made(stores: Stores) -> None:
    publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST)
    spec = TrainSpec(dataset="pets@1", model="pet-cnn")
    publish(
        stores, TrainRequest(kind=JobKind.TRAIN, spec=spec), MODEL_MANIFEST.model_copy(update={"dataset": "pets@1"})
    )
    items = [of_dataset(1, "cat"), of_dataset(2, "cat"), of_dataset(3, "cat"), sample(4), sample(5)]
    items = [item.model_copy(update={"priority": float(-number)}) for number, item in enumerate(items)]
    stores.of(DEFAULT_PROJECT).reviews.add([*items, sample(6, model="gone", priority=-9.0)])
    none, dog = ReviewAnswer(not_any=True), ReviewAnswer(label="dog")
    answer(stores, ADA, ReviewAnswer(label="cat"), dog, none, dog, none, dog)

    (version,), homeless = NextVersions(stores.database, DEFAULT_PROJECT).list()

    assert (version.dataset, version.parent, version.changes) == ("pets", 1, 3)
    assert (version.confirmed, version.relabelled, version.removed) == (1, 1, 1)
    assert (version.added, version.left_out, version.most_labels) == (1, 1, [("dog", 2)])
    assert homeless == 1


def test_forms_become_sources() -> None:
    errors = source_of({"source": "label_errors", "evaluation": "a-job", "dataset": ""})
    doubtful = source_of({"source": "predictions", "job": "a-job", "below": "60", "limit": "50"})

    assert errors == LabelErrorsRequest(source="label_errors", evaluation="a-job")
    assert doubtful == PredictionsRequest(source="predictions", job="a-job", below=0.6, limit=50)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"source": "predictions", "job": "a", "limit": "many"}, "must be numbers"),
        ({"source": "predictions", "job": "a", "below": "0"}, "below"),
        ({"source": "elsewhere"}, "source"),
    ],
)
def test_a_wrong_form_says_what_to_change(form: dict[str, str], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        source_of(form)


@pytest.fixture
async def labeller(app: FastAPI, stores: Stores) -> AsyncIterator[httpx.AsyncClient]:
    """The browser of a labeller."""
    key = stores.of(DEFAULT_PROJECT).keys.create("lea", Role.LABELLER)
    cookies = {"tidepool": stores.sessions.create(key.id)}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url="https://tidepool", cookies=cookies, headers=OWN
    ) as client:
        yield client


async def test_every_other_page_refuses_a_labeller_with_the_same_words(
    app: FastAPI, labeller: httpx.AsyncClient
) -> None:
    documented = app.openapi()["paths"]
    api = re.compile(r"/v\d|/docs|/openapi|/metrics|/healthz|/readyz")
    pages = [
        (method, route.path)
        for route in iter_route_contexts(app.routes)
        for method in sorted(set(route.methods or ()) & {"GET", "POST"})
        if route.path not in documented and not api.match(route.path) and route.path not in OPEN | OWN_PAGES
    ]
    assert len(pages) > 40

    for method, path in pages:
        response = await labeller.request(method, re.sub(r"{(\w+)(:\w+)?}", "1", path))
        expected = "only a key with the role instance-admin" if path == "/project" else REFUSAL
        assert response.status_code == 403, (method, path)
        assert path == "/live" or expected.casefold() in response.text.casefold(), (method, path)


async def test_a_filter_without_images_says_how_many_others_wait(labeller: httpx.AsyncClient, stores: Stores) -> None:
    nothing = await labeller.get("/review?model=nosuch&dataset=pets@1")
    assert "No image of nosuch and pets@1 waits for you" in nothing.text
    assert '<a class="button first" href="/review">All images</a>' in nothing.text

    stores.of(DEFAULT_PROJECT).reviews.add([sample(1), sample(2)])
    others = await labeller.get("/review?model=nosuch")
    assert "No image of nosuch waits for you" in others.text
    assert '<a class="button first" href="/review">Review the 2 others that wait</a>' in others.text


async def test_a_labeller_comes_to_the_review_screen(labeller: httpx.AsyncClient, stores: Stores) -> None:
    stores.of(DEFAULT_PROJECT).reviews.add([sample(1)])

    assert (await labeller.get("/")).headers["location"] == "/review"
    page = await labeller.get("/review")
    assert page.status_code == 200
    assert set(re.findall(r'<a [^>]*href="(/[^"]*)"', page.text)) == {"/", "/review", "/sign-in?next=/review"}


async def test_the_newest_answers_show_their_images(app: FastAPI, stores: Stores) -> None:
    # given answers about an image of a version, one of a deleted version, a copy, and a copy that has expired
    publish(stores, PREPROCESS_REQUEST, DATASET_MANIFEST)
    items = [of_dataset(1, "cat"), of_dataset(2, "cat").model_copy(update={"dataset": "pets@2"}), sample(3), sample(4)]
    own = stores.of(DEFAULT_PROJECT)
    own.reviews.add([item.model_copy(update={"priority": float(-number)}) for number, item in enumerate(items)])
    answer(stores, ADA, *[ReviewAnswer(label="dog")] * 4)
    ids = {row.sha256: row.item_id for row in ReviewScreens(stores.database, DEFAULT_PROJECT).recent(9)}
    hashes = [item.sha256 for item in items]
    with stores.database.write() as connection:
        expired = update(review_items).where(review_items.c.id == ids[hashes[3]])
        connection.execute(expired.values(WITHOUT_IMAGE))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://tidepool") as client:
        pages = []
        for role in (Role.MEMBER, Role.VIEWER):
            session = stores.sessions.create(own.keys.create(role, role).id)
            pages.append((await client.get("/review/queue", headers=OWN | {"Cookie": f"tidepool={session}"})).text)

    # then those that can be shown have a thumbnail that opens the image; a copy is only shown to reviewers
    links = [re.findall(r'<a class="thumbs" href="([^"]+)"><img src="([^"]+)"', page) for page in pages]
    of_version = f"/datasets/pets/1/images/{hashes[0]}", f"/v1/datasets/pets/versions/1/images/{hashes[0]}/thumbnail"
    of_copy = (f"/v1/reviews/{ids[hashes[2]]}/image",) * 2
    assert sorted(links[0]) == sorted([of_version, of_copy])
    assert links[1] == [of_version]
    for page in pages:
        assert f'<td class="mono faint">{hashes[3][:10]}</td>' in page
