"""Find the deployment that a command talks to."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidepool.cli.servers import load_servers, normalized
from tidepool.errors import UserFacingError
from tidepool.stack.components import StackPlan
from tidepool.stack.home import VARIABLE, Home

if TYPE_CHECKING:
    from tidepool_client import Client

# ruff: noqa: PLC0415  the client is imported when it is needed, so that --help is quick

RETRIES = 3  # of a request: an address that does not answer is reported after seconds
URL, KEY, PROJECT = "TIDEPOOL_URL", "TIDEPOOL_API_KEY", "TIDEPOOL_PROJECT"

Project = Annotated[
    str | None, typer.Option(metavar="NAME", help="Act in this project; needs an instance admin's key.", envvar=PROJECT)
]


@dataclass(frozen=True)
class Target:
    """A deployment, and in `source` where its address comes from, for people."""

    url: str
    key: str
    source: str
    project: str | None = None
    verify: SSLContext | bool = True
    is_stack: bool = False  # that of the home


def current_home() -> Home:
    """Return the home that commands act on.

    It is the one in TIDEPOOL_HOME, else `.tidepool` in the current folder, else that of the stack started last.
    """
    home = Home.from_environment()
    if VARIABLE in os.environ or home.path.exists():
        return home
    last = load_servers().stack
    return home if last is None or not last.exists() else Home(last)


def find_target(home: Home) -> Target:
    """Return the deployment to talk to; raises UserFacingError if there is none.

    It is the one in TIDEPOOL_URL and TIDEPOOL_API_KEY, else the stack that runs in this home, else the current login.
    TIDEPOOL_URL alone uses the key of the login to that server, or that of the stack.
    """
    url, key = os.environ.get(URL), os.environ.get(KEY)
    if url:
        return _named(home, normalized(url), key)
    if key:
        raise UserFacingError(f"Set {URL} as well as {KEY}, or neither to use the stack in {home.path} or your login.")
    if stack := _stack(home):
        return stack
    servers = load_servers()
    if servers.current is None:
        raise UserFacingError(
            f"No stack is running in {home.path}, and you are not logged in to a server. Start a stack with "
            "`tidepool up`, or log in with `tidepool login URL`."
        )
    server = servers.servers[servers.current]
    return Target(servers.current, server.key, "your login", server.project)


def connect(home: Home, project: str | None = None) -> "Client":
    """Return a client of the deployment to talk to; raises UserFacingError."""
    target = find_target(home)
    return new_client(target.url, target.key, project=project or target.project, verify=target.verify)


def connect_to_stack(home: Home) -> "Client":
    """Return a client of the stack that runs in this home, whatever the environment names."""
    stack = _stack(home)
    if stack is None:
        raise UserFacingError(f"No stack is running in {home.path}. Start it with `tidepool up`.")
    return new_client(stack.url, stack.key, verify=stack.verify)


def new_client(
    url: str,
    key: str,
    *,
    project: str | None = None,
    verify: SSLContext | bool = True,
    timeout: float | None = None,
    retries: int = RETRIES,
) -> "Client":
    """Return a client; `timeout` in seconds is that of every request, in place of the client's own."""
    from tidepool_client import Client

    limit: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
    return Client(url, key, project=project, retries=retries, verify=verify, **limit)


def console_address(client: "Client") -> str:
    """Return an address that signs a browser in once; the plain one of a server without a console."""
    from tidepool_client import NotFound

    try:
        return client.console_link()
    except NotFound:
        return f"{client.url}/"


@contextmanager
def connected(project: str | None) -> "Iterator[Client]":
    """Connect as `connect` does, for the duration of a command."""
    with connect(current_home(), project) as client:
        yield client


def _named(home: Home, url: str, key: str | None) -> Target:
    if key:
        return Target(url, key, f"{URL} and {KEY}")
    servers = load_servers()
    if server := servers.servers.get(url):
        return Target(url, server.key, f"{URL} and your login", server.project)
    stack = _stack(home)
    if stack and stack.url == url:
        return stack
    raise UserFacingError(f"There is no key for {url}. Log in with `tidepool login {url}`, or set {KEY}.")


def _stack(home: Home) -> Target | None:
    if not home.plan_file.exists() or not home.key_file.exists():
        return None
    plan = StackPlan.load(home.plan_file)
    key = home.key_file.read_text().strip()
    return Target(plan.url, key, f"the stack in {home.path}", verify=plan.trust(), is_stack=True)
