"""What the pages need beside themselves: files of the project they link to, and the pages of long lists.

A page links to `../demo_artifacts/x.png` as it stands in the repository. In the site the same file lies inside: the
links lose the one step that leads out of docs/.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

BESIDE = (
    "demo_artifacts/*.*",
    "demo_artifacts/calibration/*",
    "demo_artifacts/compound/*",
    "examples/*.py",
    "*.md",
    "LICENSE",
)
NOT_BESIDE = ("README.md",)
_LINK = re.compile(r"(\]\()((?:\.\./)+)(?=demo_artifacts/|examples/|[A-Z]+\.md|LICENSE)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Every decision and every API page stands in the navigation without being listed by hand."""
    docs = Path(config.docs_dir)
    for entry in config.nav or []:
        for title, pages in entry.items():
            if title in ("Decisions", "API"):
                folder = title.lower()
                pages += [f"{folder}/{p.name}" for p in sorted((docs / folder).glob("*.md")) if p.name != "index.md"]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of the project that pages link to become files of the site."""
    root = Path(config.docs_dir).parent
    for path in sorted(path for pattern in BESIDE for path in root.glob(pattern)):
        if path.is_file() and path.name not in NOT_BESIDE:
            files.append(File(str(path.relative_to(root)), str(root), config.site_dir, config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: MkDocsConfig, files: Files) -> str:
    """Links between docs/ and what lies beside it, as they are in the site."""
    if Path(page.file.abs_src_path).is_relative_to(config.docs_dir):
        return _LINK.sub(lambda found: found[1] + found[2].removeprefix("../"), markdown)
    return re.sub(r"(\]\()docs/", r"\1", markdown)
