"""The command `nurecoil`: a thin shell over studies, figures and reports.

Exit status: 0 done; 2 the input is wrong (one message on standard error); 1 anything else.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nurecoil.errors import NurecoilError
from nurecoil.version import __version__

app = typer.Typer(
    name="nurecoil",
    help="Coherent elastic neutrino-nucleus scattering: spectra, limits and figures from a study file.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Output = Annotated[Path, typer.Option("-o", "--output", help="Folder under which <study name>/ is written.")]
Style = Annotated[Path | None, typer.Option("--style", help="A matplotlib style file.")]
StudyPath = Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="A study file.")]


def _run(study_name: str | Path, output: Path) -> None:
    from nurecoil.reports.files import prepare
    from nurecoil.reports.tables import comparison_table
    from nurecoil.studies.study import load_study

    study = load_study(study_name)
    prepare(output, study.name)
    result = study.run()
    folder = result.save(output)
    typer.echo(comparison_table(result))
    typer.echo(f"\nTables, figures and provenance: {folder}")


@app.command()
def reproduce(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A built-in study.")] = "parada2024",
    output: Output = Path("results"),
) -> None:
    """Run a built-in study and print its limits beside the published ones."""
    from nurecoil.errors import UnknownNameError
    from nurecoil.physics.couplings import nearest
    from nurecoil.studies import presets

    if name not in presets.names("studies"):
        raise UnknownNameError(
            f"no built-in study '{name}'; {nearest(name, presets.names('studies'))} (a study file: nurecoil run FILE)"
        )
    _run(name, output)


@app.command()
def run(study: StudyPath, output: Output = Path("results")) -> None:
    """Run a study file."""
    _run(study, output)


@app.command()
def figures(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A study's folder of results.")],
    style: Style = None,
) -> None:
    """Redraw a study's figures from its saved results, computing nothing."""
    from nurecoil.reports.drawing import redraw

    for path in redraw(directory, style):
        typer.echo(path)


@app.command()
def check(study: StudyPath) -> None:
    """Validate a study file and say in words what it would compute."""
    from nurecoil.reports.describe import describe
    from nurecoil.studies.study import load_study

    typer.echo(describe(load_study(study)))


@app.command()
def presets(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A preset to print as YAML.")] = None,
) -> None:
    """List sources, detectors, studies and couplings, or print one, ready to edit."""
    from nurecoil.reports.presets import list_presets, show_preset

    typer.echo(list_presets() if name is None else show_preset(name), nl=False)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"nurecoil {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point: faults of the input become one message and exit status 2."""
    try:
        app()
    except NurecoilError as fault:
        print(f"nurecoil: {fault}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("nurecoil: interrupted", file=sys.stderr)
        sys.exit(1)
