"""Recognises the format of a file by its first bytes, and says what a file that is no readable image is."""

from collections.abc import Callable

from PIL.PpmImagePlugin import PpmImageFile
from PIL.WebPImagePlugin import WebPImageFile

from contract.errors import BadImage
from media.images.bmp import bmp_source
from media.images.gif import gif_source
from media.images.heif import avif_source, heic_source
from media.images.jpeg import jpeg_source
from media.images.jpeg2000 import jpeg2000_source
from media.images.png import png_source
from media.images.source import Request, Source, opened, simple
from media.images.tiff import tiff_source

Open = Callable[[bytes, Request], Source]

_CONVERT = "convert it to JPEG or PNG"
_DEVELOP = "develop it and save it as JPEG"
_EXTRACT = "save frames of it as JPEG or PNG"
_UNPACK = "put the images themselves into the archive"
_AGAIN = "download the image again"


def _webp_source(data: bytes, request: Request) -> Source:
    return simple(WebPImageFile, data)


def _netpbm_source(data: bytes, request: Request) -> Source:
    source = opened(PpmImageFile, data)
    if source.tile[0][0] != "raw":
        raise BadImage(f"a PGM or PPM file with other than 255 levels; {_CONVERT}")
    return simple(PpmImageFile, data)


_READ: tuple[tuple[bytes, Open], ...] = (
    (b"\xff\xd8\xff", jpeg_source),
    (b"\x89PNG\r\n\x1a\n", png_source),
    (b"BM", bmp_source),
    (b"GIF87a", gif_source),
    (b"GIF89a", gif_source),
    (b"II*\0", tiff_source),
    (b"MM\0*", tiff_source),
    (b"II+\0", tiff_source),
    (b"MM\0+", tiff_source),
    (b"\xff\x4f\xff\x51", jpeg2000_source),
    (b"\0\0\0\x0cjP  \r\n\x87\n", jpeg2000_source),
    *((b"P%d%c" % (number, space), _netpbm_source) for number in (4, 5, 6) for space in b" \t\r\n"),
)

_NOT_READ = (
    (b"%PDF", "a PDF", "save its pages as JPEG or PNG"),
    (b"8BPS", "a Photoshop file", _CONVERT),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "run `git lfs pull`"),
    (b"PK\3\4", "a zip archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"\x1f\x8b", "a gzip file", _UNPACK),
    (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video", _EXTRACT),
    (b"\0\0\1\xba", "an MPEG video", _EXTRACT),
    (b"FLV", "a Flash video", _EXTRACT),
    (b"\xff\x0a", "a JPEG XL image", _CONVERT),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image", _CONVERT),
    (b"FUJIFILMCCD-RAW", "a raw photo (RAF)", _DEVELOP),
    (b"IIRO", "a raw photo (ORF)", _DEVELOP),
    (b"IIRS", "a raw photo (ORF)", _DEVELOP),
    (b"IIU\0", "a raw photo (RW2)", _DEVELOP),
    (b"FOVb", "a raw photo (X3F)", _DEVELOP),
    (b"gimp xcf", "a GIMP file", _CONVERT),
    (b"DDS ", "a DDS texture", _CONVERT),
    (b"v/1\1", "an OpenEXR image", _CONVERT),
    (b"#?RADIANCE", "a Radiance HDR image", _CONVERT),
    (b"\0\0\1\0", "an icon (ICO)", _CONVERT),
    (b"P1", "a PBM file in text", _CONVERT),
    (b"P2", "a PGM file in text", _CONVERT),
    (b"P3", "a PPM file in text", _CONVERT),
    (b"SIMPLE  =", "a FITS file", _CONVERT),
    (b"\x93NUMPY", "a NumPy array", _CONVERT),
    (b"\x89HDF", "an HDF5 file", _CONVERT),
    (b"\0\5\x16\7", "metadata of macOS", "leave files named `._…` out"),
    (b"ID3", "an audio file", "leave it out"),
    (b"OggS", "an audio or video file", "leave it out"),
    (b"{", "JSON", "leave it out"),
)

_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_HEAD = 1024


def source_of(data: bytes, request: Request) -> Source:
    """Read the header of an image file; raises BadImage with what the file is and what to do."""
    for start, read in _READ:
        if data.startswith(start):
            return read(data, request)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp_source(data, request)
    if data[4:8] == b"ftyp" and (read_brand := _by_brand(data)) is not None:
        return read_brand(data, request)
    raise BadImage(f"not a readable image: {_description(data)}")


def _by_brand(data: bytes) -> Open | None:
    """Return how to read a file of the ISO family by its brand, or by the compatible ones of a generic brand."""
    end = min(int.from_bytes(data[:4], "big"), _HEAD)
    compatible = {data[start : start + 4] for start in range(16, end, 4)}
    brand = data[8:12]
    brands = compatible | {brand} if brand in (b"mif1", b"msf1", b"miaf") else {brand}
    if brands & _AVIF:
        return avif_source
    return heic_source if brands & _HEIC or brand in (b"mif1", b"msf1") else None


def _description(data: bytes) -> str:
    """Return what a file is, and what to do about it."""
    for start, name, advice in _NOT_READ:
        if data.startswith(start):
            return f"{name}; {advice}"
    head = data[:_HEAD]
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    media = data[4:12]
    cases = (
        (not data, "the file is empty"),
        (not data.strip(b"\0"), f"the file is all zeros; {_AGAIN}"),
        (data[:4] == b"RIFF" and data[8:12] == b"AVI ", f"an AVI video; {_EXTRACT}"),
        (data[:4] == b"RIFF" and data[8:12] == b"WAVE", "an audio file; leave it out"),
        (media == b"ftypcrx ", f"a raw photo (CR3); {_DEVELOP}"),
        (media[:4] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"), f"an MP4 or QuickTime video; {_EXTRACT}"),
        (data[128:132] == b"DICM", f"a DICOM file; {_CONVERT}"),
        (b"<svg" in text, f"an SVG drawing; {_CONVERT}"),
        (text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")), f"an HTML page; {_AGAIN}"),
        (text.startswith(b"<?xml"), "XML; leave it out"),
        (all(byte >= 32 or byte in b"\t\n\r\f" for byte in head), "text; leave it out"),
    )
    return next((description for matches, description in cases if matches), f"its format is unknown; {_CONVERT}")
