"""The media type of an image by its first bytes, whatever its name says."""

UNKNOWN = "application/octet-stream"
_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"\0\0\0\x0cjP  ", "image/jp2"),
    (b"\xff\x4f\xff\x51", "image/jp2"),
    (b"P5", "image/x-portable-graymap"),
    (b"P6", "image/x-portable-pixmap"),
)
_BRANDS = {b"avif": "image/avif", b"avis": "image/avif"}  # of ISO media files; the others are HEIC
MEDIA_TYPES = (*dict.fromkeys(kind for _, kind in _SIGNATURES), "image/webp", "image/avif", "image/heic", UNKNOWN)


def media_type_of(file: bytes) -> str:
    """Return the media type; `application/octet-stream` for what is not an image that Tidepool decodes."""
    if file[:4] == b"RIFF" and file[8:12] == b"WEBP":
        return "image/webp"
    if file[4:8] == b"ftyp":
        return _BRANDS.get(file[8:12], "image/heic")
    return next((kind for signature, kind in _SIGNATURES if file.startswith(signature)), UNKNOWN)
