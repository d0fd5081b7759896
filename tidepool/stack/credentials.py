"""The random secrets of an embedded stack, created at the first start in files of mode 600."""

import json
import secrets
from typing import Self

from contract.base import Frozen
from messaging.redis_users import REDIS_USERS, RedisUser
from tidepool.stack.files import write_private
from tidepool.stack.home import Home


class Credentials(Frozen):
    """The passwords and keys between the components of one stack; all are URL-safe."""

    redis_passwords: dict[RedisUser, str]
    s3_access_key: str
    s3_secret_key: str

    @classmethod
    def of(cls, home: Home) -> Self:
        """Read the home's secrets; create those that are missing, as in the home of an older release."""
        stored = json.loads(home.secrets_file.read_text()) if home.secrets_file.exists() else {}
        passwords = {user: secrets.token_hex(32) for user in REDIS_USERS} | stored.get("redis_passwords", {})
        credentials = cls(
            redis_passwords={user: passwords[user] for user in REDIS_USERS},
            s3_access_key=stored.get("s3_access_key") or secrets.token_hex(10),
            s3_secret_key=stored.get("s3_secret_key") or secrets.token_hex(32),
        )
        if credentials.model_dump() != stored:
            write_private(home.secrets_file, credentials.model_dump_json())
        return credentials


def new_api_key() -> str:
    """Return `tp_<8 hex digits, the key's name>_<256 random bits, URL-safe base64>`."""
    return f"tp_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"


def admin_key(home: Home) -> str:
    """Read the home's API key; create it if it is missing."""
    if not home.key_file.exists():
        write_private(home.key_file, new_api_key() + "\n")
    return home.key_file.read_text().strip()
