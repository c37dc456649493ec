"""The galleries: studies are run when the site is built, and shown with their study file, limits and figures.

Figures are not kept in the repository: they would be stale after the first change, and every version of every image
stays in its history. They are kept under `build/docs-cache` by the package's and the study's hash, so that a second
build runs nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache import CACHE
from marks import filled

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
GALLERIES = DOCS / "galleries"
BUILT_IN = ("ess-combined", "ess-statistics")
"""Built-in studies that take seconds and need no data."""
PAPER = "parada2024"


def study_files() -> list[Path]:
    """The studies of the gallery, in the order of their names."""
    return sorted(GALLERIES.glob("*.yaml"))


def ran(name_or_path: str) -> Path:
    """The folder of a study's results; it is run unless that was done before with the same package and files."""
    import cevnslab as cl

    study = cl.load_study(name_or_path)
    content = Path(name_or_path).read_bytes() if Path(name_or_path).is_file() else name_or_path.encode()
    place = CACHE / "gallery" / hashlib.sha256(content).hexdigest()[:12]
    folder = place / study.name
    if not (folder / "result.json").exists():
        study.run().save(place)
    return folder


def _heading(text: str) -> tuple[str, str]:
    """The first comment of a study file as title (its first sentence) and words (the rest)."""
    comment = " ".join(line[1:].strip() for line in re.match(r"(?:#.*\n)*", text)[0].splitlines())  # type: ignore[index]
    title, _, rest = comment.partition(". ")
    return title.rstrip("."), rest


def _figures(folder: Path) -> str:
    images = sorted((folder / "figures").glob("*.png"))
    return "\n\n".join(f"![{image.stem}]({os.path.relpath(image, GALLERIES)})" for image in images)


def _limits(folder: Path) -> str:
    import cevnslab as cl

    return f"```text\n{cl.load_result(folder)}\n```"


def studies() -> str:
    """The gallery of studies: the file, what it gave."""
    sections = []
    for path in study_files():
        text = path.read_text(encoding="utf-8")
        title, words = _heading(text)
        keys = re.sub(r"\A(?:#.*\n)*", "", text).strip()
        folder = ran(str(path))
        sections.append(f"## {title}\n\n{words}\n\n```yaml\n{keys}\n```\n\n{_limits(folder)}\n\n{_figures(folder)}")
    return "\n\n".join(sections)


def built_in() -> str:
    """Built-in studies."""
    from cevnslab.reports.presets import show_preset

    sections = []
    for name in BUILT_IN:
        title, words = _heading(show_preset(name))
        folder = ran(name)
        intro = f"## {title}\n\n{words}\n\n    cevnslab reproduce {name}"
        sections.append(f"{intro}\n\n{_limits(folder)}\n\n{_figures(folder)}")
    return "\n\n".join(sections)


def paper() -> str:
    """The paper's figures with the part of the study file that asks for each."""
    import yaml

    import cevnslab as cl

    folder, sections = ran(PAPER), []
    for spec in cl.load_study(PAPER).as_dict()["figures"]:
        image = folder / "figures" / f"{spec['name']}.png"
        keys = yaml.safe_dump([spec], sort_keys=False, default_flow_style=None, width=110).strip()
        title = spec["name"].replace("-", " ").capitalize()
        relative = os.path.relpath(image, GALLERIES)
        sections.append(f"## {title}\n\n![{title}]({relative})\n\n```yaml\n{keys}\n```")
    return "\n\n".join(sections)


MAKERS = {"gallery-studies": studies, "gallery-built-in": built_in, "gallery-paper": paper}


def _fill(app: Sphinx, docname: str, source: list[str]) -> None:
    if docname.startswith("galleries/"):
        source[0] = filled(source[0], MAKERS)


def setup(app: Sphinx) -> dict[str, Any]:
    """Run the studies of a gallery when its page is read."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
