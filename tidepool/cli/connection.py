"""The only place that finds the Tidepool that a command is for."""

import os

from tidepool.client import Client
from tidepool.errors import Trouble
from tidepool.stack.components import Plan
from tidepool.stack.home import Home

URL, KEY = "TIDEPOOL_URL", "TIDEPOOL_API_KEY"


def connect(home: Home) -> Client:
    """A client of the deployment that TIDEPOOL_URL and TIDEPOOL_API_KEY name, or of the stack that runs in this home.

    Raises Trouble when there is neither.
    """
    url, key = os.environ.get(URL), os.environ.get(KEY)
    if url and key:
        return Client(url, key)
    if url or key:
        raise Trouble(f"Set both {URL} and {KEY}, or neither for the stack in {home.path}.")
    if not home.plan_file.exists() or not home.key_file.exists():
        raise Trouble(f"No stack runs in {home.path}; start it, or set {URL} and {KEY} for another one.")
    return Client(Plan.load(home.plan_file).url, home.key_file.read_text().strip())
