"""Comparing versions, and dividing the traffic of an alias."""

import pytest
from playwright.sync_api import Page, expect

from contract.catalog import Traffic
from contract.jobs import JobKind
from services.storage.jobs.jobs import JobFilter
from tests.console.conftest import Complaints, NewPage
from tests.console.models_seed import findings
from tests.console.site import Site
from tests.support.images import png


@pytest.fixture
def site(filled_site: Site) -> Site:
    """One site for all tests of this file, with the same traffic at the beginning of each."""
    filled_site.own.models.split_alias("clothing", "production", Traffic(versions={3: 90, 2: 10}, shadow=4))
    filled_site.backends.forget_models()
    return filled_site


def test_versions_are_compared_by_what_differs(page: Page) -> None:
    page.goto("/models/clothing")
    for version in (3, 4):
        page.get_by_label(f"Compare version {version}").check()
    page.get_by_role("button", name="Compare ticked versions").click()
    page.get_by_placeholder("name or name@version").fill("clothing-small")
    page.get_by_role("button", name="Add").click()

    expect(page.get_by_role("row", name="Method")).to_contain_text("scratch")
    expect(page.get_by_role("row", name="Accuracy").locator(".best")).to_have_count(1)
    expect(page.get_by_text("The same in all:")).to_contain_text("trained on")
    expect(page.get_by_text("p = 0.052")).to_be_visible()
    assert findings(page) == []


def test_two_versions_are_judged_on_the_same_images(page: Page, site: Site) -> None:
    page.goto("/compare?model=clothing@2&model=clothing@1")
    page.get_by_role("button", name="Judge v2 against v1").click()

    expect(page.get_by_text("clothing@2 against clothing@1 on clothing@1")).to_be_visible()
    (job,) = site.own.jobs.list(JobFilter(kind=JobKind("evaluate"), model="clothing"), 1).items
    assert (job.spec["model"], job.spec["compare_with"]) == ("clothing@2", "clothing@1")


def test_seven_versions_are_too_many(page: Page, complaints: Complaints) -> None:
    complaints.expected.append("422")
    page.goto("/compare?" + "&".join(f"model=clothing@{number}" for number in range(1, 8)))

    expect(page.get_by_text("Compare at most 6 versions; you chose 7.")).to_be_visible()


def test_a_slider_moves_traffic_from_one_version_to_another(page: Page, site: Site) -> None:
    page.goto("/serving/clothing")
    page.get_by_label("Share of version 3, percent").fill("40")
    page.get_by_role("button", name="Apply").click()

    expect(page.get_by_role("status")).to_contain_text("clothing@production: version 3 gets 40 %")
    (alias,) = site.own.models.named("clothing").aliases
    assert (alias.versions, alias.shadow) == ({3: 40, 2: 60}, 4)


def test_the_shadow_is_promoted_and_rolled_back_with_one_click(page: Page, site: Site) -> None:
    page.goto("/serving/clothing")
    page.get_by_role("button", name="Promote the shadow, v4").click()
    page.get_by_role("button", name="Promote", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("version 4 now")
    page.get_by_role("button", name="Roll back").click()

    expect(page.get_by_role("status")).to_contain_text("version 3 gets 90 %, version 2 gets 10 %, with version 4")
    assert findings(page) == []


def test_an_alias_is_made_and_removed(page: Page, site: Site) -> None:
    page.goto("/serving/clothing-small")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", name="production")).to_be_visible()
    page.get_by_role("button", name="Remove the alias").click()
    page.get_by_role("button", name="Remove", exact=True).click()

    expect(page.get_by_role("heading", name="No alias yet")).to_be_visible()
    assert site.own.models.named("clothing-small").aliases == ()


def test_requests_count_for_the_version_that_answered(page: Page, site: Site) -> None:
    key = site.key()
    for _ in range(3):
        page.request.post(
            f"{site.url}/v1/models/signs/predict",
            headers={"Authorization": f"Bearer {key}", "Content-Type": "image/png"},
            data=png(1),
        )
    page.goto("/serving/signs")

    cell = page.get_by_role("row", name="Version 1").get_by_role("cell").first
    expect(cell).to_have_text("3")


def test_shares_that_do_not_add_up_are_refused(page: Page, complaints: Complaints) -> None:
    response = page.request.post(
        "/serving/clothing/production",
        form={"share-3": "50", "share-2": "20"},
        headers={"Sec-Fetch-Site": "same-origin", "Accept": "text/html"},
    )

    assert response.status == 422
    assert "add up to 70 %" in response.text()


@pytest.mark.parametrize(
    "path", ["/compare", "/compare?model=clothing@3&model=clothing@4", "/serving", "/serving/clothing"]
)
def test_serving_and_comparison_fit_a_narrow_dark_screen(new_page: NewPage, path: str) -> None:
    page = new_page(width=360, height=640, dark=True)
    page.goto(path)

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert findings(page) == []
