"""How long the work takes, each beside a floor or a peer measured in the same run: `make benchmark`.

Nothing here is a test: times depend on the machine and on what else it does, so they are only printed. Ratios travel
better than times, and are what to compare between machines. `README.md` beside this file says what each row means.
Linear algebra runs on one thread in all rows, floors and peers included.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is loaded; processes that are started inherit it

import argparse
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import limits
import memory
import numpy as np
import scipy.special
from limits import BACKGROUND, CHARGES, LEVEL, SIGNAL
from rich.console import Console
from rich.table import Table
from rows import Row, median_time, process_time, seconds_text

import cevnslab as cl
from cevnslab.detection import quadrature
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.intervals import interval
from cevnslab.inference.toy_fits import ToyFit
from cevnslab.likelihood.toys import with_metric
from cevnslab.parallel.backends import backend
from cevnslab.parallel.tasks import in_turn
from cevnslab.physics.couplings import light_scalar, light_vector
from cevnslab.studies import feldman_cousins
from cevnslab.studies.analysis import analyses
from cevnslab.studies.scans import vary_all
from cevnslab.studies.tasks import Curves

DETECTORS = ("ess-csi", "ess-xe", "ess-ge")

MORE_COUPLINGS = (
    *("mu_e", "mu_mu", "r2_ee", "r2_mumu", "r2_emu", "r2_etau", "r2_mutau"),
    *("eps_ee_u", "eps_mumu_u", "eps_ee_d", "eps_mumu_d", "sin2_theta_w"),
)
GRID_POINTS, PEER_ROWS = 400, 20
TOYS, TOYS_PER_POINT = 5000, 1000
EXACT_PER_SECOND, COMPRESSED_PER_SECOND, POISSON_PER_SECOND = 1e5, 1e6, 2e4
SHAPED_TOYS, SHAPED_PER_SECOND = 1000, 2000.0
REAL_STUDIES = {"coherent": 15.0, "coherent-shape": 60.0}
"""What the studies of real data are to take, in seconds."""
BAND_TOYS, BANDS_PER_SECOND = 10_000, 1e4

BARE_PROCESS = """
import sys
import numpy as np
from matplotlib.figure import Figure
x = np.linspace(0, 6, 400)
for number in range(6):
    figure = Figure(figsize=(8.2, 3.4))
    for axes in figure.subplots(1, 2):
        for shift in range(3):
            axes.plot(x, np.sin(x + shift))
    for ending in ("pdf", "png"):
        figure.savefig(f"{sys.argv[1]}/{number}.{ending}")
"""
"""The floor of `cevnslab reproduce`: what six plain figures cost before any physics."""


def reproduce(runs: int) -> Row:
    """`cevnslab reproduce` and the bare process in turn, so that both meet the same state of the machine."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as bytecode:
        ours = ["-m", "cevnslab", "reproduce", "-o", folder]
        bare = ["-c", BARE_PROCESS, folder]
        # The first of each reads its libraries from the disk, and compiles them.
        process_time(ours, bytecode), process_time(bare, bytecode)
        pairs = [(process_time(ours, bytecode), process_time(bare, bytecode)) for _ in range(runs)]
    ratio = statistics.median(mine / floor for mine, floor in pairs)
    mine, floor = (statistics.median(times) for times in zip(*pairs, strict=True))
    names = "cevnslab reproduce, fresh process", "floor: six plain figures, fresh process"
    return Row(names[0], mine, names[1], floor, "1.5 x the floor", ratio < 1.5, ratio)


SOURCE = cl.load_source("ess")
LOADED = [cl.load_detector(name) for name in DETECTORS]


def paper_responses() -> list[cl.Response]:
    """The responses of the three detectors of arXiv:2409.10652 to five couplings."""
    return [cl.response(SOURCE, detector, couplings=CHARGES, years=3) for detector in LOADED]


