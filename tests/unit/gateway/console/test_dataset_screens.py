"""The screens of versions that were made from another one, and of an image that is erased."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from contract.access import DEFAULT_PROJECT, Role
from contract.jobs import JobKind
from contract.reviews import NewReview
from services.preprocess.erasing import erase
from services.storage.stores import Stores
from tests.examples import MODEL_MANIFEST, TRAIN_REQUEST
from tests.support.erasures import sha256_of
from tests.support.images import png
from tests.support.job_runs import run_due
from tests.support.publication import publish
from tests.support.revisions import FILES, Revisions, change

pytestmark = pytest.mark.anyio


async def test_two_versions_show_what_differs_image_by_image(app: FastAPI, stores: Stores, tmp_path: Path) -> None:
    # given a version with an added, a removed and a relabelled image, and a change that was held back
    revisions = Revisions(stores, tmp_path)
    revisions.prepare(FILES | {"test/cat/copy.png": FILES["train/cat/1.png"]})
    item = revisions.sample(png(60), label="emu")
    changes = [change(FILES["train/cat/1.png"], "dog"), change(FILES["train/dog/2.png"])]
    revisions.revised(changes=changes, reviews=[item])
    session = stores.sessions.create(stores.keys.create("ada", Role.VIEWER).id)
    headers = {"Cookie": f"tidepool={session}", "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}

    # when they are looked at
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://tidepool") as client:
        comparison = await client.get("/datasets/pets/compare/1/2", headers=headers)
        version = await client.get("/datasets/pets/2", headers=headers)

    # then the pages say so
    assert comparison.status_code == 200
    for text in ("Relabelled", "<s>cat</s> dog", "Only in version 2", "Only in version 1", "was held back"):
        assert text in comparison.text, text
    assert comparison.text.count(sha256_of(FILES["train/cat/1.png"])) == 2  # the image and its link
    assert version.status_code == 200
    assert "1 relabelled, 1 added, 1 removed" in version.text
    assert 'href="/datasets/pets/compare/1/2"' in version.text
    assert "/v1/datasets/pets/versions/2/export?format=coco" in version.text


async def test_an_image_is_erased_from_its_page(app: FastAPI, stores: Stores, tmp_path: Path) -> None:
    # given an image that two versions and the review queue have, and a model that was trained on it
    own, image = stores.of(DEFAULT_PROJECT), FILES["train/cat/1.png"]
    revisions = Revisions(stores, tmp_path)
    revisions.prepare(FILES)
    revisions.revised(changes=[change(FILES["train/dog/2.png"], "cat")])
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    own.reviews.add([NewReview(source="label_errors", sha256=sha256_of(image), dataset="pets@1", label_now="cat")])
    path = f"/datasets/pets/1/images/{sha256_of(image)}"
    viewer, member = (
        {"Cookie": f"tidepool={stores.sessions.create(stores.keys.create(role, role).id)}"}
        | {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
        for role in (Role.VIEWER, Role.MEMBER)
    )

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://tidepool") as client:
        # then its page names the item, and only offers the erasure to those who may change the project
        page = (await client.get(path, headers=member)).text
        assert '<a href="/review/queue">1 item</a>' in page
        assert f'action="{path}/erase" data-confirm=' in page
        assert "/erase" not in (await client.get(path, headers=viewer)).text
        assert (await client.post(f"{path}/erase", headers=viewer)).status_code == 403
        elsewhere = path.replace(sha256_of(image), "0" * 64)
        assert (await client.post(f"{elsewhere}/erase", headers=member)).status_code == 404

        # when it is erased, twice, then there is one job, to which the page leads
        answers = [await client.post(f"{path}/erase", headers=member) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [303, 303]
        assert answers[0].headers["Location"] == answers[1].headers["Location"]
        page = (await client.get(path, headers=member)).text
        assert f'href="{answers[0].headers["Location"]}">It is being erased' in page
        run_due(stores, JobKind.ERASE, erase, tmp_path / "erasure")

        # and when the job has ended, the image is gone, and the pages of what had it say so
        assert (await client.get(path, headers=member)).status_code == 404
        assert not own.holdings.reviews(sha256_of(image))
        for address in ("/datasets/pets/1", "/datasets/pets/2"):
            assert "1 image was erased since." in (await client.get(address, headers=viewer)).text
        model = (await client.get("/models/pet-cnn/1", headers=viewer)).text
        assert "1 image of its training was erased since." in model
