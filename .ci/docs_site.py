"""MkDocs hooks: the pages outside docs/ become part of the site, and links to them are followed.

In the repository, the same links lead to the files, so that they work on GitHub, too.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any, Final

from mkdocs.structure.files import File, Files

ROOT: Final = Path(__file__).resolve().parents[1]
# Pages of the site that are made from files at the top.
PAGES: Final = {
    "product.md": "README.md",
    "reporting.md": "SECURITY.md",
    "changes.md": "CHANGELOG.md",
}
_LINK: Final = re.compile(r"(!?)\[((?:[^\]\\]|\\.)*)\]\(([^)#\s]+)(#[\w-]+)?\)")
_ELSEWHERE: Final = ("http:", "https:", "mailto:")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made from files at the top."""
    for uri, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        # Their links begin at the top, those of other pages in docs/.
        moved = _LINK.sub(lambda link: _from(link, "."), text)
        files.append(File.generated(config, uri, content=moved))
    return files


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Let links that leave docs/ lead to the page of the site, or else name the file."""
    if page.file.src_uri in PAGES:
        return markdown
    return _LINK.sub(lambda link: _from(link, "docs"), markdown)


def _from(link: re.Match[str], folder: str) -> str:
    """Return the link of a page in this folder as one of a page of the site."""
    mark, text, target, anchor = link.group(1), link.group(2), link.group(3), link.group(4) or ""
    if target.startswith(_ELSEWHERE):
        return link.group(0)
    path = posixpath.normpath(posixpath.join(folder, target))
    page = next((uri for uri, source in PAGES.items() if source == path), None)
    if page is None and path.startswith("docs/"):
        page = path.removeprefix("docs/")
    # What is no page, such as a folder, has no address here.
    return text if page is None else f"{mark}[{text}]({page}{anchor})"
