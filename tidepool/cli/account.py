"""`tidepool login`, `logout`, `whoami` and `open`: which server, and who one is there."""

import os
import shutil
import sys
from typing import Annotated
from urllib.parse import urlsplit

import typer

from contract.access import ApiKey
from tidepool.cli import connection
from tidepool.cli.connection import URL, Project, connected, current_home, find_target
from tidepool.cli.exits import WrongUsage
from tidepool.cli.keys import access_of
from tidepool.cli.output import Json, moment, note, print_json, print_table, say
from tidepool.cli.root import command
from tidepool.cli.servers import Server, is_loopback, load_servers, normalized, save_servers
from tidepool.errors import UserFacingError


@command(
    "login", "tidepool login https://pool.example.com", "tidepool login localhost:8080 < key.txt", "tidepool login"
)
def login(
    url: Annotated[
        str | None, typer.Argument(metavar="URL", help="Address of the server; without it, the logins are listed.")
    ] = None,
    project: Annotated[
        str | None, typer.Option(metavar="NAME", help="Act in this project; only for instance admins.")
    ] = None,
) -> None:
    """Log in to a server with an API key.

    The key is asked for, or read from stdin, and kept in a file that only you can read. Commands talk to this server
    from then on. Logging in to a server that is known makes it the current one again.
    """
    servers = load_servers()
    if url is None:
        rows = (("*" if name == servers.current else "", name, row.project) for name, row in servers.servers.items())
        print_table(("", "server", "project"), rows)
        if not servers.servers:
            note("You are not logged in to a server. Log in with `tidepool login URL`.")
        return
    url = normalized(url)
    known = servers.servers.get(url)
    secret = _secret(url) if known is None or not sys.stdin.isatty() else known.key
    secret = secret or (known.key if known else "")
    if not secret:
        raise WrongUsage("There is no key. Type one, or give it on stdin: tidepool login URL < key.txt")
    key = _check(url, secret, project)
    save_servers(servers.with_server(url, Server(key=secret, project=project)))
    say(f"Logged in to {url} as {key.name}: {access_of(key)} in the project {project or key.project}.")
    if url.startswith("http:") and not is_loopback(urlsplit(url).hostname):
        note("Warning: without https, others on the network can read the key and the images.")
    target = find_target(current_home())
    if target.url != url:
        note(f"In this folder, commands talk to {target.url} ({target.source}); {URL}={url} names this one.")


@command("logout", "tidepool logout https://pool.example.com")
def logout(
    url: Annotated[
        str | None, typer.Argument(metavar="URL", help="Address of the server; the default is the current one.")
    ] = None,
) -> None:
    """Forget the key of a server.

    The key itself stays valid; `tidepool keys rm` revokes one.
    """
    servers = load_servers()
    name = normalized(url) if url else servers.current
    if name not in servers.servers:
        raise UserFacingError(f"You are not logged in to {name or 'a server'}. `tidepool login` lists the logins.")
    left = servers.without(name)
    save_servers(left)
    say(f"Forgot the key of {name}.", *([f"The current server is {left.current} now."] if left.current else []))


@command("whoami", "tidepool whoami")
def whoami(project: Project = None, as_json: Json = False) -> None:
    """Show the server that commands talk to, and what your key may do."""
    target = find_target(current_home())
    if not as_json:
        say(f"{target.url}, from {target.source}")
    with connected(project) as client:
        key = client.me()
    if as_json:
        print_json(key)
        return
    say(f"  key {key.id}, {key.name}, expires {moment(key.expires_at, 'never')}")
    say(f"  {access_of(key)} in the project {project or target.project or key.project}")
    if key.role:
        say(f"  may: {', '.join(key.scopes)}")


@command("open", "tidepool open")
def open_console(
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser if there is one.")] = True,
) -> None:
    """Open the console in a browser, signed in.

    Prints the address, too, for machines without a browser. It signs in with your key once, within 15 minutes.
    """
    with connected(None) as client:
        address = connection.console_address(client)
    say(address)
    if browser and _has_browser():
        typer.launch(address)


def _check(url: str, secret: str, project: str | None) -> ApiKey:
    """Return the key that the server knows by this secret; raises what the client raises."""
    with connection.new_client(url, secret, project=project) as client:
        return client.me()


def _secret(url: str) -> str:
    """Return the key that is typed, or all of stdin if it is not a terminal."""
    if sys.stdin.isatty():
        text: str = typer.prompt(f"API key for {url}", hide_input=True, err=True)
    else:
        text = sys.stdin.read()
    return text.strip()


def _has_browser() -> bool:
    """Return whether there is a screen with a browser; a text browser would take over the terminal."""
    if sys.platform in {"darwin", "win32"}:
        return True
    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(screen and shutil.which("xdg-open"))
