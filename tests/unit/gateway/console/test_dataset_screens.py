"""The screens of versions that were made from another one."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from contract.access import Role
from services.storage.stores import Stores
from tests.support.erasures import sha256_of
from tests.support.images import png
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
