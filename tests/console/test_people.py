"""Sampling, drift and pipelines: turned on, looked at, and started by a person."""

import pytest
from playwright.sync_api import Page, expect

from contract.errors import NotFound
from contract.references import Reference
from tests.console.conftest import Complaints
from tests.console.people_seed import add_drift, add_pipeline
from tests.console.site import Site


@pytest.fixture
def site(filled_site: Site) -> Site:
    """One site for all tests of this file."""
    return filled_site


def test_an_empty_queue_offers_to_sample_an_alias(page: Page, site: Site) -> None:
    page.goto("/review")
    page.get_by_role("button", name="Sample 200 images a day of clothing@production").click()

    expect(page.get_by_text("Up to 200 images a day of clothing@production")).to_be_visible()
    expect(page.get_by_role("button", name="Sample 200 images a day of clothing@production")).to_have_count(0)
    assert site.own.sampling.get("clothing", "production").rate_per_day == 200
    site.own.sampling.stop("clothing", "production")


def test_sampling_is_turned_on_changed_and_off(page: Page, site: Site) -> None:
    page.goto("/serving/clothing")
    page.get_by_role("button", name="Sample 200 images a day").click()
    expect(page.get_by_role("status")).to_contain_text("Up to 200 images a day of clothing@production")
    page.get_by_text("Change settings").click()
    page.get_by_label("Images a day").fill("50")
    page.get_by_label("The model is unsure").fill("80")
    page.get_by_label("The shadow disagrees").fill("0")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("At most 50 images a day: 80 % unsure, 20 % random")).to_be_visible()
    assert site.own.sampling.get("clothing", "production").mix.margin == 0.8

    page.get_by_role("button", name="Turn sampling off").click()
    expect(page.get_by_role("status")).to_contain_text("are no longer sampled")
    with pytest.raises(NotFound):
        site.own.sampling.get("clothing", "production")


def test_drift_shows_what_changed_and_alarms_on_the_home_screen(page: Page, site: Site) -> None:
    page.goto("/serving/clothing/production/drift")
    expect(page.get_by_text("no reference", exact=True)).to_be_visible()
    labels = site.own.models.manifest(Reference(name="clothing", version=3))[1].labels
    add_drift(site, "clothing", 3, labels, darker=60.0)
    page.reload()

    expect(page.get_by_text("drift alarm", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Brightness")).to_be_visible()
    expect(page.get_by_role("region", name="By day").get_by_role("row")).to_have_count(13)
    page.goto("/")
    page.get_by_role("link", name="The requests of clothing@production have changed").click()
    expect(page.get_by_role("heading", name="Drift of clothing@production")).to_be_visible()


def test_a_pipeline_is_created_started_and_paused(page: Page, site: Site) -> None:
    page.goto("/pipelines")
    page.get_by_label("Improves").select_option(label="clothing@production, trained on clothing")
    page.get_by_label("at these times").fill("0 3 * * 1")
    page.get_by_role("button", name="Create the pipeline").click()
    expect(page.get_by_role("heading", name="clothing-retraining")).to_be_visible()
    expect(page.get_by_text("At 03:00 on Monday (UTC), or after 200 reviewed images.", exact=True)).to_be_visible()
    page.get_by_role("button", name="Run now").click()
    expect(page.get_by_role("region", name="Runs")).to_contain_text("started by a person")
    expect(page.get_by_role("button", name="Run now")).to_be_disabled()
    page.get_by_role("button", name="Pause").click()

    expect(page.get_by_text("no longer starts runs by itself")).to_be_visible()
    assert site.own.pipelines.get("clothing-retraining").paused
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete", exact=True).last.click()
    expect(page.get_by_text("The pipeline clothing-retraining was deleted")).to_be_visible()


def test_a_wrong_time_is_explained_and_the_form_keeps_its_values(page: Page, complaints: Complaints) -> None:
    complaints.expected.append("422")
    page.goto("/pipelines")
    page.get_by_label("at these times").fill("every day")
    page.get_by_label("after this many new labels").fill("77")
    page.get_by_role("button", name="Create the pipeline").click()

    expect(page.get_by_role("alert")).to_contain_text("is not a cron expression")
    expect(page.get_by_label("after this many new labels")).to_have_value("77")


def test_the_gates_reason_is_on_the_home_screen_and_a_click_promotes(page: Page, site: Site) -> None:
    add_pipeline(site)
    page.goto("/")
    page.get_by_role("link", name="clothing@2 has passed the gate and waits for you").click()
    expect(page.get_by_text("hat fell from 91.2 % to 79.4 %")).to_be_visible()
    page.get_by_role("button", name="Promote clothing@2").click()
    page.get_by_role("button", name="Promote", exact=True).click()

    expect(page.get_by_text("clothing@production is version 2 now")).to_be_visible()
    (alias,) = site.own.models.named("clothing").aliases
    assert alias.versions == {2: 100}
