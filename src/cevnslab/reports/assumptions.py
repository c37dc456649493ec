"""What a study's numbers take for granted and a reader must know: said beside limits, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cevnslab.studies import presets

Keys = Mapping[str, Any]

FLAVOUR_MOMENTS = frozenset({"mu_e", "mu_mu", "mu_tau"})


def assumptions(study: Keys) -> list[str]:
    """One sentence each; `study` is what `Study.as_dict` or `Result.study` holds.

    >>> import cevnslab as cl
    >>> assumptions(cl.load_study("ess-nsi").as_dict())
    []
    """
    return list(_assumptions(study))


def _assumptions(study: Keys) -> Iterator[str]:
    sources = [*_sources(study)]
    kinds = {source.get("type") for source in sources}
    names = [*study.get("couplings", []), *study.get("profile", [])]
    couplings = [name if isinstance(name, str) else str(name.get("label")) for name in names]
    if "solar" in kinds and any(name.startswith("eps_") for name in couplings):
        yield (
            "Non-standard interactions in the Sun's own matter are neglected: small for those that keep the flavour, "
            "not for the others (up to a quarter of an end)."
        )
    orderings = {source.get("ordering", "none") for source in sources if source.get("type") == "supernova"}
    if orderings - {"none"}:
        yield "Supernova neutrinos arrive as mass states after adiabatic conversion, without collective effects."
    if "solar" in kinds or orderings - {"none"}:
        moments = [name for name in couplings if name in FLAVOUR_MOMENTS]
        if moments:
            yield (
                f"{', '.join(moments)}: the moments' matrix is taken as diagonal in flavour, though mass states "
                "arrive; mu_nu, mu_1, mu_2, mu_3 are not."
            )


def _sources(study: Keys) -> Iterator[Keys]:
    """The keys of every source, presets filled in."""
    for source in (study.get("source"), *(detector.get("source") for detector in study["detectors"])):
        if isinstance(source, str):
            yield presets.load("sources", source)
        elif isinstance(source, Mapping):
            yield source
