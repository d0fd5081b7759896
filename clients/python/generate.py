"""Write the synchronous client, `tidepool_client/_sync`, from the one for asyncio, `tidepool_client/_async`."""

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent / "tidepool_client"
ASYNC, SYNC = PACKAGE / "_async", PACKAGE / "_sync"

RULES = [
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"\bimport asyncio\n", "import time\n"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\b_async\b", "_sync"),
    (r"\bAsync([A-Z])", r"\1"),
    (r"\b__a(enter|exit|iter|next)__\b", r"__\1__"),
    (r"\ba(close|read|iter_bytes|iter_sse|connect_sse)\b", r"\1"),
]
DOCSTRING = '"""The synchronous client, generated from `_async` by `python clients/python/generate.py`."""\n'


def generated() -> dict[str, str]:
    """Return the text of each file of `_sync`."""
    return {path.name: _formatted(path.name, path.read_text()) for path in sorted(ASYNC.glob("*.py"))}


def _formatted(name: str, source: str) -> str:
    if name == "__init__.py":
        return DOCSTRING
    for pattern, replacement in RULES:
        source = re.sub(pattern, replacement, source)
    source = re.sub(r"^(import time\n)(?=(?:.*\n)*?import time\n)", "", source, flags=re.MULTILINE)
    for command in (["check", "--select", "I", "--fix-only", "--quiet"], ["format", "--quiet"]):
        run = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(SYNC / name), "-"]
        source = subprocess.run(run, input=source, capture_output=True, text=True, check=True).stdout
    return source


if __name__ == "__main__":
    SYNC.mkdir(exist_ok=True)
    for old in SYNC.glob("*.py"):
        old.unlink()
    for filename, text in generated().items():
        (SYNC / filename).write_text(text)
