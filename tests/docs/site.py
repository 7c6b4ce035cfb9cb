"""A hook of mkdocs: files of the repository outside docs/ that pages link to become part of the site.

On a code host `../SECURITY.md` leads to the file. In the site the same link leads to a page made from it, or to a copy.
"""

import os
import pathlib
import re

from mkdocs.structure.files import File

ROOT = pathlib.Path(__file__).resolve().parents[2]

# What pages link to, from the root of the repository.
PAGES = ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
COPIES = [
    *(f"config/{name}.yaml" for name in ("auth0", "entra", "gateway", "keycloak", "kubernetes", "minimal", "policy-examples")),
    "deploy/Containerfile",
    "deploy/kubernetes/kustomization.yaml",
    "deploy/prometheus/alerts.yml",
    "tests/attacks.md",
    "tests/bench/README.md",
]
LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=[)#])")


def on_files(files, config):
    for path in PAGES + COPIES:
        file = File.generated(config, path, abs_src_path=str(ROOT / path))
        files.append(file)
    return files


def on_page_markdown(markdown, page, config, files):
    """Links are written as they are in the repository; here they become those of the site."""
    source = page.file.src_uri
    place = source if source in PAGES + COPIES else f"docs/{source}"

    def rewritten(match):
        target = os.path.normpath(os.path.join(os.path.dirname(place), match[1]))
        in_site = target.removeprefix("docs/")
        if target == "README.md":
            in_site = "index.md"
        if files.get_file_from_path(in_site) is None:
            return match[1]
        return os.path.relpath(in_site, os.path.dirname(source) or ".")

    return LINK.sub(rewritten, markdown)
