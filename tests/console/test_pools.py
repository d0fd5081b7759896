"""The pools of replicas: their numbers, the reasons, and their bounds."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import insert

from contract.access import Role
from contract.pools import Measured, PoolMode
from contract.usage import Purpose, Use
from services.storage import tables
from tests.console.conftest import Complaints, NewPage
from tests.console.models_seed import findings
from tests.console.site import Site, running_site

LOAD = Measured(at=0, ready=1, waiting=7, running=1)


@pytest.fixture(scope="module")
def filled_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("pools")) as site:
        for replicas in (2, 3, 1):
            site.own.pools.set_manual("inference", replicas, LOAD)
        yield site


@pytest.fixture
def site(filled_site: Site) -> Site:
    """One site for all tests of this file."""
    return filled_site


def test_the_pools_say_why_they_have_their_size(page: Page) -> None:
    page.goto("/pools")
    inference = page.get_by_role("region", name="inference", exact=True)

    expect(inference.get_by_text("Set by hand to 3")).to_be_visible()
    inference.get_by_role("link", name="All changes").click()
    expect(page.get_by_role("row", name="Set by hand to 2")).to_contain_text("7")
    assert findings(page) == []


def test_a_pool_follows_its_load_within_the_bounds_of_the_sliders(page: Page, site: Site) -> None:
    page.goto("/pools")
    trainer = page.get_by_role("region", name="trainer", exact=True)
    trainer.get_by_label("Follow the load").check()
    trainer.get_by_label("At most").fill("5")
    trainer.get_by_label("At least").fill("0")
    trainer.get_by_role("button", name="Apply").click()

    expect(page.get_by_role("status")).to_contain_text("from 0 to 5")
    setting = site.own.pools.get("trainer")
    assert (setting.mode, setting.policy.min, setting.policy.max) == (PoolMode.AUTO, 0, 5)


def test_the_sliders_forecast_what_the_bounds_would_have_done(page: Page, site: Site) -> None:
    now = site.own.database.now()
    for minutes in (30, 200, 400):
        row = {"pool": "inference", "minute": now - timedelta(minutes=minutes), "requests": 600}
        with site.own.database.write() as connection:
            connection.execute(insert(tables.traffic).values(row))
    site.stores.ledger.add("inference", False, {Use(Purpose.ONLINE): 180.0})
    page.goto("/pools")
    inference = page.get_by_role("region", name="inference", exact=True)
    inference.get_by_label("Follow the load").check()
    inference.get_by_label("At least").fill("0")
    inference.get_by_label("At most").fill("4")

    expect(inference.get_by_text("The last day with 0 to 4")).to_be_visible(timeout=20_000)
    expect(inference.get_by_text("always 4: 96.0")).to_be_visible()
    expect(inference.locator("dd").last).to_contain_text("less")
    assert findings(page) == []

    trainer = page.get_by_role("region", name="trainer", exact=True)
    trainer.get_by_label("Follow the load").check()
    trainer.get_by_label("At most").fill("5")
    expect(trainer.get_by_text("Nothing ran in this pool in the last day")).to_be_visible()


def test_the_numbers_are_live(page: Page, site: Site) -> None:
    page.goto("/pools")
    preprocess = page.get_by_role("region", name="preprocess", exact=True)
    expect(page.locator("body")).to_have_attribute("data-connection", "live")
    page.wait_for_timeout(1200)
    site.own.pools.set_manual("preprocess", 4, LOAD)

    expect(preprocess.locator('[data-field="desired"]')).to_have_text("4")
    expect(preprocess.get_by_text("Set by hand to 4")).to_be_visible()


def test_only_an_instances_admin_changes_pools(new_page: NewPage, complaints: Complaints) -> None:
    complaints.expected.append("403")
    page = new_page(Role.ADMIN)
    page.goto("/pools")

    expect(page.get_by_role("button", name="Apply")).to_have_count(0)
    response = page.request.post(
        "/pools/trainer", form={"mode": "manual", "replicas": "9"}, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert response.status == 403


def test_pools_fit_a_narrow_dark_screen(new_page: NewPage) -> None:
    page = new_page(width=360, height=640, dark=True)
    page.goto("/pools")

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert findings(page) == []
