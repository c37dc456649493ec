"""Studies, sources and detectors by name or file."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cevnslab import arguments
from cevnslab.detection.detector import Detector
from cevnslab.detection.response import Response
from cevnslab.detection.response import response as detection_response
from cevnslab.errors import StudyError, located
from cevnslab.physics.couplings import COUPLINGS, Coupling
from cevnslab.physics.nuclei import NucleiConvention
from cevnslab.physics.sources import Source
from cevnslab.results import Result
from cevnslab.studies import presets, schema
from cevnslab.studies.build import build_detector, merge_preset
from cevnslab.studies.objects import with_keys
from cevnslab.studies.scans import check_scans
from cevnslab.studies.sources import build_source, validated_source
from cevnslab.studies.study import Study, build_study
from cevnslab.studies.validation import validated
from cevnslab.studies.yaml_io import read_yaml
from cevnslab.words import excerpt


def _content(kind: presets.Kind, name_or_path: str | os.PathLike[str]) -> tuple[dict[str, Any], str, Path]:
    text = _text(name_or_path)
    if presets.is_path(name_or_path):
        return read_yaml(Path(text)), text, Path(text).parent
    return presets.load(kind, text), f"preset {text}", Path()


def _text(name_or_path: object) -> str:
    if not isinstance(name_or_path, str | os.PathLike):
        raise StudyError(f"a preset's name or a path is needed, got {excerpt(name_or_path)}")
    return str(os.fspath(name_or_path))


def load_source(name_or_path: str | os.PathLike[str]) -> Source:
    """A source preset by name, or a YAML file of a source's keys by path. Raises a `CevnslabError`.

    >>> load_source("ess").name
    'ess'
    """
    content, where, base = _content("sources", name_or_path)
    with located(where):
        return build_source(validated_source(content, base), base)


def load_detector(name_or_path: str | os.PathLike[str], *, nuclei: NucleiConvention = "standard-weight") -> Detector:
    """A detector preset by name, or a YAML file of a detector's keys by path. Raises a `CevnslabError`.

    Keys that belong to the running of a detector (source, exposure, channels, uncertainties) are checked, not used.

    >>> load_detector("ess-ge").mass_kg
    7.0
    """
    content, where, base = _content("detectors", name_or_path)
    with located(where):
        merged = merge_preset(content)
        if "dataset" in merged:
            raise StudyError("this is a data set, not a projected detector: use it in a study")
        return build_detector(validated(schema.Detector, merged, base), base, nuclei)


def response(
    source: Source | str | os.PathLike[str],
    detector: Detector | str | os.PathLike[str],
    *,
    couplings: Sequence[str | Coupling] = (),
    years: float | None = None,
    channels: Sequence[str] = ("cevns",),
    form_factor: str = "helm",
    radiative_corrections: bool = False,
    registry: Mapping[str, Coupling] = COUPLINGS,
) -> Response:
    """Expected counts per bin of a detector at a source, as a function of couplings.

    A channel whose recoils do not reach the bins counts nothing there.

    Raises a `CevnslabError` where no recoil reaches the bins, a table does not cover the energies needed, a channel is
    not one of the two, or an argument is not what it should be.

    Parameters
    ----------
    source, detector
        Objects, or what `load_source` and `load_detector` take: a preset's name or a file.
    couplings
        Names or declarations; at most one that is not linear in an amplitude, such as the neutron radius.
    years
        Exposure in calendar years; none at a source of one burst, whose counts are those of the burst.
    channels
        Of ``"cevns"`` and ``"electron"``; the latter needs the detector's `electron_quenching`.
    form_factor
        A name of `cevnslab.form_factors.FORM_FACTORS`.
    radiative_corrections
        Corrected couplings on nuclei (`cevnslab.cross_sections.cevns`).
    registry
        Where names of couplings are looked up.

    Examples
    --------
    >>> round(float(response("ess", "ess-ge", years=3).counts().sum()), 4)
    3874.6091

    """
    return detection_response(
        load_source(source) if isinstance(source, str | os.PathLike) else source,
        load_detector(detector) if isinstance(detector, str | os.PathLike) else detector,
        couplings=couplings,
        years=years,
        channels=channels,
        form_factor=form_factor,
        radiative_corrections=radiative_corrections,
        registry=registry,
    )


def load_study(
    name_or_path: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    announce: Callable[[str], None] | None = None,
) -> Study:
    """A built-in study by name, or a study file by path.

    `data` is the folder with the data of experiments; unless given it is that of the environment variable
    CEVNSLAB_DATA, or they are downloaded. Before a plugin of the study is run, `announce` is told so.

    A string that ends in .yaml or .yml, holds a path separator, or names a file is a path. Raises a `CevnslabError`
    whose message names the file, the key's path, the fault and what is allowed.

    >>> load_study("parada2024").name
    'parada2024'
    """
    text = _text(name_or_path)
    # os.path, unlike a Path, has no file by a name that is too long for one.
    if presets.is_path(name_or_path) or (text not in presets.names("studies") and os.path.isfile(text)):
        path = Path(text)
        return study_from_dict(read_yaml(path), where=str(path), base=path.parent, data=data, announce=announce)
    if os.path.isdir(text or "."):
        raise StudyError(f"{text or 'an empty name'}: a study file or a built-in study is needed, this is a folder")
    return _built_in(text, None if data is None else str(arguments.path("data", data)))


@functools.cache
def _built_in(name: str, data: str | None = None) -> Study:
    """A built-in study, made once: it is frozen, and results are compared with it again."""
    return study_from_dict(presets.load("studies", name), where=f"study preset {name}", data=data)


def study_from_dict(
    content: Mapping[str, Any],
    *,
    where: str = "study",
    base: str | os.PathLike[str] = Path(),
    data: str | os.PathLike[str] | None = None,
    announce: Callable[[str], None] | None = None,
) -> Study:
    """A study from its keys; file names in it are relative to `base`. Raises as `load_study`.

    Under `detectors` an entry may be a `Detector`, or keys with one under `detector`.
    """
    if isinstance(content, Mapping):
        with located(where):
            content = with_keys(dict(content))
    folder = None if data is None else arguments.path("data", data)
    study = build_study(content, _run, where=where, base=arguments.path("base", base), data=folder, announce=announce)
    with located(where):
        check_scans(study)
    return study


def _run(study: Study, **options: Any) -> Result:
    """The runner, imported when something is computed: checking a study does not pay for it."""
    from cevnslab.studies.runner import run

    return run(study, **options)
