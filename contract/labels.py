"""Class names: normalized, and rejected if they cannot be shown."""

import unicodedata

MAX_LABEL_LENGTH = 128
# Control, format, private use and surrogate characters, line and paragraph separators.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_JOINERS = "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}"  # used in emoji and Persian


def normalised_label(text: str) -> str:
    """Return the label in Unicode's NFC, stripped of white space, so that equal words are one class."""
    return unicodedata.normalize("NFC", text).strip()


def label_fault(label: str) -> str | None:
    """Return why a normalized label is rejected, or None."""
    if not label:
        return "its class name is empty"
    if len(label) > MAX_LABEL_LENGTH:
        return f"its class name is over {MAX_LABEL_LENGTH} characters"
    if label in (".", ".."):
        return f"{label!r} cannot be a class name"
    if any(unicodedata.category(c) in _UNPRINTABLE and c not in _JOINERS for c in label):
        return "its class name has unprintable characters"
    return None


def checked_label(text: str) -> str:
    """Return the normalized label; raise ValueError with the reason if it cannot be a class."""
    label = normalised_label(text)
    if fault := label_fault(label):
        raise ValueError(fault)
    return label
