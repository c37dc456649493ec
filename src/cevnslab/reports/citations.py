"""What a result should cite, as BibTeX: its papers, data sets and methods, found from the keys of its study.

The references and the rule by which a study asks for them are in `data/references.yaml`; those of a data set stand in
its own folder. A coupling that a plugin declares is not known there: its author knows what to cite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cevnslab import packaged
from cevnslab.datasets.registry import dataset, known
from cevnslab.version import __version__


@dataclass(frozen=True)
class Citation:
    """One entry of a bibliography."""

    key: str
    kind: str
    """Of entry: article, misc, software."""
    fields: Mapping[str, str]
    """In BibTeX's own notation, braces and accents included."""

    @property
    def bibtex(self) -> str:
        """The entry as BibTeX.

        >>> print(citation("Erler:2013xha").bibtex)
        @article{Erler:2013xha,
          title = {{The Weak Neutral Current}},
          author = {Erler, Jens and Su, Shufang},
          journal = {Prog. Part. Nucl. Phys.},
          volume = {71},
          pages = {119},
          year = {2013},
          eprint = {1303.5522},
          archivePrefix = {arXiv},
        }
        """
        lines = [f"@{self.kind}{{{self.key},"]
        for name, value in self.fields.items():
            # Doubled braces keep a title's capitals in every style.
            text = f"{{{value}}}" if name == "title" else value
            lines.append(f"  {name} = {{{text}}},")
        return "\n".join([*lines, "}"])


def citation(key: str, version: str = __version__) -> Citation:
    """A reference by its key; `version` is the one of cevnslab that made the result. `KeyError` for an unknown key."""
    entry = dict(_entry(key))
    kind = entry.pop("type")
    fields = {name: str(value) for name, value in entry.items()}
    if key == "cevnslab":
        fields["version"] = version
    if "eprint" in fields:
        fields["archivePrefix"] = "arXiv"
    return Citation(key, kind, fields)


def _entry(key: str) -> Mapping[str, Any]:
    """Type and fields of a reference, in the common list or in that of a data set."""
    common: Mapping[str, Any] = packaged.table("references")["references"]
    if key in common:
        return common[key]  # type: ignore[no-any-return]
    for folder in known().values():
        if key in folder.description.references:
            return folder.description.references[key]
    raise KeyError(key)


def citation_keys(study: Mapping[str, Any]) -> list[str]:
    """The keys of the references that a study asks for, without repetition: its paper first.

    `study` is what `Study.as_dict` or `Result.study` holds.
    """
    return list(dict.fromkeys(_asked(study, packaged.table("references")["uses"])))


def _asked(study: Mapping[str, Any], uses: Mapping[str, Any]) -> Iterator[str]:
    yield from uses["studies"].get(study["name"], [])
    yield from uses["always"]
    sources = [study.get("source"), *(detector.get("source") for detector in study["detectors"])]
    for source in sources:
        name = source.get("type") if isinstance(source, Mapping) else source
        yield from uses["sources"].get(name, [])
    for detector in study["detectors"]:
        yield from uses["detectors"].get(detector.get("preset"), [])
        if "dataset" in detector:
            yield from dataset(detector["dataset"]).description.cite
        quenching = detector.get("quenching")
        if isinstance(quenching, Mapping) and "lindhard_k" in quenching:
            yield from uses["methods"]["lindhard"]
    named = [*study["couplings"], *study.get("profile", [])]
    for coupling in named:
        yield from _of_coupling(coupling["name"] if isinstance(coupling, Mapping) else coupling, uses["couplings"])
    yield from uses["form_factors"].get(study.get("form_factor", "helm"), [])
    if study.get("intervals", {}).get("method") == "feldman-cousins":
        yield from uses["methods"]["feldman-cousins"]
    if study.get("radiative_corrections"):
        yield from uses["methods"]["radiative_corrections"]


def _of_coupling(name: str, by_start: Mapping[str, list[str]]) -> list[str]:
    from cevnslab.physics.couplings import COUPLINGS, FAMILIES

    if name not in COUPLINGS and name not in FAMILIES:  # a plugin's, whatever its name starts with
        return []
    fitting = [start for start in by_start if name.startswith(start)]
    return by_start[max(fitting, key=len)] if fitting else []


def citations(study: Mapping[str, Any], version: str = __version__) -> list[Citation]:
    """The references that a study asks for.

    >>> import cevnslab as cl
    >>> [entry.key for entry in citations(cl.load_study("parada2024").as_dict())]
    ['ParadaSanchezGarcia:2024', 'cevnslab', 'Baxter:2019mcx', 'Helm:1956zz']
    """
    return [citation(key, version) for key in citation_keys(study)]


def bibtex(study: Mapping[str, Any], version: str = __version__) -> str:
    """The references that a study asks for, as the text of a .bib file."""
    return "\n\n".join(entry.bibtex for entry in citations(study, version)) + "\n"
