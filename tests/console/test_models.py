"""The screens about models: lists, a version, its images and card, and trying one."""

import pytest
from playwright.sync_api import Page, expect

from contract.access import Role
from contract.jobs import JobKind
from services.storage.jobs.jobs import JobFilter
from tests.console.conftest import Complaints, NewPage
from tests.console.models_seed import findings
from tests.console.site import Site
from tests.support.images import png


@pytest.fixture
def site(filled_site: Site) -> Site:
    """One site for all tests of this file; each leaves what the others look at."""
    return filled_site


def test_a_version_is_found_from_the_list_and_says_how_good_it_is(page: Page) -> None:
    page.goto("/models?name=cloth")
    page.get_by_role("link", name="clothing", exact=True).click()
    expect(page.get_by_role("row", name="Version 3")).to_contain_text("fine-tune")
    page.get_by_role("link", name="Version 3").click()

    expect(page.get_by_text("Test accuracy")).to_be_visible()
    expect(page.get_by_text("with 95 % confidence")).to_be_visible()
    expect(page.get_by_role("row", name="int8 serves")).to_contain_text("215")
    assert findings(page) == []


def test_a_cell_of_the_confusion_matrix_opens_its_images(page: Page) -> None:
    page.goto("/models/clothing/3/images?label=dress&predicted=hat")
    image = page.locator("#images img").first

    expect(page.get_by_role("heading", name="1 image")).to_be_visible()
    expect(image).to_have_js_property("complete", True)
    assert image.evaluate("image => image.naturalWidth") > 0


def test_a_weak_class_opens_its_mistakes(page: Page) -> None:
    page.goto("/models/clothing/3")
    page.get_by_role("link", name="Mistakes with").first.click()

    expect(page.get_by_role("heading", name="Mistakes with")).to_be_visible()
    expect(page.locator("#images img").first).to_be_visible()


def test_a_version_that_serves_leads_to_its_traffic(page: Page) -> None:
    page.goto("/models/clothing/3")
    page.get_by_role("link", name="Traffic").click()

    expect(page.get_by_role("heading", name="clothing")).to_be_visible()


def test_every_number_in_the_matrix_is_a_link_with_a_name(page: Page) -> None:
    page.goto("/models/clothing/3")
    name = page.locator(".matrix td.wrong a").first.get_attribute("aria-label")

    assert name is not None
    assert "predicted as" in name


def test_finding_the_mistakes_starts_an_evaluation(page: Page, site: Site) -> None:
    page.goto("/models/clothing-small/1")
    page.get_by_role("button", name="Find them").click()

    expect(page.get_by_text("Looking for them in clothing@1")).to_be_visible()
    (job,) = site.own.jobs.list(JobFilter(kind=JobKind("evaluate"), model="clothing-small"), 2).items
    assert job.spec["split"] == "test"


def test_the_code_has_the_readers_own_address(page: Page, site: Site) -> None:
    page.goto("/models/clothing/3")
    page.get_by_role("tab", name="Python").click()

    code = page.get_by_role("tabpanel", name="Python")
    expect(code).to_contain_text(f'Client("{site.url}"')
    expect(code).to_contain_text('client.predict("clothing@production"')


def test_the_model_card_is_a_page(page: Page) -> None:
    page.goto("/models/clothing/3/card")

    expect(page.get_by_role("heading", name="Where it is weak")).to_be_visible()


def test_promoting_asks_first_and_keeps_the_shadow(page: Page, site: Site) -> None:
    page.goto("/models/clothing/2")
    page.get_by_role("button", name="Promote to 100 %").click()
    page.get_by_role("button", name="Promote", exact=True).click()

    expect(page.get_by_role("status")).to_contain_text("version 2 now")
    (alias,) = site.own.models.named("clothing").aliases
    assert (alias.versions, alias.shadow) == ({2: 100}, 4)


def test_a_viewer_may_look_but_not_promote(new_page: NewPage, complaints: Complaints) -> None:
    complaints.expected.append("403")
    page = new_page(Role.VIEWER)
    page.goto("/models/clothing/4")

    expect(page.get_by_role("button", name="Promote")).to_have_count(0)
    assert page.request.post("/models/clothing/4/promote", headers={"Sec-Fetch-Site": "same-origin"}).status == 403


def test_an_image_is_tried_with_champion_and_shadow(page: Page) -> None:
    page.goto("/try?model=clothing")
    page.set_input_files("#image", {"name": "a.png", "mimeType": "image/png", "buffer": png(1)})

    expect(page.get_by_role("row", name="cat 75.0 %")).to_have_count(2)
    expect(page.get_by_text("Champion and shadow agree.")).to_be_visible()
    assert findings(page) == []


def test_a_damaged_image_says_so(page: Page) -> None:
    page.goto("/try?model=clothing&version=1")
    page.set_input_files("#image", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"bad"})

    expect(page.get_by_text("The file is damaged.")).to_be_visible()


@pytest.mark.parametrize("event", ["paste", "drop"])
def test_an_image_can_be_pasted_or_dropped(page: Page, event: str) -> None:
    page.goto("/try?model=clothing&version=1")
    kind, field = ("ClipboardEvent", "clipboardData") if event == "paste" else ("DragEvent", "dataTransfer")
    page.evaluate(
        f"""() => {{
            const data = new DataTransfer();
            data.items.add(new File(["an image"], "a.png", {{ type: "image/png" }}));
            document.body.dispatchEvent(new {kind}("{event}", {{ {field}: data, bubbles: true, cancelable: true }}));
        }}"""
    )

    expect(page.get_by_role("row", name="cat 75.0 %")).to_be_visible()


def test_the_camera_takes_an_image(page: Page) -> None:
    page.add_init_script(
        """navigator.mediaDevices.getUserMedia = async () => {
            const canvas = document.createElement("canvas");
            canvas.getContext("2d").fillRect(0, 0, 9, 9);
            return canvas.captureStream(5);
        };"""
    )
    page.goto("/try?model=clothing&version=1")
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("button", name="Take the picture").click()

    expect(page.get_by_role("row", name="cat 75.0 %")).to_be_visible()


@pytest.mark.parametrize("path", ["/models", "/models/clothing", "/models/clothing/3", "/models/signs/1", "/try"])
def test_screens_about_models_fit_a_narrow_dark_screen(new_page: NewPage, path: str) -> None:
    page = new_page(width=360, height=640, dark=True)
    page.goto(path)

    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert findings(page) == []


def test_an_image_is_erased_after_a_question(page: Page, site: Site, complaints: Complaints) -> None:
    complaints.expected.append("503")  # the seed has no originals
    page.goto("/datasets/clothing/1/images")
    page.locator(".images a").first.click()
    page.get_by_role("button", name="Erase").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("The image cannot be brought back")
    dialog.get_by_role("button", name="Back").click()
    assert site.own.jobs.list(JobFilter(kind=JobKind.ERASE), 10).items == ()

    page.get_by_role("button", name="Erase").click()
    dialog.get_by_role("button", name="Erase").click()
    expect(page.get_by_text("The image is being erased.")).to_be_visible()
    (job,) = site.own.jobs.list(JobFilter(kind=JobKind.ERASE), 10).items
    assert page.url.endswith(f"/jobs/{job.id}")
