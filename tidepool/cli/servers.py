"""The servers that a person has logged in to, with their keys, in a private file of the user's configuration folder."""

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

import typer
from pydantic import Field, ValidationError

from contract.base import Frozen
from tidepool.errors import UserFacingError
from tidepool.stack.files import write_private


class Server(Frozen):
    """`project` is the one that an instance admin acts in, None for the key's own."""

    key: str
    project: str | None = None


class Servers(Frozen):
    """Servers by URL; commands talk to `current` unless something else is named.

    `stack` is the home of the stack that was started last, unless there was a login to a server since.
    """

    current: str | None = None
    stack: Path | None = None
    servers: dict[str, Server] = Field(default={})

    def with_server(self, url: str, server: Server) -> "Servers":
        """Return a copy with this server, which becomes the current one."""
        return Servers(current=url, servers={**self.servers, url: server})

    def without(self, url: str) -> "Servers":
        """Return a copy without this server; another one becomes the current one if it was."""
        others = {name: server for name, server in self.servers.items() if name != url}
        current = next(reversed(others), None) if self.current == url else self.current
        return Servers(current=current, stack=self.stack, servers=others)

    def with_stack(self, home: Path) -> "Servers":
        """Return a copy in which commands in any folder act on the stack of this home."""
        return Servers(current=self.current, stack=home, servers=self.servers)


def login_file() -> Path:
    """Return the path of the file, such as `~/.config/tidepool/servers.json`; XDG_CONFIG_HOME moves it."""
    return Path(typer.get_app_dir("tidepool")) / "servers.json"


def load_servers() -> Servers:
    """Return what the file has, or no servers without one; raises UserFacingError."""
    path = login_file()
    try:
        return Servers.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Servers()
    except (OSError, ValidationError) as error:
        raise UserFacingError(
            f"{path} cannot be read. Delete it, and log in again with `tidepool login URL`."
        ) from error


def save_servers(servers: Servers) -> None:
    """Write the file, readable by its owner only; raises UserFacingError."""
    path = login_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, servers.model_dump_json(indent=2))
    except OSError as error:
        raise UserFacingError(f"{path} cannot be written: {error.strerror}.") from error


def normalized(address: str) -> str:
    """Return the URL of a server as a person may write it: `pool.example.com`, `localhost:8080/`, `http://…/v1`.

    Without a scheme it is https, and http for this machine. Raises UserFacingError if it is no address.
    """
    text = address.strip()
    if "://" not in text:
        text = f"{'http' if is_loopback(urlsplit(f'//{text}').hostname) else 'https'}://{text}"
    try:
        parts = urlsplit(text)
        valid = parts.scheme in {"http", "https"} and parts.hostname and not parts.username and (parts.port or 1)
    except ValueError:
        valid = False
    if not valid:
        raise UserFacingError(f"{address!r} is not the address of a server; write it like https://pool.example.com")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/').removesuffix('/v1').rstrip('/')}"


def is_loopback(host: str | None) -> bool:
    if host is None or host == "localhost":
        return host is not None
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
