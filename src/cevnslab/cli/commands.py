"""The commands and their options; each hands over to studies and reports, imported where it needs them."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import typer

from cevnslab.cli.streams import say
from cevnslab.progress import notice
from cevnslab.version import __version__

app = typer.Typer(
    name="cevnslab",
    help="Coherent elastic neutrino-nucleus scattering: spectra, limits and figures from a study file.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Output = Annotated[Path, typer.Option("-o", "--output", help="Folder under which <study name>/ is written.")]
Style = Annotated[Path | None, typer.Option("--style", help="A matplotlib style file.")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Processes of this machine; 0: this one alone.")]
Scheduler = Annotated[str | None, typer.Option("--scheduler", help="Address of a Dask scheduler.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder with the data of experiments; else CEVNSLAB_DATA, or they are downloaded."),
]


class Statistic(enum.StrEnum):
    """Statistics by name."""

    LEAST_SQUARES = "least-squares"
    POISSON = "poisson"


class MinimumChoice(enum.StrEnum):
    """What an interval compares with."""

    GLOBAL = "global"
    CONNECTED = "connected"


class EnsembleChoice(enum.StrEnum):
    """What fluctuates beside the counts."""

    DRAWN = "drawn"
    CENTRES = "centres"


StudyPath = Annotated[str, typer.Argument(metavar="STUDY.yaml", help="A study file, or a built-in study.")]


def _run(study_name: str, output: Path, workers: int, scheduler: str | None, data: Path | None) -> None:
    from cevnslab.reports.drawing import helper

    with helper() as drawing_helper:
        from cevnslab.reports.files import FILES, announce_replacement, saving
        from cevnslab.reports.grid import terminal_width
        from cevnslab.reports.storage import result_folder
        from cevnslab.reports.tables import result_text
        from cevnslab.studies.load import load_study
        from cevnslab.studies.preparation import prepare
        from cevnslab.studies.tasks import check_options

        study = load_study(study_name, data=data, announce=notice)
        check_options(study, workers, scheduler)
        prepare(study)
        with result_folder(output, study.name, study.sha256, FILES, command="run", alone=True) as store:
            announce_replacement(output / study.name, study.sha256)
            result = study.run(store=store, workers=workers, scheduler=scheduler)
            with saving(result, output, drawn_by=drawing_helper) as folder:
                text = result_text(result, terminal_width())
    say(text)
    say(f"\nTables, figures and provenance: {folder}")


@app.command()
def reproduce(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="A built-in study.")] = "parada2024",
    output: Output = Path("results"),
    workers: Workers = 0,
    scheduler: Scheduler = None,
    data: Data = None,
) -> None:
    """Run a built-in study; where its limits were published, print both side by side."""
    from cevnslab.errors import UnknownNameError
    from cevnslab.studies import presets
    from cevnslab.words import nearest

    if name not in presets.names("studies"):
        raise UnknownNameError(
            f"no built-in study '{name}'; {nearest(name, presets.names('studies'))} (a study file: cevnslab run FILE)"
        )
    _run(name, output, workers, scheduler, data)


@app.command()
def run(
    study: StudyPath,
    output: Output = Path("results"),
    workers: Workers = 0,
    scheduler: Scheduler = None,
    data: Data = None,
) -> None:
    """Run a study file."""
    _run(study, output, workers, scheduler, data)


@app.command()
def coverage(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or a built-in study.")],
    detector: Annotated[str, typer.Option("--detector", help="A detector or combination.")],
    coupling: Annotated[str, typer.Option("--coupling", help="A coupling of the study.")],
    at: Annotated[list[float], typer.Option("--at", help="A true value in the coupling's unit; repeatable.")],
    toys: Annotated[int, typer.Option("--toys", help="Pseudo-experiments per value, at least 100.")] = 10_000,
    seed: Annotated[int, typer.Option("--seed", help="Of the random numbers.")] = 1,
    statistic: Annotated[Statistic | None, typer.Option("--statistic", help="The study's unless given.")] = None,
    minimum: Annotated[MinimumChoice | None, typer.Option("--minimum", help="The study's unless given.")] = None,
    ensemble: Annotated[
        EnsembleChoice, typer.Option("--ensemble", help="Normalisations drawn, or constraint centres fluctuated.")
    ] = EnsembleChoice.DRAWN,
    output: Output = Path("results"),
    workers: Workers = 0,
    scheduler: Scheduler = None,
    data: Data = None,
) -> None:
    """Simulate how often an interval covers the truth."""
    from cevnslab.reports.coverage import FILES, coverage_grid, save_coverage
    from cevnslab.reports.grid import grid_text, terminal_width
    from cevnslab.reports.storage import result_folder
    from cevnslab.studies.coverage import check_request
    from cevnslab.studies.coverage import coverage as simulate
    from cevnslab.studies.load import load_study

    loaded = load_study(study, data=data, announce=notice)
    request: Any = {
        "toys": toys,
        "seed": seed,
        "statistic": None if statistic is None else statistic.value,
        "minimum": None if minimum is None else minimum.value,
    }
    check_request(loaded, detector, coupling, at, **request)
    request_key = repr((detector, coupling, at, request, ensemble.value))
    task = f"{loaded.sha256} {request_key}"
    with result_folder(output, loaded.name, task, FILES, command="coverage", alone=False) as store:
        where: Any = {"store": store, "workers": workers, "scheduler": scheduler}
        result = simulate(loaded, detector, coupling, at, **request, ensemble=ensemble.value, **where)
        folder, dropped = save_coverage(result, output)
    if dropped:
        say(f"{dropped} points of another version of this study were replaced.")
    say(grid_text(coverage_grid(result), terminal_width()))
    say(f"\nTable and figure: {folder}")


@app.command()
def figures(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A study's folder of results.")],
    style: Style = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the figures; DIR/figures unless given.")
    ] = None,
) -> None:
    """Redraw a study's figures from its saved results, computing nothing."""
    from cevnslab.reports.drawing import helper

    with helper() as drawing_helper:
        from cevnslab.reports.files import redraw

        for path in redraw(directory, style, drawing_helper, output):
            say(path)


