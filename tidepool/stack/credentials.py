"""The random secrets of an embedded stack, created at the first start in files of mode 600."""

import secrets
from typing import Self

from contract.base import Frozen
from tidepool.stack.files import write_private
from tidepool.stack.home import Home


class Credentials(Frozen):
    """The passwords and keys between the components of one stack; all are URL-safe."""

    redis_password: str
    s3_access_key: str
    s3_secret_key: str

    @classmethod
    def of(cls, home: Home) -> Self:
        """Read the home's secrets; create them if they are missing."""
        if not home.secrets_file.exists():
            credentials = cls(
                redis_password=secrets.token_hex(32),
                s3_access_key=secrets.token_hex(10),
                s3_secret_key=secrets.token_hex(32),
            )
            write_private(home.secrets_file, credentials.model_dump_json())
        return cls.model_validate_json(home.secrets_file.read_text())


def new_api_key() -> str:
    """Return `tp_<8 hex digits, the key's name>_<256 random bits, URL-safe base64>`."""
    return f"tp_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"


def admin_key(home: Home) -> str:
    """Read the home's API key; create it if it is missing."""
    if not home.key_file.exists():
        write_private(home.key_file, new_api_key() + "\n")
    return home.key_file.read_text().strip()
