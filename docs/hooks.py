"""MkDocs hook: the site also has the Markdown files outside docs/, and links between the two work as on a Git host.

Pages link to each other by their relative paths in the repository. The files of `OUTSIDE` appear under `repository/`
in the site, and this hook rewrites the links accordingly. ADRs and the results of benchmarks join the navigation by
their file names.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
OUTSIDE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/results")
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)\s#]+)")


def on_config(config: Any) -> Any:
    """List every ADR, and every page of results, in the navigation."""
    results = sorted((ROOT / "benchmarks" / "results").glob("*.md"))
    for section in config.nav:
        for title, pages in section.items():
            if title == "Contribute":
                decisions = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
                pages[-1] = {"Decisions": ["adr/index.md", *(f"adr/{path.name}" for path in decisions)]}
            if title == "More":
                pages.extend(f"repository/benchmarks/results/{path.name}" for path in results)
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the files outside docs/ to the site."""
    for name in OUTSIDE:
        for path in sorted([ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*")):
            if path.suffix in {".md", ".svg", ".png"}:
                uri = f"repository/{path.relative_to(ROOT).as_posix()}"
                files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, files: Files, **_: Any) -> str:
    """Turn links between repository paths into links between the site's pages."""
    source = page.file.src_uri
    folder = posixpath.dirname(_in_repository(source))

    def rewrite(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[1]))
        uri = target.removeprefix("docs/") if target.startswith("docs/") else f"repository/{target}"
        for candidate in (uri, f"{uri}/index.md"):
            if files.get_file_from_path(candidate):
                return posixpath.relpath(candidate, posixpath.dirname(source) or ".")
        return link[1]  # MkDocs reports it

    return LINK.sub(rewrite, markdown)


def _in_repository(uri: str) -> str:
    return uri.removeprefix("repository/") if uri.startswith("repository/") else f"docs/{uri}"
