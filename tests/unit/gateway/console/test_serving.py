"""The serving screen: what it says of a change."""

import re

import httpx
import pytest

from contract.access import DEFAULT_PROJECT
from services.storage.stores import Stores
from tests.examples import MODEL_MANIFEST, TRAIN_REQUEST
from tests.support.publication import publish

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model")]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"share-2": "0", "share-1": "100"}, "pet-cnn@production is version 1 now."),
        ({"share-1": "100", "again": "1"}, "pet-cnn@production is version 1 again."),
        ({"share-1": "90", "share-2": "10"}, "pet-cnn@production: version 1 gets 90 %, version 2 gets 10 %."),
        ({"share-2": "100", "shadow": "1"}, "pet-cnn@production is version 2 now, with version 1 as its shadow."),
    ],
)
async def test_a_change_of_traffic_is_said_in_words(
    browser: httpx.AsyncClient, stores: Stores, form: dict[str, str], said: str
) -> None:
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    stores.of(DEFAULT_PROJECT).models.set_alias("pet-cnn", "production", 2)

    response = await browser.post("/serving/pet-cnn/production", data=form, follow_redirects=True)

    assert said in response.text


async def test_a_rollback_says_that_the_version_serves_again(browser: httpx.AsyncClient, stores: Stores) -> None:
    publish(stores, TRAIN_REQUEST, MODEL_MANIFEST)
    stores.of(DEFAULT_PROJECT).models.set_alias("pet-cnn", "production", 1)
    for version in (1, 2):
        form = {f"share-{version}": "100"}
        page = await browser.post("/serving/pet-cnn/production", data=form, follow_redirects=True)

    rollback = page.text[: page.text.index("Roll back to version 1")].rpartition("<form")[2]
    form = dict(re.findall('name="([^"]*)" value="([^"]*)"', rollback))
    page = await browser.post("/serving/pet-cnn/production", data=form, follow_redirects=True)

    assert "pet-cnn@production is version 1 again." in page.text
