"""From the keys of a source to the source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from cevnslab.errors import StudyError, located
from cevnslab.physics.arrival_times import GaussianPulse, Pulse, UniformPulse
from cevnslab.physics.flavour import Oscillation
from cevnslab.physics.reactor_spectra import (
    ISOTOPES,
    FissionSpectra,
    MuellerSpectra,
    SpectrumTable,
    TabulatedFissionSpectra,
    huber_mueller,
)
from cevnslab.physics.sources import (
    SPECIES,
    Emission,
    FluxComponent,
    PionDecayAtRest,
    Reactor,
    ReactorCore,
    Source,
    Sun,
    Supernova,
    TabulatedBurst,
    TabulatedSource,
    TotalFlux,
)
from cevnslab.physics.spectra import TabulatedSpectrum
from cevnslab.studies import presets
from cevnslab.studies.schema import sources as schema
from cevnslab.studies.tables import FLAVOUR_COLUMNS, read_spectra
from cevnslab.studies.validation import validated
from cevnslab.words import excerpt

_ALTERNATIVES = (("thermal_power_gw",), ("cores",), ("total_flux_per_cm2_s", "reference_distance_m"))
"""Keys that stand for the same thing: overriding one of a preset's drops the others."""


def merge_source(content: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """A source's keys with its preset's for all that it does not give; `UnknownNameError` for the preset.

    `where` is the path of the source's keys in messages.
    """
    preset = content.get("preset")
    if preset is None:
        return dict(content)
    if not isinstance(preset, str):
        raise StudyError(f"{_path(where, 'preset')}: must be a source preset's name, got {excerpt(preset)}")
    with located(_path(where, "preset")):
        defaults = presets.load("sources", preset)
    present = {key for group in _ALTERNATIVES if any(content.get(key) is not None for key in group) for key in group}
    if present:
        for key in {key for group in _ALTERNATIVES for key in group} - present:
            defaults.pop(key, None)
    return {**defaults, **content}


def _path(where: str, key: str) -> str:
    """The path of a source's key."""
    return f"{where}.{key}" if where else key


def validated_source(content: Mapping[str, Any], base: Path | None = None) -> schema.SourceModel:
    """A source's keys, presets filled in, of the type that they name; `StudyError` for a type that there is not."""
    merged = merge_source(content)
    fault = schema.source_type_fault(merged.get("type"))
    if fault is not None:
        raise StudyError(f"type: {fault}")
    return validated(schema.SOURCES[merged["type"]], merged, base)


def says_distance(content: object) -> bool:
    """Whether a source, by its name or keys, says itself how far it is from every detector."""
    if isinstance(content, str):
        return content in presets.names("sources") and says_distance(presets.load("sources", content))
    if not isinstance(content, Mapping):
        return False
    kind = content.get("type")
    return kind in schema.SOURCES and schema.SOURCES[kind].says_distance(content)


def build_source(keys: str | schema.SourceModel, base: Path = Path(), where: str = "") -> Source:
    """A source from a preset's name or its keys; file names are relative to `base`.

    Raises a `CevnslabError` whose message starts with `where`, the path of the source's keys, or with a key of it.
    """
    if isinstance(keys, str):
        with located(where) if where else nullcontext():
            return build_source(validated_source(presets.load("sources", keys)))
    if isinstance(keys, schema.Reactor):
        _check_reactor_norm(keys, where)
    if isinstance(keys, schema.TabulatedSource):
        _check_table(keys, where)
    with located(where) if where else nullcontext():
        return BUILDERS[type(keys)](keys, base)


def _pions(keys: schema.PionDecayAtRest, _: Path) -> PionDecayAtRest:
    return PionDecayAtRest(
        name=keys.name,
        protons_per_year=keys.protons_per_year,
        neutrinos_per_proton=keys.neutrinos_per_proton,
        hours_per_year=keys.hours_per_year,
        duty_factor=keys.duty_factor,
        pulse=_pulse(keys.pulse),
        repetition_hz=keys.repetition_hz,
    )


def _solar(keys: schema.Solar, _: Path) -> Sun:
    return Sun(keys.name, tuple(keys.branches), keys.flux, keys.shape_8b, _oscillation(keys.oscillation))


def _pulse(keys: schema.GaussianPulse | schema.UniformPulse | None) -> Pulse | None:
    if isinstance(keys, schema.GaussianPulse):
        return GaussianPulse(keys.centre_us, keys.width_us)
    return None if keys is None else UniformPulse(keys.start_us, keys.length_us)


def _check_reactor_norm(keys: schema.Reactor, where: str) -> None:
    """Raise `StudyError` unless exactly one normalisation is given, with all that belongs to it."""
    norms = ("thermal_power_gw", "cores", "total_flux_per_cm2_s")
    present = [key for key in norms if getattr(keys, key) is not None]
    if len(present) != 1:
        raise StudyError(
            f"{_path(where, norms[0])}: exactly one of {', '.join(norms)} is required, "
            f"got {', '.join(present) or 'none'}"
        )
    if keys.total_flux_per_cm2_s is None:
        if keys.reference_distance_m is not None:
            raise StudyError(f"{_path(where, 'reference_distance_m')}: goes with total_flux_per_cm2_s")
        return
    if keys.reference_distance_m is None:
        raise StudyError(f"{_path(where, 'reference_distance_m')}: required with total_flux_per_cm2_s")
    if keys.captures is None:
        raise StudyError(
            f"{_path(where, 'captures')}: required with total_flux_per_cm2_s; published totals hold the antineutrinos "
            "of captures on U-238, about 0.6 per fission (0 for a total without them)"
        )


def _reactor(keys: schema.Reactor, base: Path) -> Reactor:
    total = None
    if keys.total_flux_per_cm2_s is not None and keys.reference_distance_m is not None:
        total = TotalFlux(keys.total_flux_per_cm2_s, keys.reference_distance_m)
    return Reactor(
        name=keys.name,
        thermal_power_gw=keys.thermal_power_gw,
        fission_fractions=keys.fission_fractions,
        hours_per_year=keys.hours_per_year,
        duty_factor=keys.duty_factor,
        spectra=_fission_spectra(keys.spectrum, base),
        captures=keys.captures or 0.0,
        cores=tuple(ReactorCore(core.thermal_power_gw, core.distance_m) for core in keys.cores or ()),
        total_flux=total,
        above_8_mev=(keys.above_8_mev.factor, keys.above_8_mev.uncertainty),
    )


def _fission_spectra(keys: str | schema.FissionFile, base: Path) -> FissionSpectra:
    if not isinstance(keys, schema.FissionFile):
        return huber_mueller() if keys == "huber-mueller" else MuellerSpectra()
    logarithmic = keys.interpolation == "logarithmic"
    path = base / keys.file
    energy, columns = read_spectra(path, ISOTOPES)
    if logarithmic and any((density <= 0).any() for density in columns.values()):
        raise StudyError(f"spectrum file {path}: logarithmic interpolation needs densities above 0")
    table = SpectrumTable(
        tuple(energy.tolist()), tuple((name, tuple(density.tolist())) for name, density in columns.items()), logarithmic
    )
    return TabulatedFissionSpectra("table", (table,))


def _oscillation(keys: schema.Oscillation) -> Oscillation:
    return Oscillation(**keys.model_dump())


def _supernova(keys: schema.Supernova, _: Path) -> Supernova:
    def of(value: float | schema.OfSpecies, species: str) -> float:
        return float(getattr(value, species)) if isinstance(value, schema.OfSpecies) else value

    emission = {
        species: Emission(of(keys.energy_erg, species), of(keys.mean_energy_mev, species), of(keys.pinching, species))
        for species in SPECIES
    }
    return Supernova(
        keys.name, keys.distance_kpc, emission, keys.ordering, keys.window_s, _oscillation(keys.oscillation)
    )


def _check_table(keys: schema.TabulatedSource, where: str) -> None:
    """Raise `StudyError` for keys of a flux with a fluence, or of a fluence with a flux."""
    if keys.quantity == "flux":
        if keys.hours_per_year is None:
            raise StudyError(f"{_path(where, 'hours_per_year')}: this key is required (or give quantity: fluence)")
        if keys.window_s is not None:
            raise StudyError(f"{_path(where, 'window_s')}: goes with quantity: fluence")
    else:
        for key in ("hours_per_year", "duty_factor"):
            if key in keys.model_fields_set:
                raise StudyError(f"{_path(where, key)}: the fluence of a burst has no live time; remove it")


def _tabulated(keys: schema.TabulatedSource, base: Path) -> TabulatedSource | TabulatedBurst:
    components = _tabulated_components(base / keys.file, _oscillation(keys.oscillation))
    distance = None if keys.reference_distance_m == "none" else keys.reference_distance_m
    # The file holds fluxes or fluences, so that they are the components' yields of a unit flux or fluence.
    if keys.quantity == "fluence":
        return TabulatedBurst(keys.name, components, distance, keys.window_s or 10.0)
    assert keys.hours_per_year is not None
    return TabulatedSource(keys.name, components, 1.0, distance, keys.hours_per_year, keys.duty_factor)


def _tabulated_components(path: Path, oscillation: Oscillation) -> tuple[FluxComponent, ...]:
    """One component per column of a spectrum file, its yield the flux in 1/(cm^2 s), or the fluence in 1/cm^2."""
    energy, columns = read_spectra(path)
    components = []
    for name, density in columns.items():
        if not density.any():
            continue  # a flavour that the source does not emit
        with located(f"spectrum file {path}, column {name}"):
            spectrum = TabulatedSpectrum(tuple(energy.tolist()), tuple(density.tolist()))
            flavour, antineutrino = FLAVOUR_COLUMNS[name]
            components.append(
                FluxComponent(
                    name,
                    flavour,
                    antineutrino,
                    spectrum.normalised(),
                    yield_per_primary=spectrum.integral,
                    oscillation=oscillation,
                )
            )
    if not components:
        raise StudyError(f"spectrum file {path}: no column has any neutrinos")
    return tuple(components)


BUILDERS: dict[type[schema.SourceModel], Callable[[Any, Path], Source]] = {
    schema.PionDecayAtRest: _pions,
    schema.Reactor: _reactor,
    schema.Solar: _solar,
    schema.Supernova: _supernova,
    schema.TabulatedSource: _tabulated,
}
"""From the keys of each type, and the folder of the files that they name, to the source."""
