"""Normalizes and checks the names of an archive's members."""

import re

MAX_LENGTH = 1024
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_USUAL_FILE = re.compile(
    r"[^./\\:\x00-\x1f\x7f][^/\\:\x00-\x1f\x7f]{0,200}\.(?:jpe?g|png|webp|bmp|gif|tiff?)", re.IGNORECASE
)
HIDDEN_FOLDER = "in a folder whose name begins with a dot; rename it if it is a class"
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar")
IMAGES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib", ".gif"),
    *(".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2", ".ppm", ".pgm"),
)
_DOCUMENTS = frozenset(  # extensions of files that are surely no images, and often lie beside them
    {
        *("txt", "md", "rst", "pdf", "doc", "docx", "rtf", "html", "htm", "css", "js", "log", "tex", "bib"),
        *("csv", "tsv", "json", "jsonl", "xml", "yaml", "yml", "toml", "ini", "cfg", "xls", "xlsx", "parquet", "db"),
        *("py", "ipynb", "m", "sh", "bat", "r", "mat", "npy", "npz", "pkl", "h5", "hdf5", "pt", "pth", "onnx"),
        *("mp4", "avi", "mov", "mkv", "webm", "mp3", "wav", "exe", "dll"),
    }
)
_CLUTTER = frozenset(  # in lower case: what operating systems, NAS servers and editors leave behind
    {
        *("__macosx", ".trashes", ".trash", ".spotlight-v100", ".fseventsd", ".temporaryitems", ".appledouble"),
        *("@eadir", "#recycle", "@recycle", "$recycle.bin", "system volume information", ".thumbnails", ".xvpics"),
        *(".ipynb_checkpoints", "__pycache__", ".git", ".svn", ".hg", ".idea", ".vscode", ".cache", ".dvc"),
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
    }
)


class UsualNames:
    """Accepts usual names of images at once: those that `clean`, `is_clutter` and `fault` leave alone.

    A name that is not accepted has to be looked at by these. Each folder is looked at once.
    """

    def __init__(self) -> None:
        self._folders: dict[str, bool] = {}

    def accepts(self, name: str) -> bool:
        folder, slash, file = name.rpartition("/")
        if not _USUAL_FILE.fullmatch(file):
            return False
        usual = self._folders.get(folder)
        if usual is None:
            example = f"{folder}{slash}{'x' * 210}.png"
            usual = clean(example) == example and not is_clutter(example) and fault(example) is None
            self._folders[folder] = usual
        return usual


def clean(raw: str) -> str:
    """Return the name without empty and `.` parts; a leading `/` is kept."""
    if not (raw.startswith(("/", ".")) or raw.endswith(("/", "/.")) or "//" in raw or "/./" in raw):
        return raw
    parts = [part for part in raw.split("/") if part not in ("", ".")]
    return ("/" if raw.startswith("/") else "") + "/".join(parts)


def is_document(name: str) -> bool:
    """Return whether a file is surely no image, by its extension; other files, and those without one, may be."""
    return name.rpartition(".")[2].lower() in _DOCUMENTS and "." in name


def is_clutter(name: str) -> bool:
    """Return whether a file is a by-product of an operating system or editor, such as a thumbnail cache.

    Also a file whose name begins with a dot, unless it has the extension of an image.
    """
    parts = name.lower().split("/")
    if not _CLUTTER.isdisjoint(parts):
        return True
    file = parts[-1]
    return file.startswith("._") or (_is_hidden(file) and not file.endswith(IMAGES))


def fault(name: str) -> str | None:
    """Return why a normalized name is rejected, or None."""
    if len(name) > MAX_LENGTH:
        return f"its name is over {MAX_LENGTH} characters"
    if _CONTROL.search(name):
        return "its name has control characters"
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        return "its name is an absolute path"
    if ".." in name and ".." in name.replace("\\", "/").split("/"):
        return "its name leaves the archive through '..'"
    if name.lower().endswith(ARCHIVES):
        return "nested archive"
    return _hidden(name) if name.startswith(".") or "/." in name else None


def _hidden(name: str) -> str | None:
    *folders, file = name.split("/")
    if any(_is_hidden(folder) for folder in folders):
        return HIDDEN_FOLDER
    return "its name begins with a dot" if _is_hidden(file) else None


def _is_hidden(part: str) -> bool:
    return part.startswith(".") and part[1:2] not in ("", ".")
