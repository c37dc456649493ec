"""The most memory that large likelihoods take: each in a process of its own, which prints two numbers of bytes.

`python benchmarks/memory.py CASE` prints the peak of its resident memory, and the floor: what it held with everything
imported and nothing computed, with the bytes of the arrays of counts that the case cannot do without.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
from rows import Row, bytes_text

import cevnslab as cl
from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Bend, Sample, Scale
from cevnslab.quadratic import Polynomial, Variable

MANY_BINS = 10_000
BINS, PULLS, MONOMIALS = 100_000, 20, 20
UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in `ru_maxrss`'s unit."""


def peak_bytes() -> int:
    """The most resident memory of this process until now.

    The kernel's mark of it where there is one: `ru_maxrss` begins with that of the process which started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        marks = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
        return int(marks["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def without_resolution() -> int:
    """Germanium in 10,000 bins that nothing smears: its response to five couplings and a limit on each."""
    names = ["q_ee", "q_mumu", "q_emu", "eps_ee_u", "sin2_theta_w"]
    detector = {
        "name": "fine", "target": "Ge", "mass_kg": 7, "distance_m": 20, "threshold_kev": 0.6, "maximum_kev": 100.6,
        "bins": MANY_BINS, "resolution": "none", "efficiency": 1.0, "background_ckkd": 3,
    }  # fmt: skip
    keys = {"name": "fine", "source": "ess", "exposure_years": 3, "couplings": names, "detectors": [detector]}
    keys["uncertainties"] = {"signal": 0.1, "background": 0.01}
    cl.study_from_dict(keys).run()
    products = 1 + 2 * len(names)
    return 8 * MANY_BINS * products


def many_templates() -> int:
    """A likelihood of 1e5 bins whose 20 products of couplings are bent by 20 pulls, minimised at one point."""
    couplings = tuple(Variable(f"c{number}", 1.0, (-10.0, 10.0)) for number in range(MONOMIALS - 1))
    monomials = ((), *((number,) for number in range(MONOMIALS - 1)))
    rng = np.random.default_rng(1)
    polynomial = Polynomial(couplings, monomials)
    counts = rng.uniform(0, 0.1, (MONOMIALS, BINS))
    counts[0] += 10
    modifiers = [Scale(Parameter("signal", 0.1))]
    for number in range(PULLS):
        up = counts * (1 + 0.02 * np.sin(number + np.arange(BINS) / BINS))
        down = counts * (1 - 0.02 * np.sin(number + np.arange(BINS) / BINS))
        modifiers.append(Bend(Parameter(f"pull_{number}", 1.0, low=-5.0, high=5.0), up, down))
    sample = Sample("cevns", counts, polynomial, modifiers)
    dataset = Dataset("large", (BINS,), (sample,), rng.poisson(counts[0]).astype(float))
    point = np.full((1, len(couplings)), 0.1)
    Likelihood((dataset,)).minimised(point, starts=np.zeros((1, PULLS + 1)))
    return 8 * BINS * MONOMIALS * (1 + 2 * PULLS)


CASES = {
    "bins": (without_resolution, f"memory: {MANY_BINS} bins without resolution, five limits", 0.5e9),
    "templates": (many_templates, f"memory: {BINS} bins x {PULLS} pulls x {MONOMIALS} monomials, one fit", 1e9),
}


def rows() -> list[Row]:
    """A row of every case."""
    measured = []
    for name, (_, work, reach) in CASES.items():
        output = subprocess.run([sys.executable, __file__, name], check=True, stdout=subprocess.PIPE, text=True).stdout
        peak, floor = (float(number) for number in output.split())
        beside = "floor: imports and the arrays of counts"
        measured.append(Row(work, peak, beside, floor, bytes_text(reach), peak < reach, quantity="memory"))
    return measured


def main() -> None:
    imported = peak_bytes()
    arrays = CASES[sys.argv[1]][0]()
    print(peak_bytes(), imported + arrays)


if __name__ == "__main__":
    main()
