"""Checks the relative links and anchors of every tracked Markdown file: the file or folder must be tracked, the heading must exist.

Links to other hosts are not followed. Headings get anchors as code hosts make them, which mkdocs.yml asks of mkdocs too.
"""

import pathlib
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import markdown
from pymdownx.slugs import slugify

EXTENSIONS = ["tables", "toc", "pymdownx.superfences", "md_in_html"]
OPTIONS = {"toc": {"slugify": slugify(case="lower")}}


class Page(HTMLParser):
    """Links and anchors of one rendered page."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(markdown.markdown(text, extensions=EXTENSIONS, extension_configs=OPTIONS))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif name in ("href", "src") and value is not None:
                self.links.append(value)


def broken(root: pathlib.Path, files: list[str]) -> list[str]:
    """One line for each link of a tracked Markdown file that leads nowhere."""
    tracked = set(files)
    folders = {str(parent) for file in files for parent in pathlib.PurePosixPath(file).parents}
    pages = {file: Page((root / file).read_text(encoding="utf-8")) for file in files if file.endswith(".md")}
    found = []
    for file, page in pages.items():
        for link in page.links:
            problem = problem_of(file, link, tracked, folders, pages)
            if problem:
                found.append(f"{file}: {link}: {problem}")
    return found


def problem_of(file, link, tracked, folders, pages) -> str | None:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    if parts.path.startswith("/"):
        return "must be relative"
    target = normal(file, unquote(parts.path)) if parts.path else file
    if target is None:
        return "leads out of the repository"
    if target not in tracked and target not in folders:
        return "no such file in the repository"
    if parts.fragment and parts.fragment not in pages.get(target, Page("")).anchors:
        return "no such heading in that file"
    return None


def normal(file: str, path: str) -> str | None:
    """The path from the root of the repository; None above it."""
    steps = list(pathlib.PurePosixPath(file).parent.parts)
    for step in pathlib.PurePosixPath(path).parts:
        if step != "..":
            steps.append(step)
        elif steps:
            steps.pop()
        else:
            return None
    return "/".join(steps) or "."


def main() -> int:
    root = pathlib.Path(__file__).resolve().parents[2]
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=root, check=True, capture_output=True, text=True
    )
    files = [file for file in listed.stdout.splitlines() if (root / file).is_file()]
    problems = broken(root, files)
    for problem in problems:
        print(f"docs: broken link: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
