"""Quantities of the Standard Model that a measurement may leave free: the weak mixing angle, the neutron radius."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nurecoil.errors import PhysicsError
from nurecoil.physics.constants import SIN2_THETA_W
from nurecoil.physics.coupling import DIAGONAL, Coupling, FloatArray
from nurecoil.physics.form_factors import SURFACE_THICKNESS_FM
from nurecoil.physics.nuclei import Nucleus, Target


def weak_mixing_on_nucleus(
    recoil_energy_kev: FloatArray, nucleus: Nucleus, proton_form_factor: FloatArray, neutron_form_factor: FloatArray
) -> FloatArray:
    """-2 Z F_p(q): g_p = 1/2 - 2 sin^2 theta_W, Eq. (2) of arXiv:2409.10652."""
    return -2 * nucleus.proton_number * proton_form_factor


def weak_mixing_on_electron(recoil_energy_kev: FloatArray) -> FloatArray:
    """+2: g_V of Eq. (4), arXiv:2409.10652, has + 2 sin^2 theta_W for every flavour."""
    return np.full_like(recoil_energy_kev, 2.0)


def with_neutron_radius(of: Target, neutron_radius_fm: float) -> Target:
    """The target with the neutron rms radius of every nucleus set to one value.

    Raises `PhysicsError` unless the radius is above sqrt(3) s, s = 0.9 fm, the surface alone of the Helm form factor.

    >>> from nurecoil.physics.nuclei import target
    >>> [c.nucleus.neutron_radius_fm for c in with_neutron_radius(target("CsI"), 5.03).constituents]
    [5.03, 5.03]
    """
    smallest = np.sqrt(3) * SURFACE_THICKNESS_FM
    if not neutron_radius_fm > smallest:
        raise PhysicsError(f"the neutron radius must be above {smallest:.4g} fm, got {neutron_radius_fm:g} fm")
    changed = tuple(
        replace(constituent, nucleus=replace(constituent.nucleus, neutron_radius_fm=neutron_radius_fm))
        for constituent in of.constituents
    )
    return replace(of, constituents=changed)


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
    # From the Helm surface alone, sqrt(3) s = 1.56 fm, to twice the radius of the heaviest nuclei.
    bounds=(1.6, 15.0),
    flavours=DIAGONAL,
    nucleus=None,
    electron=None,
    description="rms radius of the neutron density, one for all nuclei of the target",
    rebuild=with_neutron_radius,
    reference_text="arXiv:2409.10652, Eqs. (1)-(3), with separate proton and neutron radii",
    formula=r"Q = g_p Z F(q, R_p) + g_n N F(q, R_n)",
)
