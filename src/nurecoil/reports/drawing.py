"""All figures of a result, as PDF and PNG."""

from __future__ import annotations

from pathlib import Path

from nurecoil.figures.style import RC, read_style
from nurecoil.progress import track
from nurecoil.studies.results import Result


def draw_all(result: Result, folder: Path, style: str | Path | None = None) -> list[str]:
    """Draw every figure into `folder` and return the file names; `style` is a matplotlib style file."""
    settings = {**RC, **(read_style(Path(style)) if style else {})}
    import matplotlib

    from nurecoil.figures.catalogue import draw, figure_specs

    folder.mkdir(parents=True, exist_ok=True)
    names = []
    with matplotlib.rc_context(settings):
        for spec in track(figure_specs(result), "drawing figures"):
            figure = draw(result, spec)
            # Without a creation date the same result gives the same bytes.
            for ending, metadata in (("pdf", {"CreationDate": None}), ("png", None)):
                names.append(f"{spec['name']}.{ending}")
                figure.savefig(folder / names[-1], metadata=metadata)
    return names


def redraw(folder: Path, style: str | Path | None = None) -> list[Path]:
    """Redraw the figures of saved results, computing nothing; returns the files."""
    from nurecoil.reports.files import load_result, prepare, staged

    result = load_result(folder)
    prepare(folder.parent, folder.name)
    with staged(folder) as staging:
        names = draw_all(result, staging / "figures", style)
    return [folder / "figures" / name for name in names]