def response_error() -> float:
    """Largest relative change of a coefficient on twice the panels; bins below 1e-9 of the largest are left out."""
    coarse = [response.signal for response in paper_responses()]
    finer = {"SIGMAS_PER_PANEL": quadrature.SIGMAS_PER_PANEL / 2, "MINIMUM_PANELS": quadrature.MINIMUM_PANELS * 2}
    with mock.patch.multiple(quadrature, **finer):
        fine = [response.signal for response in paper_responses()]
    errors = []
    for a, b in zip(coarse, fine, strict=True):
        stored = np.abs(b) > 1e-9 * np.abs(b).max(axis=1, keepdims=True)
        errors.append(np.max(np.abs(a[stored] / b[stored] - 1)))
    return float(max(errors))


def responses(repeats: int) -> Row:
    """All three responses against the same evaluations of the normal distribution, recorded from one run."""
    arguments: list[np.ndarray] = []
    ndtr = scipy.special.ndtr

    def recording(z: np.ndarray) -> np.ndarray:
        arguments.append(np.array(z))
        return np.asarray(ndtr(z))

    with mock.patch("scipy.special.ndtr", recording):
        paper_responses()
    if not arguments:
        raise RuntimeError("the responses no longer take ndtr from scipy.special when they are made: no floor")
    mine = median_time(paper_responses, repeats)
    floor = median_time(lambda: [ndtr(z) for z in arguments], repeats)
    error = response_error()
    work = f"responses of {len(DETECTORS)} detectors, {len(CHARGES)} couplings (error {error:.0e})"
    floor_name = f"floor: their {sum(z.size for z in arguments)} values of ndtr"
    return Row(work, mine, floor_name, floor, "5 ms, error below 1e-9", mine < 5e-3 and error < 1e-9)


