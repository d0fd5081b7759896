"""Signing in: keys and links become sessions, which end with their keys and work only for the console's own pages."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from contract.access import Role
from contract.projects import NewProjectRequest
from services.gateway.console.sign_in import own_path
from services.gateway.dependencies import Backends
from services.storage.access.sessions import LINK_LASTS
from services.storage.stores import Stores

pytestmark = pytest.mark.anyio

URL = "http://localhost:8080"
OWN = {"Sec-Fetch-Site": "same-origin"}
PAGE = {"Accept": "text/html"}


@pytest.fixture
async def browser(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client that keeps cookies, on the gateway's own machine."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=URL, headers=PAGE) as client:
        yield client


@pytest.fixture
def secret(stores: Stores) -> str:
    return stores.keys.create("ada", Role.INSTANCE_ADMIN).secret


async def sign_in(browser: httpx.AsyncClient, secret: str, **headers: str) -> httpx.Response:
    return await browser.post("/sign-in", data={"key": secret, "next": "/jobs"}, headers=OWN | headers)


async def test_a_key_becomes_a_session_cookie_that_scripts_cannot_read(browser: httpx.AsyncClient, secret: str) -> None:
    response = await sign_in(browser, secret)

    assert (response.status_code, response.headers["location"]) == (303, "/jobs")
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("tidepool-8080=ts_")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert (await browser.get("/")).status_code == 200


async def test_over_https_the_cookie_is_secure_and_of_this_host_only(app: FastAPI, secret: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://tidepool.example") as browser:
        cookie = (await sign_in(browser, secret)).headers["set-cookie"]

        assert cookie.startswith("__Host-tidepool=")
        assert "Secure" in cookie
        assert (await browser.get("/", headers=PAGE)).status_code == 200


async def test_over_plain_http_from_another_machine_nobody_signs_in(app: FastAPI, secret: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://192.0.2.7:8080") as browser:
        response = await sign_in(browser, secret)

    assert response.status_code == 403
    assert "needs HTTPS" in response.text
    assert "set-cookie" not in response.headers


async def test_a_wrong_key_is_refused_with_the_reason(browser: httpx.AsyncClient) -> None:
    response = await sign_in(browser, "tp_00000000_wrong")

    assert response.status_code == 401
    assert "The API key is not valid." in response.text


async def test_without_a_session_a_page_leads_to_the_sign_in_page_and_back(browser: httpx.AsyncClient) -> None:
    response = await browser.get("/jobs?state=failed")
    assert response.status_code in {303, 404}

    response = await browser.get("/?a=b")
    assert response.headers["location"] == "/sign-in?next=%2F%3Fa%3Db"


async def test_a_link_from_another_site_opens_the_page_once_more_from_our_own(browser: httpx.AsyncClient) -> None:
    response = await browser.get("/", headers={"Sec-Fetch-Site": "cross-site"})

    assert response.status_code == 200
    assert 'content="0; url=/"' in response.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://localhost:9999"},
        {"Origin": "null"},
        {},
    ],
)
async def test_a_form_of_another_site_changes_nothing(
    browser: httpx.AsyncClient, secret: str, headers: dict[str, str]
) -> None:
    await sign_in(browser, secret)

    assert (await browser.post("/sign-out", headers=headers)).status_code == 403
    assert (await browser.post("/v1/keys", json={"name": "x", "role": "viewer"}, headers=headers)).status_code == 403
    assert (await browser.get("/")).status_code == 200


async def test_an_origin_counts_where_the_browser_sends_no_fetch_metadata(
    browser: httpx.AsyncClient, secret: str
) -> None:
    response = await browser.post("/sign-in", data={"key": secret}, headers={"Origin": URL})

    assert response.status_code == 303


async def test_the_api_takes_the_session_of_its_own_pages_only(browser: httpx.AsyncClient, secret: str) -> None:
    await sign_in(browser, secret)

    assert (await browser.get("/v1/me", headers=OWN)).json()["name"] == "ada"
    assert (await browser.get("/v1/me", headers={"Sec-Fetch-Site": "same-site"})).status_code == 403
    created = await browser.post("/v1/keys", json={"name": "x", "role": "viewer"}, headers=OWN)
    assert created.status_code == 201


async def test_a_sessions_token_is_no_api_key(browser: httpx.AsyncClient, stores: Stores, secret: str) -> None:
    token = stores.sessions.create(secret.split("_")[1])

    assert (await browser.get("/v1/me", headers={"Authorization": f"Bearer {token}"})).status_code == 401


async def test_revoking_the_key_ends_its_sessions(
    browser: httpx.AsyncClient, stores: Stores, backends: Backends, secret: str
) -> None:
    await sign_in(browser, secret)
    admin = stores.keys.create("other", Role.INSTANCE_ADMIN).secret

    deleted = await browser.delete(f"/v1/keys/{secret.split('_')[1]}", headers={"Authorization": f"Bearer {admin}"})

    assert deleted.status_code == 204
    assert (await browser.get("/")).status_code == 303


async def test_signing_out_ends_the_session_everywhere(browser: httpx.AsyncClient, secret: str) -> None:
    await sign_in(browser, secret)
    cookies = dict(browser.cookies)

    assert (await browser.post("/sign-out", headers=OWN)).headers["location"] == "/sign-in"
    browser.cookies.update(cookies)  # a copy of the cookie does not help
    assert (await browser.get("/")).status_code == 303


async def test_a_link_signs_in_once(browser: httpx.AsyncClient, secret: str) -> None:
    made = await browser.post("/console/links", headers={"Authorization": f"Bearer {secret}"})
    path = made.json()["path"]

    opened = await browser.get(path, headers={"Sec-Fetch-Site": "none"})
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    assert (await browser.get("/")).status_code == 200

    browser.cookies.clear()
    again = await browser.get(path, headers={"Sec-Fetch-Site": "none"})
    assert again.status_code == 401
    assert "was used before" in again.text


async def test_a_link_opened_by_another_program_or_site_waits_for_a_click(
    browser: httpx.AsyncClient, secret: str
) -> None:
    path = (await browser.post("/console/links", headers={"Authorization": f"Bearer {secret}"})).json()["path"]

    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}):
        assert "Open the console" in (await browser.get(path, headers=headers)).text

    clicked = await browser.post("/sign-in", data={"token": path.partition("=")[2]}, headers=OWN)
    assert clicked.status_code == 303


async def test_an_old_link_does_not_sign_in(
    browser: httpx.AsyncClient, stores: Stores, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = stores.sessions.create_link(secret.split("_")[1])
    later = stores.database.now() + LINK_LASTS + timedelta(seconds=1)
    monkeypatch.setattr(stores.database, "now", lambda: later)

    assert (await browser.post("/sign-in", data={"token": token}, headers=OWN)).status_code == 401


async def test_an_instances_admin_switches_the_project(browser: httpx.AsyncClient, stores: Stores, secret: str) -> None:
    stores.projects.create(NewProjectRequest(name="wardrobe"))
    await sign_in(browser, secret)

    assert (await browser.post("/project", data={"project": "wardrobe"}, headers=OWN)).status_code == 303
    assert "<option selected>wardrobe" in (await browser.get("/")).text
    assert (await browser.post("/project", data={"project": "none"}, headers=OWN)).status_code == 404


async def test_other_keys_stay_in_their_project(browser: httpx.AsyncClient, stores: Stores) -> None:
    stores.projects.create(NewProjectRequest(name="wardrobe"))
    await sign_in(browser, stores.keys.create("bob", Role.ADMIN).secret)

    assert (await browser.post("/project", data={"project": "wardrobe"}, headers=OWN)).status_code == 403


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/jobs?state=failed&cursor=a", "/jobs?state=failed&cursor=a"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\nb", "/"),
        ("", "/"),
        ("/sign-out", "/"),
    ],
)
def test_the_way_back_leads_to_own_pages_only(text: str, path: str) -> None:
    assert own_path(text) == path


async def test_pages_allow_no_inline_script_or_style(browser: httpx.AsyncClient, secret: str) -> None:
    await sign_in(browser, secret)
    response = await browser.get("/")

    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert " style=" not in response.text
    assert "<style" not in response.text


async def test_files_are_kept_forever_at_the_address_of_their_build(browser: httpx.AsyncClient) -> None:
    address = (await browser.get("/sign-in")).text.split('rel="stylesheet" href="')[1].split('"')[0]
    current = await browser.get(address)
    other = await browser.get(address.replace(address.split("/")[2], "0123456789ab"))

    assert "immutable" in current.headers["cache-control"]
    assert other.headers["cache-control"] == "no-cache"
    assert (await browser.get(address, headers={"If-None-Match": current.headers["etag"]})).status_code == 304
    assert (await browser.get("/console/x/pages.py")).status_code == 404


async def test_browsers_get_error_pages_and_programs_get_problems(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/nothing")
    problem = await browser.get("/nothing", headers={"Accept": "*/*"})
    api = await browser.get("/v1/nothing")

    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert problem.headers["content-type"] == api.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("body", [b"a&" * (1 << 19), b"key=" + b"%" * (1 << 17), b"&" * 1000])
async def test_a_large_form_is_not_parsed(browser: httpx.AsyncClient, body: bytes) -> None:
    headers = OWN | {"Content-Type": "application/x-www-form-urlencoded"}

    response = await browser.post("/sign-in", content=body, headers=headers)

    assert response.status_code == 413
