"""Find the deployment that a command talks to."""

import os

from tidepool.errors import UserFacingError
from tidepool.stack.components import StackPlan
from tidepool.stack.home import Home
from tidepool_client import Client

URL, KEY = "TIDEPOOL_URL", "TIDEPOOL_API_KEY"


def connect(home: Home) -> Client:
    """Return a client of the deployment in TIDEPOOL_URL and TIDEPOOL_API_KEY, else of the stack running in this home.

    Raises UserFacingError if there is neither, or only one of the variables is set.
    """
    url, key = os.environ.get(URL), os.environ.get(KEY)
    if url and key:
        return Client(url, key)
    if url or key:
        raise UserFacingError(f"Set both {URL} and {KEY}, or neither to use the stack in {home.path}.")
    if not home.plan_file.exists() or not home.key_file.exists():
        raise UserFacingError(
            f"No stack is running in {home.path}. Start it with `tidepool up`, or set {URL} and {KEY}."
        )
    plan = StackPlan.load(home.plan_file)
    return Client(plan.url, home.key_file.read_text().strip(), verify=plan.trust())
