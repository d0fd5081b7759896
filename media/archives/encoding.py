"""Decodes names and texts that are not UTF-8, by an encoding that is given or detected over all of them together."""

import codecs
import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise

import chardet

from contract.errors import BadArchive
from media.archives.rejections import shown

_MOST_SAMPLE_BYTES = 20_000
_EAST_ASIAN = ("cp932", "gb18030", "big5hkscs", "cp949", "euc-jp")
_CYRILLIC = ("cp866", "cp1251", "koi8-r")
_GREEK = ("cp737", "cp1253")
_ARABIC_HEBREW = ("cp1256", "cp720", "cp1255", "cp862")
_DOS = ("cp437", "cp850", "cp1252", "cp852", "cp1250", "cp857", "cp1254")  # of Latin letters, by use in names of zips
_WINDOWS = ("cp1252", "cp850", "cp437", "cp1250", "cp852", "cp1254", "cp857")
_CANDIDATES = (*_EAST_ASIAN, *_CYRILLIC, *_GREEK, *_ARABIC_HEBREW, *_DOS)
_FALLBACK = "cp437"  # what zip files are in by their specification
_TWO_BYTES = 0x7FF
_NO_MATCH = 0.1  # chardet's confidence if the text is too short for it
_USUAL, _WESTERN = 1.5, 1.33  # how much likelier the pages of the system, and of Western Europe, are beforehand
_RARE, _SELDOM = frozenset("ÿŸƒªº"), 0.5  # characters that are hardly a part of words, and their weight
_FEW_BYTES = 2  # too few to be sure of another script than Latin
_LONE_HIGH_BYTE = re.compile(rb"[a-z][\x80-\xff](?![\x80-\xff])|(?<![\x80-\xff])[\x80-\xff][a-z]{2}", re.IGNORECASE)
_SEPARATORS = re.compile(rb"[/,;\t\"]")  # none is a part of a character in any of the candidates
_BEFORE_BACKSLASH = re.compile(rb"^[ -~]*\\")
_AFTER_BACKSLASH = re.compile(rb"(?<=[ -~])\\[ -\[\]-~]*$|(?<=\\)[ -\[\]-~]+$")
_TAIL = re.compile(rb"[0-9 ()_-]*\.[A-Za-z0-9]{2,5}$")
_MIXED = re.compile(r"[a-z][^\x00-\x7f]+[a-z]")
_HIGH_BYTES = re.compile(rb"[\x80-\xff]+")


def decoded_names(names: Sequence[str | bytes], encoding: str | None) -> tuple[list[str], str | None]:
    """Return the names as text, and the encoding if it had to be detected.

    Names that are text already stay. Bytes are decoded by `encoding` if it is given, unless they are surely UTF-8;
    otherwise as UTF-8 if most of them are, which is what macOS and Linux write, or by the encoding that fits all of
    them best. Raise BadArchive if a name is not in the encoding that was given.
    """
    raw = [name for name in names if isinstance(name, bytes) and not name.isascii()]
    detected = None
    if raw and encoding is None and sum(map(_is_utf8, raw)) * 2 < len(raw) + 1:
        detected = detected_encoding(raw)
    return [name if isinstance(name, str) else _decoded(name, encoding, detected) for name in names], detected


