"""Small right studies from which mutated ones are made: between them they use every part of the study file."""

from __future__ import annotations

import copy
from typing import Any

Keys = dict[str, Any]

GE = {
    "name": "ge",
    "target": "Ge",
    "mass_kg": 5,
    "distance_m": 15,
    "threshold_kev": 1.0,
    "maximum_kev": 40.0,
    "bins": 6,
    "resolution": {"sigma_kev": 0.2, "at_kev": 1.0},
    "efficiency": 0.7,
    "background_ckkd": 4,
}
CSI = {
    "name": "csi",
    "label": "caesium iodide",
    "target": "CsI",
    "rms_radius_fm": {"Cs": 4.8, "I": 4.75},
    "mass_kg": 20,
    "distance_m": 20,
    "bin_edges_kev": [1, 2, 4, 8, 16, 40],
    "resolution": {"sigma_kev": 0.3, "at_kev": 1.0, "law": "linear"},
    "efficiency": {"file": "efficiency.dat", "axis": "recoil"},
    "background_file": "background.dat",
}
LIGHT = {
    "name": "light",
    "target": "Si",
    "mass_kg": 1,
    "distance_m": 25,
    "quenching": {"lindhard_k": "standard"},
    "threshold_kevee": 0.2,
    "maximum_kevee": 1.0,
    "bins": 5,
    "resolution": {"sigma_kevee": 0.05, "at_kevee": 0.2, "law": "constant", "minimum_true_kev": 0.05},
    "efficiency": 0.9,
    "background_ckkd_ee": 10,
}
COMMON = {"source": "ess", "exposure_years": 3, "uncertainties": {"signal": 0.10, "background": 0.01}}

