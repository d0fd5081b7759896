"""A plugin of detect-secrets for Tidepool's own API keys; `make secrets` loads it."""

import re

from detect_secrets.plugins.base import RegexBasedDetector


class TidepoolKeyDetector(RegexBasedDetector):
    """Finds `tp_`, eight hex digits, `_` and 43 characters."""

    secret_type = "Tidepool API key"
    denylist = (re.compile(r"\btp_[0-9a-f]{8}_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),)
