"""What the documentation site adds to its pages: documents from other folders, links to them, and a check.

READMEs of plugins and samples, CHANGELOG and CONTRIBUTING stay where a reader of the repository looks for them; the
site shows them as pages. A link between documents is written for the repository and leads to the page on the site.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from posixpath import relpath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = {
    "about/changelog.md": ROOT / "CHANGELOG.md",
    "about/contributing.md": ROOT / "CONTRIBUTING.md",
    "about/security.md": ROOT / "SECURITY.md",
    "about/samples.md": ROOT / "samples" / "README.md",
}
"""Page of the site -> document outside of ``docs/``. Model cards are found by their place."""
SAME = {ROOT / "README.md": "index.md"}
"""Documents that another page stands for."""
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)#\s]*)(?P<anchor>#[^)\s]*)?\)")
REMOTE = re.compile(r"""<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=["']?(?:https?:)?//[^"'\s>]+""")
"""An asset that a browser would fetch from another host. Links that a person follows are none."""
REMOTE_CSS = re.compile(r"(?:url\(\s*[\"']?|@import\s+[\"'])(?:https?:)?//")


def model_cards() -> dict[str, Path]:
    """``methods/zhang.md`` -> README of ``plugins/colorpipe_zhang``."""
    return {
        f"methods/{file.parent.name.removeprefix('colorpipe_').replace('_', '-')}.md": file
        for file in sorted(ROOT.glob("plugins/*/README.md"))
    }


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave out what the navigation names and is not there, and add the model cards and the documents outside."""
    there = {*(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))}
    config.nav = _existing(config.nav or [], there)
    cards: list[Any] = [{_title(path): page} for page, path in model_cards().items()]
    config.nav.insert(-1, {"Methods": cards})
    config.nav.append({"About": [{page.split("/")[1][:-3].capitalize(): page} for page in OUTSIDE]})
    return config


def _existing(nav: Any, there: set[str]) -> Any:
    if isinstance(nav, str):
        return nav if nav in there else None
    if isinstance(nav, dict):
        kept = {title: _existing(item, there) for title, item in nav.items()}
        return {title: item for title, item in kept.items() if item}
    return [item for item in (_existing(item, there) for item in nav) if item]


def _title(path: Path) -> str:
    heading = re.search(r"^# (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return heading[1].replace("`", "") if heading else path.parent.name


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside of ``docs/``, and the pictures beside them."""
    for page, path in {**OUTSIDE, **model_cards()}.items():
        files.append(File.generated(config, page, abs_src_path=str(path)))
        for picture in sorted(path.parent.glob("*.[jp][pn]g")) if page.startswith("methods/") else ():
            files.append(File.generated(config, f"methods/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that are right in the repository into links that are right on the site."""
    pages = {Path(file.abs_src_path): file.src_uri for file in files if file.abs_src_path} | SAME
    if page.file.abs_src_path is None:
        return markdown
    source = Path(page.file.abs_src_path)

    def moved(match: re.Match[str]) -> str:
        target = match["target"]
        if not target or re.match(r"[a-z]+:", target):
            return match[0]
        path = Path(os.path.normpath(source.parent / target))
        uri = pages.get(path) or pages.get(path / "README.md")
        if uri is not None:
            back = relpath(uri, os.path.dirname(page.file.src_uri) or ".")
            return f"{match['image']}[{match['text']}]({back}{match['anchor'] or ''})"
        if path.exists() and not match["image"]:
            # Code and data, which the site does not hold: named, as a reader finds them in the repository.
            name = path.relative_to(ROOT).as_posix()
            return (
                match["text"]
                if name in match["text"] or f"`{path.name}`" in match["text"]
                else (f"{match['text']} (`{name}`)")
            )
        return match[0]  # mkdocs says that it leads nowhere

    return _outside_code(LINK, moved, markdown)


def _outside_code(pattern: re.Pattern[str], replace: Any, markdown: str) -> str:
    parts = re.split(r"(^```.*?^```$|^~~~.*?^~~~$)", markdown, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if index % 2 else pattern.sub(replace, part) for index, part in enumerate(parts))


def on_post_build(config: MkDocsConfig) -> None:
    """Check that the site needs no other host.

    Raises:
        PluginError: a page or a style sheet would fetch something.
    """
    for file in sorted(Path(config.site_dir).rglob("*")):
        pattern = {".html": REMOTE, ".css": REMOTE_CSS}.get(file.suffix)
        if pattern is None:
            continue
        for found in pattern.finditer(file.read_text("utf-8")):
            if 'rel="canonical"' not in found[0] and "rel=canonical" not in found[0]:
                raise PluginError(f"{file}: the site fetches from another host: {found[0][:200]}")
