"""The built-in sources, detectors, studies and couplings as text."""

from __future__ import annotations

import itertools
import re
import shutil
import sys
import textwrap

from cevnslab.errors import UnknownNameError
from cevnslab.physics.couplings import COUPLINGS
from cevnslab.studies import presets
from cevnslab.words import excerpt, nearest


def list_presets() -> str:
    """Every preset's name by kind, and the couplings with their units."""
    lines = []
    for kind in presets.KINDS:
        lines += [f"{kind}:", *(_entry(name, _first_sentence(kind, name)) for name in presets.names(kind))]
    lines += [
        "couplings:",
        *(_entry(coupling.name, f"({coupling.unit}) {coupling.description}") for coupling in COUPLINGS.values()),
    ]
    lines += ["couplings with parameters:"]
    lines += [
        "  {name: light_vector, charges: universal, mass_mev: 10, label: g10}    (1) or charges b-l, lmu-ltau",
        "  {name: light_scalar, mass_mev: 10, label: s10}    (1)",
    ]
    return "\n".join(lines) + "\n"


def _entry(name: str, text: str) -> str:
    """A name and what it is; on a terminal in lines of its width."""
    whole = f"  {name:<28}{text}"
    if sys.stdout is None or not sys.stdout.isatty():
        return whole
    width = max(shutil.get_terminal_size().columns - 1, 70)
    return textwrap.fill(whole, width, subsequent_indent=" " * 30, break_on_hyphens=False)


def _first_sentence(kind: presets.Kind, name: str) -> str:
    """What the comment at a preset's top says first, whatever lines it takes."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), presets.text(kind, name).splitlines())
    return re.split(r"(?<=\.) (?=[A-Z])", " ".join(line.lstrip("# ") for line in lines))[0]


def show_preset(name: str) -> str:
    """A source, detector or study as YAML, or a coupling's declaration; `UnknownNameError` for any other name."""
    for kind in presets.KINDS:
        if name in presets.names(kind):
            return presets.text(kind, name)
    if name in COUPLINGS:
        coupling = COUPLINGS[name]
        # With any YAML parser a mass state is a word, too.
        words = [[f'"{state}"' if state.isdigit() else state for state in pair] for pair in coupling.flavours]
        joined = ", ".join(f"[{alpha}, {beta}]" for alpha, beta in words)
        return (
            f"# {coupling.description}; list it under `couplings` of a study\n"
            f'name: {coupling.name}\nunit: "{coupling.unit}"\n'
            f"scale: {coupling.scale:g}\n"
            f"bounds: [{coupling.bounds[0]:g}, {coupling.bounds[1]:g}]\nflavours: [{joined}]\n"
        )
    names = [preset for kind in presets.KINDS for preset in presets.names(kind)] + list(COUPLINGS)
    raise UnknownNameError(f"no preset {excerpt(name)}; {nearest(name, names)}")
