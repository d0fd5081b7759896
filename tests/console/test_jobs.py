"""Jobs and trainings: why one failed, live progress and curves, cancel, retry, filters in the address."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from contract.access import Role
from contract.artifacts import Bucket
from contract.errors import BadDataset
from contract.jobs import JobKind, JobState, Progress
from contract.kinds.train import TrainRequest, TrainSpec
from contract.projects import NewProjectRequest
from services.storage.jobs.claims import Claim
from services.storage.jobs.leases import Leases
from tests.console.conftest import NewPage
from tests.console.demo import epochs
from tests.console.site import Site
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, PREPROCESS_REQUEST
from tests.support.publication import add_upload, publish


@pytest.fixture
def training(site: Site) -> Claim:
    """A training that a worker has begun."""
    publish(site.stores, PREPROCESS_REQUEST, DATASET_MANIFEST)
    spec = TrainSpec(dataset="pets@1", model="pet-cnn", epochs=9)
    site.own.jobs.create(TrainRequest(kind=JobKind.TRAIN, spec=spec))
    claim = Leases(site.stores.database).claim("train", "trainer-1")
    assert claim is not None
    return claim


def test_curves_grow_while_a_person_looks_and_keep_growing_after_a_reload(
    page: Page, site: Site, training: Claim
) -> None:
    leases, steps = Leases(site.stores.database), list(epochs(4))

    def report(number: int) -> None:
        artifact = site.objects.put(Bucket.JOBS, f"checkpoint-{number}", b"1")
        leases.save_checkpoint(training.lease, artifact, steps[number].model_dump())
        leases.renew(training.lease, Progress(fraction=number / 4, message=f"epoch {number + 1} of 4"))

    curve = page.locator("line-chart").first.locator("path").first
    report(0)
    page.goto(f"/jobs/{training.job.id}")
    expect(page.locator("body")).to_have_attribute("data-connection", "live")
    first = curve.get_attribute("d")
    curve.evaluate("path => { path.dataset.same = 'yes'; }")
    report(1)

    expect(page.locator(".message")).to_have_text("epoch 2 of 4")
    expect(curve).not_to_have_attribute("d", str(first))
    expect(curve).to_have_attribute("data-same", "yes")  # it was not drawn again
    assert str(curve.get_attribute("d")).startswith(str(first))

    page.reload()
    report(2)
    expect(page.locator(".message")).to_have_text("epoch 3 of 4")
    assert str(curve.get_attribute("d")).count("L") == 3


def test_a_curve_of_one_value_is_drawn(page: Page, site: Site, training: Claim) -> None:
    artifact, (step, *_) = site.objects.put(Bucket.JOBS, "checkpoint", b"1"), epochs(4)
    Leases(site.stores.database).save_checkpoint(training.lease, artifact, step.model_dump() | {"val_accuracy": 0.2})

    page.goto(f"/jobs/{training.job.id}")  # a console error, such as of NaN in an attribute, fails the test

    expect(page.locator("line-chart").last.locator("line.rule")).to_have_count(2)


def test_the_page_turns_to_the_result_when_the_training_ends(page: Page, site: Site, training: Claim) -> None:
    page.goto(f"/jobs/{training.job.id}")
    expect(page.locator("body")).to_have_attribute("data-connection", "live")

    Leases(site.stores.database).finish(training.lease, MODEL_MANIFEST)

    expect(page.get_by_role("heading", name="pet-cnn@1 is ready")).to_be_visible()
    expect(page.get_by_role("link", name="Open the model")).to_be_visible()
    expect(page.get_by_role("heading", name="Decided for you")).to_be_visible()
    expect(page.get_by_role("link", name="Models 1")).to_be_visible()
    expect(page.get_by_role("log")).to_contain_text("succeeded")


def test_a_job_that_ends_while_its_page_is_read_again_is_shown_as_ended(page: Page, site: Site) -> None:
    publish(site.stores, PREPROCESS_REQUEST, DATASET_MANIFEST)
    job = site.own.jobs.create(TrainRequest(kind=JobKind.TRAIN, spec=TrainSpec(dataset="pets@1", model="pet-cnn")))
    leases, late = Leases(site.stores.database), list[Claim]()

    def answer(route: Route) -> None:
        response = route.fetch()
        if not late:  # the page of a running job, which arrives after the job has ended
            late.append(claim)
            leases.finish(claim.lease, MODEL_MANIFEST)
            page.wait_for_timeout(1500)
        route.fulfill(response=response)

    page.goto(f"/jobs/{job.id}")
    expect(page.locator("body")).to_have_attribute("data-connection", "live")
    page.route(lambda url: url.endswith(f"/jobs/{job.id}"), answer)
    claim = leases.claim("train", "trainer-1")
    assert claim is not None

    expect(page.get_by_role("heading", name="pet-cnn@1 is ready")).to_be_visible(timeout=10_000)
    expect(page.get_by_role("link", name="Open the model")).to_be_visible()


def test_a_training_stops_and_keeps_its_best_model(page: Page, site: Site, training: Claim) -> None:
    page.goto(f"/jobs/{training.job.id}")
    page.get_by_role("button", name="Stop and keep the best").click()

    expect(page.get_by_text("keeps the best model so far").first).to_be_visible()
    assert Leases(site.stores.database).renew(training.lease)


def test_a_cancel_asks_first(page: Page, site: Site, training: Claim) -> None:
    page.goto(f"/jobs/{training.job.id}")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Back").click()
    assert site.own.jobs.get(training.job.id).progress.message != "cancelling"

    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the job").click()

    expect(page.get_by_text("The job is being cancelled.")).to_be_visible()


def test_a_failed_job_says_why_and_runs_again(page: Page, site: Site) -> None:
    add_upload(site.stores.database)
    job = site.own.jobs.create(PREPROCESS_REQUEST)
    leases = Leases(site.stores.database)
    claim = leases.claim("preprocess", "worker")
    assert claim is not None
    leases.fail(claim.lease, BadDataset("the archive has no folder with images; put them into a folder for each class"))
    page.goto("/")
    page.get_by_role("link", name="Preprocess").click()

    expect(page.get_by_role("alert")).to_contain_text("The archive has no folder with images; put them into a folder")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("This new job has the same settings")).to_be_visible()
    assert not page.url.endswith(job.id)
    assert site.own.jobs.get(page.url.rpartition("/")[2]).state is JobState.QUEUED


def test_a_job_that_ends_before_the_page_listens_is_shown_as_ended(page: Page, site: Site) -> None:
    job = site.own.jobs.create(PREPROCESS_REQUEST)

    def listen(route: Route) -> None:
        site.own.jobs.cancel(job.id)
        route.continue_()

    page.route("**/live?*", listen, times=1)
    page.goto("/jobs")

    expect(page.get_by_role("row").filter(has_text="cancelled")).to_be_visible()


def test_filters_are_in_the_address_and_new_jobs_appear(page: Page, site: Site) -> None:
    site.own.jobs.cancel(site.own.jobs.create(PREPROCESS_REQUEST).id)
    page.goto("/jobs")
    page.get_by_label("State").select_option("live")

    expect(page).to_have_url(f"{site.url}/jobs?state=live&kind=&name=")
    expect(page.get_by_text("No job matches")).to_be_visible()
    expect(page.locator("body")).to_have_attribute("data-connection", "live")
    page.wait_for_timeout(1500)  # the stream knows that nothing is live
    site.own.jobs.create(PREPROCESS_REQUEST)
    expect(page.get_by_role("link", name="Preprocess")).to_be_visible()
    expect(page.get_by_role("link", name="Jobs 1 live")).to_be_visible()


def test_a_training_starts_from_the_form_by_keyboard(page: Page, site: Site) -> None:
    publish(site.stores, PREPROCESS_REQUEST, DATASET_MANIFEST)
    page.goto("/train?dataset=pets@1")
    page.get_by_label("Name of the model").focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("pet-probe")
    page.get_by_role("radio", name="Linear probe").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Train pet-probe")).to_be_visible()
    spec = site.own.jobs.get(page.url.rpartition("/")[2]).spec
    assert (spec["dataset"], spec["method"], spec["epochs"]) == ("pets@1", "probe", None)


def test_settings_that_do_not_go_together_are_explained_beside_what_was_typed(
    page: Page, site: Site, complaints: object
) -> None:
    complaints.expected = ["422"]  # type: ignore[attr-defined]
    publish(site.stores, PREPROCESS_REQUEST, DATASET_MANIFEST)
    page.goto("/train?dataset=pets@1")
    page.get_by_role("radio", name="Linear probe").check()
    page.get_by_text("Settings for experts").click()
    page.get_by_label("Epochs").fill("5")
    page.get_by_role("button", name="Start training").click()

    expect(page.get_by_role("alert")).to_contain_text("a probe is fitted without epochs", ignore_case=True)
    expect(page.get_by_label("Epochs")).to_have_value("5")
    assert page.locator("[name=method]:checked").get_attribute("value") == "probe"


def test_two_projects_do_not_see_each_other(new_page: NewPage, site: Site, complaints: object, tmp_path: Path) -> None:
    complaints.expected = ["404"]  # type: ignore[attr-defined]
    site.stores.projects.create(NewProjectRequest(name="wardrobe"))
    publish(site.stores, PREPROCESS_REQUEST, DATASET_MANIFEST, "wardrobe")
    member, admin = new_page(Role.MEMBER), new_page()
    member.goto("/datasets")
    expect(member.get_by_role("heading", name="No datasets yet")).to_be_visible()
    member.goto("/datasets/pets/1")
    expect(member.get_by_text("There is nothing here")).to_be_visible()

    admin.goto("/")
    admin.get_by_label("Project", exact=True).select_option("wardrobe")
    expect(admin.get_by_label("Project", exact=True)).to_have_value("wardrobe")
    admin.goto("/datasets")
    expect(admin.get_by_role("link", name="pets")).to_be_visible()


def test_a_new_key_is_shown_once_and_signs_in(new_page: NewPage, site: Site) -> None:
    page = new_page()
    page.goto("/keys")
    page.get_by_label("Name").fill("bob")
    page.get_by_role("radio", name="Viewer").check()
    page.get_by_role("button", name="Create the key").click()
    secret = page.locator(".secret").inner_text()
    page.goto("/keys")
    expect(page.get_by_text(secret)).to_have_count(0)

    bob = new_page(signed_in=False)
    bob.goto("/sign-in")
    bob.get_by_label("API key").fill(secret)
    bob.keyboard.press("Enter")
    expect(bob.get_by_role("link", name="Datasets 0")).to_be_visible()
    expect(bob.get_by_role("link", name="Keys")).to_have_count(0)

    page.get_by_role("button", name="Revoke bob").click()
    page.get_by_role("button", name="Revoke", exact=True).last.click()
    expect(page.get_by_text("The key is revoked.")).to_be_visible()
    expect(bob.get_by_role("heading", name="Sign in")).to_be_visible()  # its stream has ended
