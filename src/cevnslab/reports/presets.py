"""The built-in sources, detectors, studies and couplings as text."""

from __future__ import annotations

from cevnslab.errors import UnknownNameError
from cevnslab.physics.couplings import COUPLINGS
from cevnslab.studies import presets
from cevnslab.words import nearest


def list_presets() -> str:
    """Every preset's name by kind, and the couplings with their units."""
    lines = []
    for kind in presets.KINDS:
        lines += [f"{kind}:", *(f"  {name:<28}{_first_comment(kind, name)}" for name in presets.names(kind))]
    lines += ["couplings:", *(f"  {new.name:<28}({new.unit}) {new.description}" for new in COUPLINGS.values())]
    lines += ["couplings with parameters:"]
    lines += [
        "  {name: light_vector, charges: universal, mass_mev: 10, label: g10}    (1) or charges b-l, lmu-ltau",
        "  {name: light_scalar, mass_mev: 10, label: s10}    (1)",
    ]
    return "\n".join(lines) + "\n"


def _first_comment(kind: presets.Kind, name: str) -> str:
    first = presets.text(kind, name).splitlines()[0]
    return first.lstrip("# ") if first.startswith("#") else ""


def show_preset(name: str) -> str:
    """A source, detector or study as YAML, or a coupling's declaration; `UnknownNameError` for any other name."""
    for kind in presets.KINDS:
        if name in presets.names(kind):
            return presets.text(kind, name)
    if name in COUPLINGS:
        new = COUPLINGS[name]
        joined = ", ".join(f"[{alpha}, {beta}]" for alpha, beta in new.flavours)
        return (
            f"# {new.description}; list it under `couplings` of a study\n"
            f'name: {new.name}\nunit: "{new.unit}"\n'
            f"scale: {new.scale:g}\n"
            f"bounds: [{new.bounds[0]:g}, {new.bounds[1]:g}]\nflavours: [{joined}]\n"
        )
    known = [preset for kind in presets.KINDS for preset in presets.names(kind)] + list(COUPLINGS)
    raise UnknownNameError(f"no preset '{name}'; {nearest(name, known)}")