@app.command()
def check(study: StudyPath, data: Data = None) -> None:
    """Validate a study file, all but the fits, and say in words what it would compute; nothing is downloaded."""
    from cevnslab.reports.describe import describe
    from cevnslab.studies.load import load_study
    from cevnslab.studies.preparation import check as check_study

    loaded = load_study(study, data=data, announce=notice)
    check_study(loaded)
    say(describe(loaded))


@app.command()
def presets(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A preset to print as YAML.")] = None,
) -> None:
    """List sources, detectors, studies and couplings, or print one, ready to edit."""
    from cevnslab.reports.presets import list_presets, show_preset

    say(list_presets() if name is None else show_preset(name), end="")


@app.command()
def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A study's folder of results.")],
) -> None:
    """Write a study's saved results as one HTML page, computing nothing."""
    from cevnslab.reports.html import write_report

    say(write_report(directory))


class ExportFormat(enum.StrEnum):
    """What results or a study can be exported to."""

    HEPDATA = "hepdata"
    PYHF = "pyhf"
    BIBTEX = "bibtex"


@app.command()
def export(
    source: Annotated[str, typer.Argument(metavar="DIR|STUDY", help="A study's folder of results, or a study.")],
    form: Annotated[ExportFormat, typer.Option("--format", help="hepdata takes a folder; the others take both.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for hepdata (DIR/hepdata), else a file (-, standard output)."),
    ] = None,
    detector: Annotated[
        list[str] | None, typer.Option("--detector", help="For pyhf: a detector or combination; repeatable.")
    ] = None,
    at: Annotated[
        list[str] | None, typer.Option("--at", help="For pyhf: COUPLING=VALUE in the coupling's unit; repeatable.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Let hepdata-validator or pyhf check it first (extras hepdata, pyhf).")
    ] = False,
    data: Data = None,
) -> None:
    """Export results or a study: HEPData tables, a pyhf workspace, BibTeX of what to cite."""
    from cevnslab.reports.exports import export as write

    text = write(source, form.value, output, detectors=detector or [], at=at or [], check=check, data=data)
    say(text, end="")


@app.command()
def schema() -> None:
    """Print the JSON Schema of study files, for editors."""
    import json

    from cevnslab.reports.json_schema import study_schema

    say(json.dumps(study_schema(), indent=1))


@app.command()
def keys(
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="A key or its path; all unless given.")] = None,
) -> None:
    """Print the keys of the study file: values, defaults, what is allowed, meanings."""
    from cevnslab.reports.keys import keys_text

    say(keys_text(key), end="")


def _version(value: bool) -> None:
    if value:
        say(f"cevnslab {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def levers(study: StudyPath, output: Output = Path("results"), style: Style = None, data: Data = None) -> None:
    """By how much each key of a study moves each limit, sorted: where the next euro goes."""
    from cevnslab.reports.grid import grid_text, terminal_width
    from cevnslab.reports.levers import levers_grids, save_levers
    from cevnslab.studies.levers import levers as computed
    from cevnslab.studies.load import load_study

    loaded = load_study(study, data=data, announce=notice)
    rows = computed(loaded)
    folder = save_levers(loaded.name, rows, output, style)
    say("\n".join(grid_text(grid, terminal_width()) for grid in levers_grids(loaded.name, rows)))
    say(f"\nTable and figure: {folder}")


@app.command()
def explore(
    study: Annotated[str, typer.Argument(metavar="[STUDY]", help="A study file, or a built-in study.")] = "parada2024",
    address: Annotated[
        str, typer.Option("--address", help="Where to listen; beyond this machine with --token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0: any that is free.")] = 0,
    token: Annotated[
        str | None, typer.Option("--token", help="What the page asks for before it shows anything.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")] = True,
    data: Data = None,
) -> None:
    """Open a page with sliders for the keys of a study (needs the extra explore)."""
    from cevnslab.explorer.server import serve
    from cevnslab.studies.load import load_study

    loaded = load_study(study, data=data, announce=notice)
    serve(
        loaded,
        address=address,
        port=port,
        token=token,
        show=browser,
        ready=lambda url: say(f"{loaded.name}: {url} (Ctrl-C ends it)"),
    )