BASES: dict[str, Keys] = {
    "projection": {
        "name": "projection",
        "title": "two detectors",
        **COMMON,
        "couplings": ["q_ee", "eps_ee_u"],
        "intervals": {"confidence_level": 0.9, "minimum": "global"},
        "detectors": [GE, CSI, {"preset": "ess-ar", "bins": 4}],
        "profiles": [{"coupling": "q_ee", "from": -1e-8, "to": 1e-8, "points": 11, "detectors": ["ge"]}],
        "cross_sections": [{"target": "Ge", "energy_mev": 30, "coupling": "q_ee", "values": [1e-8]}],
        "combinations": [{"name": "both", "detectors": ["ge", "csi"], "signal": "correlated", "label": "both of them"}],
        "scans": [{"name": "t", "key": "detectors.ge.threshold_kev", "values": [0.5, 2.0]}],
        "figures": [
            {"name": "f", "panels": [{"spectrum": "ge"}, {"profile": ["q_ee"], "detectors": ["ge"]}], "columns": 1}
        ],
    },
    "contours": {
        "name": "contours",
        **COMMON,
        "couplings": ["eps_ee_u", "eps_ee_d"],
        "contours": [["eps_ee_u", "eps_ee_d"]],
        "detectors": [GE],
        "nuclei": "isotopes",
        "radiative_corrections": True,
        "form_factor": "klein-nystrand",
    },
    "poisson": {
        "name": "poisson",
        **COMMON,
        "channels": ["cevns", "electron"],
        "couplings": ["mu_e", {"name": "light_vector", "charges": "universal", "mass_mev": 10, "label": "g10"}],
        "statistic": "poisson",
        "detectors": [
            {**GE, "electron_quenching": 0.1},
            {
                **GE,
                "name": "own",
                "statistic": "least-squares",
                "electron_quenching": "same-axis",
                "uncertainties": {"signal": 0.2, "background": 0.05},
            },
        ],
        "combinations": [{"name": "both", "detectors": ["ge", "own"], "signal": "independent"}],
    },
    "simulated": {
        "name": "simulated",
        **COMMON,
        "couplings": ["q_mumu"],
        "intervals": {"method": "feldman-cousins", "toys": 100, "seed": 1, "confidence_level": 0.9},
        "detectors": [{**GE, "bins": 3}],
    },
    "reactor": {
        "name": "reactor",
        "source": {
            "type": "reactor",
            "thermal_power_gw": 3,
            "fission_fractions": {"U235": 0.58, "U238": 0.07, "Pu239": 0.3, "Pu241": 0.05},
            "hours_per_year": 8000,
            "duty_factor": 0.9,
        },
        "exposure_years": 1,
        "couplings": ["mu_e", "r2_ee"],
        "uncertainties": {"signal": 0.05, "background": 0.02, "energy_scale": 0.01, "quenching": 0.05},
        "statistic": "poisson",
        "detectors": [LIGHT, {**LIGHT, "name": "table", "quenching": {"file": "quenching.dat"}}],
    },
    "times": {
        "name": "times",
        "source": {
            "type": "pion-decay-at-rest",
            "name": "pulsed",
            "protons_per_year": 1.5e23,
            "neutrinos_per_proton": 0.09,
            "hours_per_year": 5000,
            "duty_factor": 0.00036,
            "pulse": {"shape": "gaussian", "centre_us": 0.5, "width_us": 0.15},
            "repetition_hz": 60,
        },
        "exposure_years": 2,
        "couplings": ["neutron_radius"],
        "uncertainties": {"signal": 0.1, "background": 0.01},
        "detectors": [{**GE, "bins": 3, "time_bin_edges_us": [0, 1, 3, 6]}],
    },
    "spectrum": {
        "name": "spectrum",
        "source": {
            "type": "tabulated",
            "file": "spectrum.dat",
            "hours_per_year": 8000,
            "duty_factor": 1,
            "reference_distance_m": 10,
        },
        "exposure_years": 1,
        "couplings": ["mine"],
        "plugins": ["plugin.py"],
        "uncertainties": {"signal": 0.1, "background": 0.01},
        "detectors": [{**GE, "threshold_kev": 0.1, "maximum_kev": 1.5, "bins": 3}],
    },
    "counts": {
        "name": "counts",
        **COMMON,
        "couplings": ["q_ee", "cevns_strength"],
        "intervals": {"confidence_level": [0.6827, 0.95]},
        "detectors": [
            {
                "name": "mine",
                "target": "Ge",
                "mass_kg": 5,
                "distance_m": 15,
                "threshold_kev": 1.0,
                "maximum_kev": 40.0,
                "bins": 3,
                "resolution": {"sigma_kev": 0.2, "at_kev": 1.0},
                "efficiency": 0.7,
                "observed": [41000, 32500, 31000],
                "backgrounds": [
                    {"name": "dark", "off": {"file": "off.dat", "ratio": 1.0}},
                    {"name": "flat", "ckkd": 1, "uncertainty": 0.1},
                ],
                "uncertainties": {"signal": 0.1},
            },
            GE,
        ],
        "systematics": [
            {"name": "scale", "on": "signal", "kind": "energy_scale", "width": 0.02},
            {"name": "flux", "on": ["cevns"], "kind": "normalisation", "width": 0.05, "replaces": ["ge.signal"]},
        ],
        "priors": {"q_ee": {"centre": 0, "width": 1e-8}},
        "combinations": [{"name": "both", "detectors": ["mine", "ge"], "signal": "independent"}],
        "figures": [{"name": "data", "panels": [{"data": "mine", "axis": "recoil_energy_kev", "below": "pulls"}]}],
    },
    "plan": {
        "name": "plan",
        **COMMON,
        "couplings": ["q_ee"],
        "pulls": True,
        "detectors": [GE],
        "design": [
            {
                "name": "quiet",
                "key": "detectors.ge.background_ckkd",
                "from": 0.5,
                "to": 20,
                "detector": "ge",
                "goal": {"coupling": "q_ee", "upper": 8e-9},
            }
        ],
        "maps": [
            {
                "name": "plane",
                "x": {"key": "exposure_years", "from": 1, "to": 4, "points": 3},
                "y": {"key": "detectors.ge.distance_m", "from": 10, "to": 20, "points": 3, "scale": "log"},
                "detector": "ge",
                "coupling": "q_ee",
            }
        ],
        "scans": [{"name": "t", "key": "detectors.ge.threshold_kev", "values": [0.5, 2.0]}],
    },
    "sky": {
        "name": "sky",
        "source": "solar-8b",
        "exposure_years": 10,
        "couplings": ["eps_ee_u"],
        "uncertainties": {"signal": 0.1, "background": 0.01},
        "detectors": [
            {
                "name": "xe",
                "target": "Xe",
                "mass_kg": 5000,
                "threshold_kev": 1.0,
                "maximum_kev": 4.0,
                "bins": 4,
                "resolution": {"sigma_kev": 0.2, "at_kev": 1.0},
                "efficiency": 0.5,
                "background_ckkd": 1e-5,
            }
        ],
    },
}
"""Every one of them loads and runs within some seconds (a test says so)."""

FILES = {
    "efficiency.dat": "0 0\n1 0.4\n5 0.8\n400 0.8\n",
    "background.dat": "0.5 3\n10 2\n50 1\n",
    "quenching.dat": "0.01 0.05\n1 0.15\n10 0.2\n100 0.3\n2000 0.3\n",
    "spectrum.dat": "energy_mev nu_e anti_nu_mu\n1 2e12 1e12\n3 3e12 1e12\n6 1e12 2e11\n8 0 0\n",
    "off.dat": "counts\n30000\n28000\n29000\n",
    "plugin.py": (
        "import cevnslab as cl\n\n\n"
        "def kernel(T, nucleus, F_p, F_n):\n    return nucleus.proton_number * F_p / (T + 0.1)\n\n\n"
        'mine = cl.Coupling("mine", "x", "1", 1e-3, (-1, 1), (("e", "e"),), kernel, None)\n'
    ),
}


def base(name: str) -> Keys:
    """A copy of one of them, to be changed."""
    return copy.deepcopy(BASES[name])
