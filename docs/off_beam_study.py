"""Coverage of limits beside an off-beam run with few counts: simulated, kept in `data/`, written into `coverage.md`.

`python docs/off_beam_study.py` simulates (about a minute on one core), `--write` only writes the page from `data/`,
`--check` says whether page and data agree. Nothing in the table is typed by hand.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
from pathlib import Path

import numpy as np

from cevnslab.inference.levels import delta_chi2_level
from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.samples import PerBin, Sample
from cevnslab.likelihood.toys import Truth, draw
from cevnslab.quadratic import Polynomial, Variable

DOCS = Path(__file__).resolve().parent
PAGE, DATA = DOCS / "coverage.md", DOCS / "data" / "off_beam_coverage.csv"
START, END = "<!-- off-beam: by off_beam_study.py -->", "<!-- end of off-beam -->"

COUNTS, BINS, RATIOS, SIGNALS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0), (1, 20), (1.0, 0.2), (0.0, 0.3, 1.0)
"""Background a bin with the beam on; bins; live times on over off; signal over background."""
TOYS, SEED, LEVEL = 10_000, 1, 0.90
LARGEST = 1e6


def detector(background: float, bins: int, ratio: float, signal: float) -> Likelihood:
    """Equal bins whose background is known from an off-beam run alone; the coupling is the signal a bin."""
    strength = Polynomial((Variable("signal", 1.0, (0.0, LARGEST), physical_boundary=True),), ((), (0,)))
    off = np.full(bins, background / ratio)
    samples = (
        Sample("cevns", np.array([np.zeros(bins), np.ones(bins)]), strength),
        Sample("off_beam", np.ones((1, bins)), modifiers=[PerBin(off, ratio, np.arange(bins))]),
    )
    return Likelihood((Dataset("detector", (bins,), samples, np.full(bins, background * (1 + signal))),))


def coverage(background: float, bins: int, ratio: float, signal: float, toys: int = TOYS, seed: int = SEED) -> float:
    """The share of toys whose interval of 90 % holds the true signal."""
    likelihood = detector(background, bins, ratio, signal)
    true = np.full((toys, 1), background * signal)
    truth = Truth(true[0], np.zeros(0), (np.full(bins, background / ratio),))
    observed = draw(likelihood, truth, toys, np.random.default_rng([seed, bins, int(1000 * background)]), "drawn")
    at_truth = likelihood.minimised(true, observation=observed).chi2
    lowest = at_truth
    # From the truth, from no signal and from all counts: where few counts are off chi^2 can be a straight line.
    for start in (true, np.zeros_like(true), observed.counts[0].observed.mean(axis=1)[:, None]):
        lowest = np.minimum(lowest, likelihood.minimised(start, ["signal"], observation=observed).chi2)
    return float(np.mean(at_truth - lowest <= delta_chi2_level(LEVEL, 1)))


def simulate() -> None:
    """All cells of the table."""
    with DATA.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["background", "bins", "ratio", "signal_over_background", "coverage", "error", "toys", "seed"])
        for cell in itertools.product(COUNTS, BINS, RATIOS, SIGNALS):
            covered = coverage(*cell)
            error = max(np.sqrt(covered * (1 - covered) / TOYS), 1 / TOYS)
            writer.writerow([*cell, covered, f"{error:.5f}", TOYS, SEED])


def rows() -> list[dict[str, str]]:
    """The simulated cells."""
    with DATA.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table() -> str:
    """As the page shows it: a row per background and ratio."""
    cells = {
        tuple(float(row[key]) for key in ("background", "ratio", "bins", "signal_over_background")): row
        for row in rows()
    }
    columns = list(itertools.product(BINS, SIGNALS))
    heads = [f"{bins} bin{'s' if bins > 1 else ''}, S/B {signal:g}" for bins, signal in columns]
    lines = [f"| background a bin | on/off | {' | '.join(heads)} |", "| ---: | ---: |" + " ---: |" * len(heads)]
    for background, ratio in itertools.product(COUNTS, RATIOS):
        values = [f"{100 * float(cells[background, ratio, *column]['coverage']):.1f}" for column in columns]
        lines.append(f"| {background:g} | {ratio:g} | {' | '.join(values)} |")
    return "\n".join(lines)


def page() -> str:
    """The page with the table between its markers."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n\n{table()}\n\n{END}{after}"


def main() -> int:
    """Simulate, write or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="only write the page from data/")
    parser.add_argument("--check", action="store_true", help="say whether page and data agree")
    options = parser.parse_args()
    if options.check:
        return 0 if page() == PAGE.read_text(encoding="utf-8") else 1
    if not options.write:
        simulate()
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
