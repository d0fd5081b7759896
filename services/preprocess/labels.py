"""Normalization and validation of class names."""

import unicodedata

MAX_LENGTH = 128
# Control, format, private use and surrogate characters, line and paragraph separators.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"  # emoji and Persian are written with them


def normalised(text: str) -> str:
    """The label in Unicode's NFC, without white space around it, so that one word is one class."""
    return unicodedata.normalize("NFC", text).strip()


def fault(label: str) -> str | None:
    """Why a normalised label is refused, or None."""
    if not label:
        return "its class name is empty"
    if len(label) > MAX_LENGTH:
        return f"its class name is over {MAX_LENGTH} characters"
    if label in (".", ".."):
        return f"{label!r} cannot be a class name"
    if any(unicodedata.category(c) in _UNPRINTABLE and c not in _JOINERS for c in label):
        return "its class name has unprintable characters"
    return None
