"""Vector non-standard interactions of neutrinos with quarks, and with electrons for couplings of a user's own.

L = -2 sqrt(2) G_F sum over f, X of eps^fX_ab (nubar_a gamma P_L nu_b)(fbar gamma P_X f), eps^V = eps^L + eps^R.
"""

from __future__ import annotations

import numpy as np

from cevnslab.physics.coupling import Coupling, FloatArray, pair_symbol
from cevnslab.physics.nuclei import Nucleus


def up_quark_nsi(
    recoil_energy_kev: FloatArray, nucleus: Nucleus, proton_form_factor: FloatArray, neutron_form_factor: FloatArray
) -> FloatArray:
    """2 Z F_p + N F_n: the up quarks of the nucleus."""
    return 2 * nucleus.proton_number * proton_form_factor + nucleus.neutron_number * neutron_form_factor


def down_quark_nsi(
    recoil_energy_kev: FloatArray, nucleus: Nucleus, proton_form_factor: FloatArray, neutron_form_factor: FloatArray
) -> FloatArray:
    """Z F_p + 2 N F_n: the down quarks of the nucleus."""
    return nucleus.proton_number * proton_form_factor + 2 * nucleus.neutron_number * neutron_form_factor


def electron_nsi(recoil_energy_kev: FloatArray) -> FloatArray:
    """1: eps^eV adds to g_V, eps^eA = eps^eL - eps^eR (component ``"axial"``) to g_A.

    No coupling of the registry: those of quarks are what nuclei are sensitive to. Declare one with it.
    """
    return np.ones_like(recoil_energy_kev)


def _quark_nsi(alpha: str, beta: str, quark: str) -> Coupling:
    transition = "transition " if alpha != beta else ""
    content = "2 Z F_p + N F_n" if quark == "u" else "Z F_p + 2 N F_n"
    return Coupling(
        name=f"eps_{alpha}{beta}_{quark}",
        symbol=rf"\varepsilon^{{{quark}}}_{{{pair_symbol(alpha, beta)}}}",
        unit="1",
        scale=1e-2,
        # In units of G_F: 1 is as strong as the weak interaction, and Q -> -Q is near 0.4.
        bounds=(-10.0, 10.0),
        flavours=((alpha, beta),),
        nucleus=up_quark_nsi if quark == "u" else down_quark_nsi,
        electron=None,
        description=f"{transition}vector NSI of nu_{alpha} nu_{beta} with {'up' if quark == 'u' else 'down'} quarks",
        reference_text="Barranco, Miranda, Rashba, JHEP 12 (2005) 021, arXiv:hep-ph/0508299",
        formula=rf"\delta Q = ({content})\, \varepsilon^{{{quark}}}",
    )


NSI = tuple(
    _quark_nsi(alpha, beta, quark)
    for quark in "ud"
    for alpha, beta in (("e", "e"), ("mu", "mu"), ("tau", "tau"), ("e", "mu"), ("e", "tau"), ("mu", "tau"))
)
"""Real values: off the diagonal only the modulus enters, unless neutrinos arrive as mixtures of flavours."""
