"""A vector mediator of 20 MeV that couples to B - 3 L_mu."""

import math

import cevnslab as cl
from cevnslab.physics.constants import FERMI_CONSTANT
from cevnslab.physics.mediators import propagator


def b3lmu_on_nucleus(recoil_kev, nucleus, f_p, f_n):
    """-3 (Z F_p + N F_n)/(sqrt(2) G_F (2 M T + m^2)) per g^2: Q'_nu = -3, Q'_p = Q'_n = 1."""
    baryons = nucleus.proton_number * f_p + nucleus.neutron_number * f_n
    return -3 * baryons * propagator(nucleus.mass_mev, 20.0, recoil_kev) / (math.sqrt(2) * FERMI_CONSTANT)


B3LMU = cl.Coupling(
    name="g_b3lmu",
    symbol=r"g_{B-3L_\mu}",
    unit="1",
    scale=1e-5,  # a value of natural size
    bounds=(0.0, 1.0),  # a value outside is an error
    flavours=(("mu", "mu"),),  # nu_mu and anti-nu_mu alone
    nucleus=b3lmu_on_nucleus,
    electron=None,  # electrons have no charge
    power=2,  # g enters the amplitude as g^2
    description="coupling of a vector mediator of 20 MeV to B - 3 L_mu",
)