def many_couplings(repeats: int) -> Row:
    """The three responses with many couplings of all kinds at once, against one response for each of them."""
    mediators = [light_vector("universal", 10.0, "u10"), light_vector("b-l", 10.0, "b10"), light_scalar(10.0, "s10")]
    couplings = [*CHARGES, *MORE_COUPLINGS, *mediators]

    def together() -> list[cl.Response]:
        return [cl.response(SOURCE, detector, couplings=couplings, years=3) for detector in LOADED]

    def in_turn() -> list[cl.Response]:
        return [
            cl.response(SOURCE, detector, couplings=[coupling], years=3)
            for detector in LOADED
            for coupling in couplings
        ]

    mine, theirs = median_time(together, repeats), median_time(in_turn, max(3, repeats // 3))
    work = f"responses of {len(DETECTORS)} detectors, {len(couplings)} couplings"
    peer = f"peer: {len(LOADED) * len(couplings)} responses of one coupling each"
    return Row(work, mine, peer, theirs, "50 ms", mine < 50e-3)


def chi2_per_bin(response: cl.Response, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """chi^2 of (q_ee, q_mumu) on a grid from the counts in every bin, nuisances by a 2 x 2 linear system."""
    background, names = response.background, [coupling.name for coupling in response.couplings]
    expected = response.signal[0] + background
    first, second = names.index("q_ee"), names.index("q_mumu")
    chi2 = np.empty((len(y), len(x)))
    along_x = np.outer(x, response.signal[response.monomials.index((first,))])
    along_x += np.outer(x**2, response.signal[response.monomials.index((first, first))])
    bb = np.sum(background**2 / expected) + BACKGROUND**-2
    for row, value in enumerate(y):
        change = along_x + value * response.signal[response.monomials.index((second,))]
        change += value**2 * response.signal[response.monomials.index((second, second))]
        signal = response.signal[0] + change
        ss = np.sum(signal**2 / expected, axis=1) + SIGNAL**-2
        sb = signal @ (background / expected)
        sr, br = np.sum(signal * change / expected, axis=1), change @ (background / expected)
        profiled = (bb * sr**2 - 2 * sb * sr * br + ss * br**2) / (ss * bb - sb**2)
        chi2[row] = np.sum(change**2 / expected, axis=1) - profiled
    return chi2


def scan(repeats: int) -> list[Row]:
    """A scan of two couplings, three detectors added, against its divisions alone and against counts per bin."""
    responses = paper_responses()
    likelihoods = [cl.likelihood(response, signal=SIGNAL, background=BACKGROUND) for response in responses]
    x, y = np.linspace(-6e-9, 8e-9, GRID_POINTS), np.linspace(-4e-9, 4e-9, GRID_POINTS)

    total = np.empty((GRID_POINTS, GRID_POINTS))  # kept, as the floor's arrays are: a fresh one costs page faults

    def ours() -> np.ndarray:
        total[:] = 0
        for likelihood in likelihoods:
            np.add(total, Chi2.of(likelihood, ["q_ee", "q_mumu"]).on_grid(x, y), out=total)
        return total

    numerator, denominator = np.random.default_rng(1).uniform(1, 2, (2, GRID_POINTS, GRID_POINTS))
    quotient = np.empty_like(numerator)
    mine = median_time(ours, repeats)
    floor = median_time(lambda: [np.divide(numerator, denominator, out=quotient) for _ in responses], repeats)
    rows = slice(None, None, GRID_POINTS // PEER_ROWS)
    peer = median_time(lambda: [chi2_per_bin(response, x, y[rows]) for response in responses], max(3, repeats // 3))
    apart = np.max(np.abs(ours()[rows] / sum(chi2_per_bin(response, x, y[rows]) for response in responses) - 1))
    work = f"{GRID_POINTS} x {GRID_POINTS} scan of q_ee, q_mumu, {len(responses)} detectors"
    per_bin = f"peer: counts per bin (apart {apart:.0e}; {PEER_ROWS} rows, times {GRID_POINTS // PEER_ROWS})"
    return [
        Row(work, mine, "floor: the divisions alone", floor, "2 ms", mine < 2e-3),
        Row("", mine, per_bin, peer * GRID_POINTS / PEER_ROWS, "", None),
    ]


def pseudo_experiments(name: str, repeats: int) -> list[Row]:
    """Toys of q_ee = 0 with a global fit each: exact counts by least squares and Poisson's likelihood, compressed."""
    response = cl.response(SOURCE, cl.load_detector(name), couplings=["q_ee"], years=3)
    likelihood = cl.likelihood(response, signal=SIGNAL, background=BACKGROUND)
    poisson = cl.likelihood(response, signal=SIGNAL, background=BACKGROUND, statistic="poisson")
    expected, rng = response.counts() + response.background, np.random.default_rng(1)
    numbers = len(response.signal) + 2
    counts = median_time(lambda: rng.poisson(expected, (TOYS, len(expected))).astype(float), repeats)
    normals = median_time(lambda: rng.standard_normal((TOYS, numbers)), repeats)
    poisson_name = f"floor: numpy's Poisson counts of {len(expected)} bins"
    steps = [
        ("exact least squares", likelihood, False, poisson_name, counts, EXACT_PER_SECOND),
        ("exact Poisson", poisson, False, poisson_name, counts, POISSON_PER_SECOND),
        ("compressed", with_metric(likelihood), True, f"floor: {numbers} normals", normals, COMPRESSED_PER_SECOND),
    ]
    rows = []
    for what, targets, compressed, beside, floor, reach in steps:
        fit = ToyFit.of(targets, ["q_ee"], [0.0])
        mine = median_time(lambda fit=fit, c=compressed: fit.simulated(TOYS, rng, "drawn", compressed=c), repeats)
        text = f"{TOYS} toys of {name}, {what} ({TOYS / mine:.2g} per second)"
        rows.append(Row(text, mine, beside, floor, f"{reach:.0e} per second", TOYS / mine > reach))
    return rows


def bands(repeats: int) -> list[Row]:
    """Expected limits: the outer ends of the intervals of toys of germanium, each with a fit of its own."""
    response = cl.response(SOURCE, cl.load_detector("ess-ge"), couplings=["q_ee"], years=3)
    expected, rows = response.counts() + response.background, []
    rng = np.random.default_rng(1)
    floor = median_time(lambda: rng.poisson(expected, (BAND_TOYS, len(expected))).astype(float), repeats)
    for statistic in ("poisson", "least-squares"):
        fit = cl.likelihood(response, signal=SIGNAL, background=BACKGROUND, statistic=statistic)
        mine = median_time(lambda fit=fit: cl.expected_limit(fit, "q_ee", toys=BAND_TOYS), max(3, repeats // 8))
        text = f"bands of a limit, {statistic}, {BAND_TOYS} toys ({BAND_TOYS / mine:.2g} per second)"
        beside = f"floor: numpy's Poisson counts of {len(expected)} bins"
        rows.append(
            Row(text, mine, beside, floor, f"{BANDS_PER_SECOND:.0e} per second", BAND_TOYS / mine > BANDS_PER_SECOND)
        )
    return rows


def region_map() -> Row:
    """A map of Feldman-Cousins critical values of two couplings, once."""
    analysis, names = analyses(cl.load_study("parada2024"))["ess-ge"], ("q_ee", "q_mumu")
    options = feldman_cousins.Options(TOYS_PER_POINT, 1, "drawn", "global")
    started = time.perf_counter()
    feldman_cousins.regions([(analysis, names, LEVEL)], options, None, in_turn)
    mine = time.perf_counter() - started
    points = feldman_cousins.REGION_POINTS
    toys = points**2 * TOYS_PER_POINT
    expected = analysis.likelihood.datasets[0].observed
    rng = np.random.default_rng(1)
    share = points  # one row of the map is timed
    peer = share * median_time(lambda: rng.poisson(expected, (toys // share, len(expected))), 3)
    work = f"{points} x {points} Feldman-Cousins map, {TOYS_PER_POINT} toys a point ({toys / mine:.2g} per second)"
    reach = f"{COMPRESSED_PER_SECOND:.0e} toys per second"
    return Row(work, mine, "peer: as many exact counts, not fitted", peer, reach, toys / mine > COMPRESSED_PER_SECOND)


MAP_POINTS, MAP_SAMPLES = 50, 8
THRESHOLD = {"key": "detectors.ess-ge.threshold_kev", "from": 0.3, "to": 1.2, "points": MAP_POINTS}
RATE = {"key": "detectors.ess-ge.background_ckkd", "from": 0.3, "to": 30, "points": MAP_POINTS, "scale": "log"}


def map_study(statistic: str) -> cl.Study:
    """Germanium at the ESS, with the limit over threshold and background."""
    return cl.study_from_dict(
        {
            "name": "map",
            "source": "ess",
            "exposure_years": 3,
            "couplings": ["q_ee"],
            "uncertainties": {"signal": SIGNAL, "background": BACKGROUND},
            "statistic": statistic,
            "detectors": [{"preset": "ess-ge"}],
            "maps": [{"name": "plane", "x": THRESHOLD, "y": RATE, "detector": "ess-ge", "coupling": "q_ee"}],
        }
    )


def limit_map(statistic: str, reach: float, workers: int) -> Row:
    """A map of limits over two keys, once, beside a study made anew at every point."""
    study = map_study(statistic)
    with backend(workers, None) as mapper:
        started = time.perf_counter()
        Curves(study, None, mapper).maps(analyses(study))
        mine = time.perf_counter() - started
    started = time.perf_counter()
    for number in range(MAP_SAMPLES):
        values = {THRESHOLD["key"]: 0.3 + 0.1 * number, RATE["key"]: 0.5 + number}
        varied, _ = vary_all(study, values)
        interval(analyses(varied)["ess-ge"].chi2("q_ee"), LEVEL)
    peer = (time.perf_counter() - started) / MAP_SAMPLES * MAP_POINTS**2
    processes = f", {workers} processes" if workers else ""
    work = f"{MAP_POINTS} x {MAP_POINTS} map of limits, {statistic}{processes}"
    return Row(work, mine, "peer: the study made anew at every point", peer, seconds_text(reach), mine < reach)


def shaped_toys(repeats: int, folder: Path) -> Row:
    """Toys of CsI 2021 with every shape, q_ee = 0, drawn and fitted globally."""
    name = "coherent-csi-2021"
    likelihood = cl.load_dataset(name, couplings=["q_ee"], nuisances="shape", data=folder)
    fit, rng = ToyFit.of(likelihood, ["q_ee"], [0.0]), np.random.default_rng(1)
    expected = likelihood.expected(likelihood.polynomial.standard_model, np.zeros(len(likelihood.parameters)))
    counts = np.sum(list(expected[name].values()), axis=0)
    floor = median_time(lambda: rng.poisson(counts, (SHAPED_TOYS, len(counts))).astype(float), repeats)
    mine = median_time(lambda: fit.simulated(SHAPED_TOYS, rng, "drawn"), max(3, repeats // 8))
    text = f"{SHAPED_TOYS} toys of CsI 2021, every shape ({SHAPED_TOYS / mine:.2g} per second)"
    beside, reach = f"floor: numpy's Poisson counts of {len(counts)} bins", SHAPED_PER_SECOND
    return Row(text, mine, beside, floor, f"{reach:.0f} per second", SHAPED_TOYS / mine > reach)


def real_studies(folder: Path) -> list[Row]:
    """The studies of real data once: processor time from their files to the result, and the command by the clock.

    The command starts Python, draws and writes; its workers share what is computed curve by curve.
    """
    rows = []
    for name, reach in REAL_STUDIES.items():
        started = time.process_time()
        analyses(cl.load_study(name, data=folder))
        floor = time.process_time() - started
        started = time.process_time()
        cl.load_study(name, data=folder).run()
        mine = time.process_time() - started
        beside = "floor: its likelihoods from the files"
        rows.append(Row(f"study {name}, processor time", mine, beside, floor, seconds_text(reach), mine < reach))
        with tempfile.TemporaryDirectory() as output, tempfile.TemporaryDirectory() as bytecode:
            data = ["--data", str(folder)]
            process_time(["-m", "cevnslab", "check", name, *data], bytecode)  # compiles what the run imports
            two = process_time(["-m", "cevnslab", "run", name, *data, "-o", output, "--workers", "2"], bytecode)
        beside = "the same on one thread, nothing drawn"
        rows.append(
            Row(f"cevnslab run {name} --workers 2, by the clock", two, beside, mine, seconds_text(reach), two < reach)
        )
    return rows


def real_data_rows(repeats: int) -> list[Row]:
    """Rows of the published COHERENT data; none, with a message, where there are no files."""
    folder = limits.real_data()
    return (
        []
        if folder is None
        else [*limits.with_shapes(repeats, folder), shaped_toys(repeats, folder), *real_studies(folder)]
    )


def groups(quick: bool) -> dict[str, Callable[[], list[Row]]]:
    """All rows, in groups that can be asked for."""
    repeats = 5 if quick else 25
    return {
        "reproduce": lambda: [reproduce(1 if quick else 7)],
        "responses": lambda: [responses(repeats), many_couplings(repeats)],
        "limits": lambda: limits.projected(repeats),
        "scan": lambda: scan(repeats),
        "toys": lambda: [*pseudo_experiments("ess-ge", repeats), *pseudo_experiments("ess-csi", repeats)],
        "real-data": lambda: real_data_rows(repeats),
        "bands": lambda: bands(repeats),
        "maps": lambda: [region_map(), limit_map("least-squares", 1.0, 0), limit_map("poisson", 10.0, 2)],
        "memory": memory.rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer repetitions: a look, not a measurement")
    names = list(groups(quick=True))
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="groups of rows, all unless named")
    arguments = parser.parse_args()
    work = groups(arguments.quick)
    rows = [row for name in arguments.only for row in work[name]()]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    table = Table(
        title=f"{platform.machine()}, {cores} cores, Python {platform.python_version()}", title_justify="left"
    )
    for column in ("work", "ours", "floor or peer", "its cost", "ours/its", "reach", "reached"):
        table.add_column(column, justify="right" if column in ("ours", "its cost", "ours/its") else "left")
    for row in rows:
        table.add_row(*row.cells)
    Console(width=None if sys.stdout.isatty() else 170).print(table)


if __name__ == "__main__":
    main()
