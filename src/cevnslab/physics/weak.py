"""Quantities of the Standard Model that a measurement may leave free: the weak mixing angle, the neutron radius."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cevnslab.errors import PhysicsError
from cevnslab.physics.constants import SIN2_THETA_W
from cevnslab.physics.coupling import DIAGONAL, Coupling, FloatArray
from cevnslab.physics.form_factors import SURFACE_THICKNESS_FM
from cevnslab.physics.nuclei import Nucleus, Target


def weak_mixing_on_nucleus(
    recoil_energy_kev: FloatArray, nucleus: Nucleus, proton_form_factor: FloatArray, neutron_form_factor: FloatArray
) -> FloatArray:
    """-2 Z F_p(q): g_p = 1/2 - 2 sin^2 theta_W, Eq. (2) of arXiv:2409.10652."""
    return -2 * nucleus.proton_number * proton_form_factor


def weak_mixing_on_electron(recoil_energy_kev: FloatArray) -> FloatArray:
    """+2: g_V of Eq. (4), arXiv:2409.10652, has + 2 sin^2 theta_W for every flavour."""
    return np.full_like(recoil_energy_kev, 2.0)


def neutron_radius_of(target: Target) -> float:
    """The mean neutron rms radius of a target's nuclei, in fm.

    >>> from cevnslab.physics.nuclei import target
    >>> round(neutron_radius_of(target("CsI", rms_radius_fm=4.8, neutron_radius_fm={"Cs": 5.09, "I": 5.03})), 6)
    5.06
    """
    count = sum(c.per_formula_unit for c in target.constituents)
    return sum(c.per_formula_unit * c.nucleus.neutron_radius_fm for c in target.constituents) / count


def with_neutron_radius(target: Target, neutron_radius_fm: float) -> Target:
    """The target with its mean neutron rms radius at a value: the radii of all its nuclei are shifted alike.

    Raises `PhysicsError` unless every radius stays above sqrt(3) s, s = 0.9 fm, the surface of the Helm form factor.

    >>> from cevnslab.physics.nuclei import target
    >>> csi = target("CsI", rms_radius_fm=4.8, neutron_radius_fm={"Cs": 5.09, "I": 5.03})
    >>> [round(c.nucleus.neutron_radius_fm, 6) for c in with_neutron_radius(csi, 5.5).constituents]
    [5.53, 5.47]
    """
    shift = neutron_radius_fm - neutron_radius_of(target)
    lowest = neutron_radius_range(target)[0]
    if not neutron_radius_fm >= lowest:
        raise PhysicsError(
            f"the neutron radius of {target.formula} must be at least {lowest:.4g} fm, got {neutron_radius_fm:g}"
        )
    constituents = tuple(
        replace(c, nucleus=replace(c.nucleus, neutron_radius_fm=c.nucleus.neutron_radius_fm + shift))
        for c in target.constituents
    )
    return replace(target, constituents=constituents)


def neutron_radius_range(target: Target) -> tuple[float, float, float]:
    """The lowest mean radius that leaves every nucleus its surface, the target's own, and the highest considered."""
    standard_model = neutron_radius_of(target)
    smallest = min(c.nucleus.neutron_radius_fm for c in target.constituents)
    surface = SMALLEST_NEUTRON_RADIUS_FM * (1 + 1e-9)
    return standard_model - smallest + surface, standard_model, LARGEST_NEUTRON_RADIUS_FM


SMALLEST_NEUTRON_RADIUS_FM = float(np.sqrt(3)) * SURFACE_THICKNESS_FM
"""Of the Helm surface alone: 1.56 fm."""
LARGEST_NEUTRON_RADIUS_FM = 15.0
"""Twice the radius of the heaviest nuclei."""


WEAK_MIXING = Coupling(
    name="sin2_theta_w",
    symbol=r"\sin^2\theta_W",
    unit="1",
    scale=1e-2,
    # A squared sine.
    bounds=(0.0, 1.0),
    flavours=DIAGONAL,
    nucleus=weak_mixing_on_nucleus,
    electron=weak_mixing_on_electron,
    description=f"weak mixing angle at low energy, absolute; {SIN2_THETA_W:g} in the Standard Model",
    reference=SIN2_THETA_W,
    reference_text="arXiv:2409.10652, Eqs. (2), (4)",
    formula=r"\delta Q = -2 Z F_p(q)\, (\sin^2\theta_W - \sin^2\theta_W^{SM})",
)

NEUTRON_RADIUS = Coupling(
    name="neutron_radius",
    symbol="R_n",
    unit="fm",
    scale=0.1,
    bounds=(1.5, LARGEST_NEUTRON_RADIUS_FM),
    flavours=DIAGONAL,
    nucleus=None,
    electron=None,
    description="rms radius of the neutron density; of a compound the mean, all nuclei shifted alike",
    rebuild=with_neutron_radius,
    range_of=neutron_radius_range,
    reference_text="arXiv:2409.10652, Eqs. (1)-(3), with separate proton and neutron radii",
    formula=r"Q = g_p Z F(q, R_p) + g_n N F(q, R_n)",
)

CEVNS_STRENGTH = Coupling(
    name="cevns_strength",
    symbol=r"s_{\mathrm{CEvNS}}",
    unit="1",
    scale=0.1,
    bounds=(0.0, 100.0),
    flavours=(),
    nucleus=None,
    electron=None,
    description="strength of CEvNS: a factor on its counts, whatever adds to them included",
    reference=1.0,
    reference_text="1 in the Standard Model; conventions of Cowan et al., Eur. Phys. J. C 71 (2011) 1554",
    formula=r"N_{\mathrm{CEvNS}} \to s\,N_{\mathrm{CEvNS}}",
    channel="cevns",
)
"""What a measurement fits first; electrons are untouched."""
