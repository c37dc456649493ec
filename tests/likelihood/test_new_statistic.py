"""A statistic is what a difference of counts costs and its derivatives: another one goes through fits and limits."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from iminuit import Minuit
from support import near, poisson, preset_response

from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.intervals import interval
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.likelihood.likelihood import Dataset
from cevnslab.likelihood.statistics import Counts


@dataclass(frozen=True, eq=False)
class PearsonCounts(Counts):
    """D = (mu - N)^2/mu."""

    def rows(self, chosen):
        return self if len(self.observed) == 1 else PearsonCounts(self.observed[chosen])

    def deviance(self, expected):
        return np.sum((expected - self.observed) ** 2 / expected, axis=-1)

    def pull(self, expected):
        return (1 - (self.observed / expected) ** 2) / 2

    def curvature(self, expected):
        return self.observed**2 / expected**3

    def first_curvature(self, expected):
        return self.curvature(np.maximum(self.observed, 1.0))


class PearsonDataset(Dataset):
    """A data set with that statistic."""

    def counts_of(self, observed, *, toys=False):
        return PearsonCounts(observed)


@pytest.fixture(scope="module")
def likelihood():
    response = preset_response("ess-ge", ("q_ee",))
    counts = np.random.default_rng(5).poisson(response.counts() + response.background).astype(float)
    nominal = poisson(response, 0.10, 0.05, counts)
    (data,) = nominal.datasets
    return (
        response,
        counts,
        replace(nominal, datasets=(PearsonDataset(**{f.name: getattr(data, f.name) for f in fields(data)}),)),
    )


def by_minuit(response, counts, charge):
    signal = response.counts(q_ee=charge)

    def chi2(a, b):
        expected = signal * (1 + a) + response.background * (1 + b)
        return float(np.sum((expected - counts) ** 2 / expected)) + (a / 0.10) ** 2 + (b / 0.05) ** 2

    fit = Minuit(chi2, a=0.0, b=0.0)
    fit.strategy, fit.tol = 2, 1e-7
    fit.migrad()
    return fit.fval


def test_chi2_is_that_of_minuit(likelihood):
    response, counts, pearson = likelihood
    charges = np.array([-4e-9, 0.0, 2e-9, 6e-9])
    chi2 = Chi2.of(pearson, ["q_ee"]).sample(charges[:, None]).chi2
    assert chi2 == near([by_minuit(response, counts, charge) for charge in charges], 1e-7)


def test_an_interval_ends_where_chi2_has_risen(likelihood):
    response, counts, pearson = likelihood
    limit = interval(Chi2.of(pearson, ["q_ee"]), 0.90)
    lowest = min(by_minuit(response, counts, charge) for charge in np.linspace(-6e-9, 6e-9, 241))
    for end in (limit.segments[0][0], limit.segments[-1][1]):
        assert by_minuit(response, counts, end) - lowest == near(delta_chi2_level(0.90, 1), 2e-3)
