"""How the console's pages write numbers, sizes, times and states."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup, escape

NONE = "–"
SETTINGS = {
    "image.mode": "Colour",
    "image.size": "Size",
    "image.resize": "Other shapes",
    "init_from": "Starts from",
    "serving": "Answers with",
}
VALUES = {"RGB": "colour", "L": "grey", "probe": "linear probe", "lite0": "EfficientNet-Lite0"}
_CODE = re.compile("`([^`]+)`")
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def number(value: float | None, digits: int = 0) -> str:
    """1234567 → `1,234,567`; None → a dash."""
    return NONE if value is None else f"{value:,.{digits}f}"


def percent(share: float | None, digits: int = 1) -> str:
    """0.903 → `90.3 %`, with a space that does not break."""
    return NONE if share is None else f"{share * 100:.{digits}f}\N{NO-BREAK SPACE}%"


def points(difference: float, digits: int = 2) -> str:
    """0.005 → `0.5 percentage points`: a difference of shares, with at most so many decimals."""
    text = f"{difference * 100:.{digits}f}".rstrip("0").rstrip(".")
    return f"{text} percentage {'point' if text == '1' else 'points'}"


def interval(bounds: tuple[float, float]) -> str:
    """(0.764, 0.991) → `76–99 %`; an interval near 0 or 1 is not symmetric, so it has no ±."""
    return f"{bounds[0] * 100:.0f}–{percent(bounds[1], 0)}"


def size(count: float | None) -> str:
    """Bytes in powers of 1000, as file managers show them: 12_400_000 → `12.4 MB`."""
    if count is None:
        return NONE
    units, value = ("B", "kB", "MB", "GB", "TB"), float(count)
    for unit in units:
        if value < 1000 or unit == units[-1]:
            digits = 0 if unit == "B" or value >= 100 else 1
            return f"{value:.{digits}f}\N{NO-BREAK SPACE}{unit}"
        value /= 1000
    raise AssertionError


def duration(seconds: float | timedelta | None) -> str:
    """192 → `3 min 12 s`; at most two units."""
    if seconds is None:
        return NONE
    rest = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    if rest < 60:
        if rest == 0:
            return "0 s"
        return f"{rest:.1f} s" if rest < 10 else f"{rest:.0f} s"
    whole = round(rest)
    for position, (unit, length) in enumerate(_UNITS):
        if whole >= length:
            count, whole = divmod(whole, length)
            smaller, each = (*_UNITS[position + 1 :], ("s", 1))[0]
            return f"{count} {unit}" + (f" {whole // each} {smaller}" if whole // each else "")
    raise AssertionError


def ago(moment: datetime | None) -> Markup | str:
    """A time as `4 min ago`, which a script keeps current; its title is the time in the reader's zone."""
    if moment is None:
        return NONE
    seconds = (datetime.now(UTC) - moment).total_seconds()
    text = "just now" if abs(seconds) < 10 else f"{duration(abs(seconds)).split('  ')[0]}"
    if abs(seconds) >= 60:
        text = " ".join(text.split(" ")[:2])  # the larger unit is enough
    if text != "just now":
        text = f"{text} ago" if seconds > 0 else f"in {text}"
    return _time(moment, text, "relative")


def moment(value: datetime | None) -> Markup | str:
    """A time in UTC, which a script shows in the reader's zone."""
    return NONE if value is None else _time(value, value.astimezone(UTC).strftime("%d %b %Y, %H:%M UTC"), "absolute")


def plural(count: int, one: str, many: str = "") -> str:
    """`1 image`, `2 images`."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def segment(text: object) -> str:
    """Escape a text as one segment of a path."""
    return quote(str(text), safe="")


def query(values: Mapping[str, Any]) -> str:
    """`?a=1&b=2` from what is set; "" if nothing is."""
    kept = {name: value for name, value in values.items() if value not in (None, "")}
    return f"?{urlencode(kept)}" if kept else ""


def short_id(identifier: str) -> str:
    """The end of a job's id, which differs between jobs made at about the same time."""
    return identifier[-8:]


def sentence(text: str) -> Markup:
    """A message as a sentence: with a capital, unless it begins with a file name, a full stop, and `code` as code."""
    first = text.split(" ", 1)[0]
    capital = text if any(sign in first for sign in "._/@") else text[:1].upper() + text[1:]
    ended = capital if capital[-1:] in {"", ".", "!", "?"} else f"{capital}."
    code = Markup("<code>{}</code>")
    return Markup("").join(
        code.format(part) if odd % 2 else escape(part) for odd, part in enumerate(_CODE.split(ended))
    )


def tojson_short(value: Any) -> str:
    """A value of a spec as JSON, without quotes around a text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def setting(path: str) -> str:
    """The name of a setting that was decided: `init_from` → `Starts from`."""
    return SETTINGS.get(path) or path.replace(".", " ").replace("_", " ").capitalize()


def setting_value(value: Any) -> str:
    """A value of a setting for people: [224, 224] → `224 × 224`."""
    if isinstance(value, list | tuple):
        return " × ".join(map(str, value))
    return VALUES.get(value, value) if isinstance(value, str) else tojson_short(value)


def _time(value: datetime, text: str, form: str) -> Markup:
    stamp = value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Markup('<local-time form="{}"><time datetime="{}">{}</time></local-time>').format(form, stamp, escape(text))


FILTERS: Mapping[str, Callable[..., Any]] = {
    "number": number,
    "percent": percent,
    "points": points,
    "range": interval,
    "bytes": size,
    "duration": duration,
    "ago": ago,
    "moment": moment,
    "plural": plural,
    "segment": segment,
    "query": query,
    "short_id": short_id,
    "sentence": sentence,
    "tojson_short": tojson_short,
    "setting": setting,
    "setting_value": setting_value,
}