def decoded_text(data: bytes, encoding: str | None) -> tuple[str, str | None]:
    """Return the text of a file, and its encoding if it had to be detected. Raise UnicodeError if it has none.

    A byte order mark decides; otherwise the text is UTF-8, or in `encoding`, or in the encoding that fits it best.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16"), None
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError:
        if encoding is not None:
            return data.decode(encoding), None
    lines = [line for line in data.splitlines() if not line.isascii()]
    detected = detected_encoding(lines, by_dos=False)
    return data.decode(detected), detected


def detected_encoding(texts: Iterable[bytes], by_dos: bool = True) -> str:
    """Return the encoding that fits texts which are not UTF-8. With `by_dos`, code pages of DOS win over Windows' own.

    Zip tools of Windows write names in the code page of the console (cp437, cp850, cp866, cp932, …), while its editors
    and spreadsheets write texts in cp1252 or cp1251.
    """
    parts = _parts(texts)
    sample = _sample(parts)
    usable = [name for name in _CANDIDATES if _decodes(b"\n".join(parts), name)]
    alphabetic = _is_alphabetic(sample)
    usable = [
        name for name in usable if name not in _EAST_ASIAN or not (alphabetic or _is_mixed(sample, name))
    ] or usable
    scores = _scores(sample, usable)
    best = max(scores, key=scores.__getitem__, default=_FALLBACK)
    few = len(sample) - len(sample.decode("ascii", "ignore")) <= _FEW_BYTES
    if best in _DOS or (few and best not in _EAST_ASIAN):
        return _western(sample, scores, best, by_dos)
    return best


def _decoded(name: bytes, encoding: str | None, detected: str | None) -> str:
    if name.isascii():
        return name.decode("ascii")
    if encoding is not None:
        try:
            return name.decode("utf-8" if _is_surely_utf8(name) else encoding)
        except UnicodeError:
            raise BadArchive(
                f"the name {shown(name.decode(_FALLBACK))!r} is not in the encoding {encoding}; name another one in "
                "layout.encoding, or leave it out"
            ) from None
    try:
        return name.decode(detected or "utf-8")
    except UnicodeDecodeError:
        return name.decode() if _is_utf8(name) else name.decode(_FALLBACK)


def _parts(texts: Iterable[bytes]) -> list[bytes]:
    """Return the parts of paths or rows that are not ASCII, each once, up to a number of bytes."""
    parts: dict[bytes, None] = {}
    size = 0
    for text in texts:
        for part in _SEPARATORS.split(text):
            if not part.isascii() and part not in parts:
                parts[part] = None
                size += len(part)
        if size > _MOST_SAMPLE_BYTES:
            break
    return list(parts)


def _sample(parts: Iterable[bytes]) -> bytes:
    """Return the words of names: without numbers, extensions, and ASCII around what may be a separator of Windows."""
    words = (_BEFORE_BACKSLASH.sub(b"", _AFTER_BACKSLASH.sub(b"", part)) for part in parts)
    return b"\n".join(dict.fromkeys(_TAIL.sub(b"", word) for word in words))


def _scores(sample: bytes, usable: list[str]) -> dict[str, float]:
    for text in (sample, b"\n".join([sample] * 4)):  # once more with repetition, if it was too short
        results = chardet.detect_all(text, ignore_threshold=True, include_encodings=usable, compat_names=False)
        scores = {name: result["confidence"] for result in results if (name := _canonical(result["encoding"], usable))}
        if scores and results[0]["confidence"] != _NO_MATCH:
            return scores
    return scores


def _canonical(encoding: str | None, usable: list[str]) -> str | None:
    if encoding is None:
        return None
    name = codecs.lookup(encoding).name
    return next((candidate for candidate in usable if codecs.lookup(candidate).name == name), None)


def _western(sample: bytes, scores: dict[str, float], best: str, by_dos: bool) -> str:
    """Return the likeliest code page that gives only Latin letters; of equal results, the most usual one."""
    pages = [page for page in (_DOS if by_dos else _WINDOWS) if page in scores and _is_latin(sample, page)]
    if not pages:
        return best
    usual = ("cp437", "cp850", "cp852", "cp857") if by_dos else ("cp1252", "cp1250", "cp1254")
    weighted = {page: scores[page] * (_USUAL if page in usual else 1) for page in pages}
    weighted |= {page: weighted[page] * _WESTERN for page in pages if page in ("cp437", "cp850", "cp1252")}
    weighted |= {page: weighted[page] * _SELDOM for page in pages if _is_odd(sample.decode(page))}
    text = sample.decode(max(pages, key=weighted.__getitem__))
    return next(page for page in pages if sample.decode(page) == text)


def _is_latin(sample: bytes, encoding: str) -> bool:
    """Return whether all characters beyond ASCII are Latin letters."""
    if not _decodes(sample, encoding):
        return False
    return all(
        unicodedata.name(character, "").startswith("LATIN")
        for character in sample.decode(encoding)
        if not character.isascii()
    )


def _is_odd(text: str) -> bool:
    """Return whether a text has characters that words hardly have, or capitals after small letters, as in `pÛche`."""
    capitals = (a.islower() and b.isupper() and not b.isascii() for a, b in pairwise(text))
    return not _RARE.isdisjoint(text) or any(capitals)


def _is_alphabetic(sample: bytes) -> bool:
    """Return whether every byte beyond ASCII stands alone in a word of ASCII letters, such as in `café`."""
    return len(_HIGH_BYTES.findall(sample)) == len(_LONE_HIGH_BYTE.findall(sample))


def _is_mixed(sample: bytes, encoding: str) -> bool:
    """Return whether characters beyond ASCII stand between small ASCII letters, which East Asian words do not have."""
    return bool(_MIXED.search(sample.decode(encoding, "replace")))


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeError:
        return False
    return True


def _is_utf8(data: bytes) -> bool:
    return _decodes(data, "utf-8")


def _is_surely_utf8(data: bytes) -> bool:
    """Return whether data is UTF-8 with characters of three bytes, which other encodings yield hardly ever."""
    return _is_utf8(data) and any(ord(character) > _TWO_BYTES for character in data.decode())
