"""Uploading: an archive, a folder, a reload in the middle, and what a person did wrong."""

import tarfile
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from contract.artifacts import Bucket, upload_key
from contract.jobs import Job
from services.storage.catalog.upload_parts import PART_BYTES
from services.storage.jobs.jobs import JobFilter
from tests.console.site import Site
from tests.support.images import png, zipped

FILES = {f"{label}/{number}.png": png(number) for label in ("cat", "dög") for number in range(3)}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return zipped(tmp_path / "My Pets.zip", FILES)


def jobs_of(site: Site) -> tuple[Job, ...]:
    return site.own.jobs.list(JobFilter(), 10).items


def stored(site: Site, job: Job, path: Path) -> Path:
    """Write the archive that a job has to prepare to a file."""
    upload = job.spec["source"]["upload"]
    ref = site.objects.adopt(Bucket.UPLOADS, upload_key(upload, "default"))
    path.write_bytes(site.objects.read(ref))
    return path


def test_an_archive_becomes_a_job_with_the_chosen_settings(page: Page, site: Site, archive: Path) -> None:
    page.goto("/upload")
    page.locator("[data-input=file]").set_input_files(archive)
    expect(page.get_by_label("Name of the dataset")).to_have_value("my-pets")
    page.get_by_text("Choose how they are prepared").click()
    page.get_by_label("Size").select_option("64")
    page.get_by_label("Keep together by").fill("2")
    page.get_by_role("button", name="Upload").click()

    expect(page.get_by_role("heading", name="Preprocess my-pets")).to_be_visible()
    (job,) = jobs_of(site)
    assert page.url.endswith(job.id)
    assert (job.spec["image"]["size"], job.spec["split"]["group_by"]) == ([64, 64], 2)


def test_a_folder_is_sent_as_a_tar_with_all_its_files(page: Page, site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "pets"
    for name, data in {**FILES, f"{'long' * 40}/1.png": png(9), ".DS_Store": b"x", "dög/Thumbs.db": b"x"}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    page.goto("/upload?dataset=animals")
    page.locator("[data-input=folder]").set_input_files(folder)
    expect(page.locator("[data-summary]")).to_contain_text("7 files, in 3 folders")
    page.get_by_role("button", name="Upload").click()

    expect(page.get_by_role("heading", name="Preprocess animals")).to_be_visible()
    (job,) = jobs_of(site)
    with tarfile.open(stored(site, job, tmp_path / "sent.tar")) as sent:
        contents = {member.name: sent.extractfile(member).read() for member in sent}  # type: ignore[union-attr]
    assert contents == {f"pets/{name}": data for name, data in {**FILES, f"{'long' * 40}/1.png": png(9)}.items()}


def test_an_upload_goes_on_after_a_reload_and_makes_one_job(
    page: Page, site: Site, archive: Path, tmp_path: Path
) -> None:
    page.route("**/v1/datasets/*/versions", lambda _: None)  # the bytes do not arrive
    page.goto("/upload")
    page.locator("[data-input=file]").set_input_files(archive)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("progressbar", name="Bytes sent")).to_be_visible()
    page.wait_for_timeout(300)
    page.unroute("**/v1/datasets/*/versions")

    page.reload()

    expect(page.get_by_role("heading", name="Preprocess my-pets")).to_be_visible()
    (job,) = jobs_of(site)
    with zipfile.ZipFile(stored(site, job, tmp_path / "sent.zip")) as sent:
        assert sorted(sent.namelist()) == sorted(FILES)
    page.goto("/upload")  # and nothing is left to send
    expect(page.get_by_role("button", name="Choose an archive")).to_be_visible()
    assert len(jobs_of(site)) == 1


def test_a_large_upload_goes_on_after_a_reload_with_the_parts_that_are_not_stored(
    page: Page, site: Site, tmp_path: Path
) -> None:
    # given an archive of three parts, of which one is stored when the page is loaded again
    archive = tmp_path / "pets.tar"
    archive.write_bytes(bytes(2 * PART_BYTES + 999))
    page.route("**/parts/2", lambda _: None)  # does not arrive
    page.goto("/upload")
    page.locator("[data-input=file]").set_input_files(archive)
    with page.expect_request("**/parts/2"):
        page.get_by_role("button", name="Upload").click()
    assert site.objects.multipart.received == PART_BYTES
    page.unroute("**/parts/2")

    # when it goes on
    page.reload()
    expect(page.get_by_role("heading", name="Preprocess pets")).to_be_visible()

    # then the other parts were sent once
    assert site.objects.multipart.received == 2 * PART_BYTES + 999
    (job,) = jobs_of(site)
    assert stored(site, job, tmp_path / "sent.tar").read_bytes() == archive.read_bytes()


def test_a_refusal_is_shown_and_the_files_stay_chosen(page: Page, archive: Path, complaints: object) -> None:
    complaints.expected = ["422"]  # type: ignore[attr-defined]
    page.goto("/upload")
    page.locator("[data-input=file]").set_input_files(archive)
    page.get_by_text("Choose how they are prepared").click()
    page.get_by_label("Test share").fill("0.7")
    page.get_by_role("button", name="Upload").click()

    expect(page.get_by_role("alert")).to_contain_text("train")
    expect(page.get_by_role("button", name="Upload")).to_be_visible()


def test_a_name_that_cannot_be_one_is_refused_before_anything_is_sent(page: Page, site: Site, archive: Path) -> None:
    page.goto("/upload")
    page.locator("[data-input=file]").set_input_files(archive)
    page.get_by_label("Name of the dataset").fill("My Pets")
    page.keyboard.press("Enter")

    expect(page.get_by_role("alert")).to_contain_text("lower-case")
    expect(page.get_by_label("Name of the dataset")).to_be_focused()
    assert jobs_of(site) == ()


def test_the_sample_data_set_is_one_click_away(page: Page, site: Site) -> None:
    page.goto("/")
    page.get_by_role("button", name="Use the sample data set").click()

    expect(page.get_by_role("heading", name="Preprocess clothing")).to_be_visible()
    assert len(jobs_of(site)) == 1
