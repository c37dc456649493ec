"""Nuclear form factors F(q), normalised to F(0) = 1, each from the rms radius of its density.

All take the momentum transfer in MeV and the rms radius in fm, and broadcast over arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.arguments import number, numbers
from cevnslab.errors import PhysicsError
from cevnslab.physics.constants import MEV_TO_INVERSE_FM

FloatArray = NDArray[np.float64]
FormFactor = Callable[[ArrayLike, float], FloatArray]

SURFACE_THICKNESS_FM = 0.9
"""s of the Helm form factor (Lewin, Smith, Astropart. Phys. 6 (1996) 87)."""

YUKAWA_RANGE_FM = 0.7
"""a_k of Klein and Nystrand (Phys. Rev. C 60 (1999) 014903)."""

FERMI_DIFFUSENESS_FM = 2.30 / (4 * np.log(3))
"""a of the symmetrised Fermi density, for a 90 % to 10 % surface of 2.30 fm."""


def _sphere_radius(name: str, rms_radius_fm: float, smearing_fm2: float) -> float:
    """Radius of a uniform sphere that, once smeared, has the given rms radius."""
    squared = 5 / 3 * (number("rms_radius_fm", rms_radius_fm) ** 2 - smearing_fm2)
    if not (squared > 0 and rms_radius_fm > 0):
        raise PhysicsError(
            f"the {name} form factor needs rms_radius_fm and neutron_radius_fm above {np.sqrt(smearing_fm2):.4g} fm, "
            f"got {rms_radius_fm:g} fm"
        )
    return float(np.sqrt(squared))


def _uniform_sphere(x: FloatArray) -> FloatArray:
    """3 j_1(x)/x, by its series where the closed form would cancel."""
    small = np.abs(x) < 0.02
    safe = np.where(small, 1.0, x)
    closed = 3 * (np.sin(safe) - safe * np.cos(safe)) / safe**3
    if not small.any():
        return np.asarray(closed)
    squared = x * x
    return np.where(small, 1 - squared / 10 * (1 - squared / 28 * (1 - squared / 54)), closed)


def helm(momentum_transfer_mev: ArrayLike, rms_radius_fm: float) -> FloatArray:
    """Helm form factor, Eq. (3) of arXiv:2409.10652 (Helm, Phys. Rev. 104 (1956) 1466).

    F(q) = 3 j_1(q R_0)/(q R_0) exp(-q^2 s^2/2), R_0^2 = (5/3)(R^2 - 3 s^2), s = 0.9 fm.

    Parameters
    ----------
    momentum_transfer_mev
        Q in MeV, any shape.
    rms_radius_fm
        R in fm, above sqrt(3) s = 1.559 fm (else `PhysicsError`).

    Examples
    --------
    >>> round(float(helm(10.0, 4.06)), 9)  # germanium
    0.992964188

    """
    radius = _sphere_radius("Helm", rms_radius_fm, 3 * SURFACE_THICKNESS_FM**2)
    q = numbers("momentum_transfer_mev", momentum_transfer_mev) * MEV_TO_INVERSE_FM
    return _uniform_sphere(q * radius) * np.exp(-0.5 * (q * SURFACE_THICKNESS_FM) ** 2)


def klein_nystrand(momentum_transfer_mev: ArrayLike, rms_radius_fm: float) -> FloatArray:
    """Klein-Nystrand form factor: a uniform sphere folded with a Yukawa potential.

    F(q) = 3 j_1(q R_A)/(q R_A) / (1 + q^2 a^2), R_A^2 = (5/3)(R^2 - 6 a^2), a = 0.7 fm
    (Klein, Nystrand, Phys. Rev. C 60 (1999) 014903, Eq. (12)); needs R > sqrt(6) a = 1.715 fm.

    >>> round(float(klein_nystrand(10.0, 4.06)), 5)
    0.99297
    """
    radius = _sphere_radius("Klein-Nystrand", rms_radius_fm, 6 * YUKAWA_RANGE_FM**2)
    q = numbers("momentum_transfer_mev", momentum_transfer_mev) * MEV_TO_INVERSE_FM
    return _uniform_sphere(q * radius) / (1 + (q * YUKAWA_RANGE_FM) ** 2)


def symmetrised_fermi(momentum_transfer_mev: ArrayLike, rms_radius_fm: float) -> FloatArray:
    """Symmetrised Fermi form factor (Sprung, Martorell, J. Phys. A 30 (1997) 6525).

    F(q) = 3/(qc [(qc)^2 + (pi qa)^2]) (pi qa / sinh pi qa) [pi qa sin(qc)/tanh(pi qa) - qc cos(qc)],
    c^2 = (5/3)(R^2 - (7/5) pi^2 a^2), a = 2.30 fm/(4 ln 3); needs R > 1.946 fm.

    >>> round(float(symmetrised_fermi(10.0, 4.06)), 5)
    0.99296
    """
    radius = _sphere_radius("symmetrised Fermi", rms_radius_fm, 1.4 * (np.pi * FERMI_DIFFUSENESS_FM) ** 2)
    q = numbers("momentum_transfer_mev", momentum_transfer_mev) * MEV_TO_INVERSE_FM
    # Below 1e-3 fm^-1 the bracket cancels; there 1 - (qR)^2/6 is exact to 1e-11.
    small = np.abs(q) < 1e-3
    safe = np.where(small, 1.0, q)
    x, y = safe * radius, np.pi * safe * FERMI_DIFFUSENESS_FM
    closed = 3 / (x * (x**2 + y**2)) * (y / np.sinh(y)) * (y * np.sin(x) / np.tanh(y) - x * np.cos(x))
    return np.where(small, 1 - (q * rms_radius_fm) ** 2 / 6, closed)


FORM_FACTORS: MappingProxyType[str, FormFactor] = MappingProxyType(
    {"helm": helm, "klein-nystrand": klein_nystrand, "symmetrised-fermi": symmetrised_fermi}
)
"""The form factors that a study file can name."""
