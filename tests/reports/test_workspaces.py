"""pyhf workspaces: the same counts and the same likelihood as ours."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from support import STUDY, changed

import cevnslab as cl
from cevnslab.errors import CevnslabError, MissingExtraError, PhysicsError, StudyError
from cevnslab.inference.chi2 import Chi2
from cevnslab.reports.exports import parse_couplings
from cevnslab.reports.workspaces import STRENGTH, check_workspace, export_workspace

pytestmark = [
    # pyhf uses what jsonschema has replaced.
    pytest.mark.filterwarnings(r"ignore:jsonschema.*\.Ref\w+ is deprecated:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def study():
    keys = cl.load_study("parada2024").as_dict()
    stored = {key: keys[key] for key in ("name", "source", "exposure_years", "couplings", "uncertainties", "detectors")}
    together = ["ess-csi", "ess-ge"]
    combined = [
        {"name": f"both-{signal}", "detectors": together, "signal": signal} for signal in ("correlated", "independent")
    ]
    return cl.study_from_dict({**stored, "statistic": "poisson", "combinations": combined})


def fitted(pyhf, workspace):
    """The best 2 NLL at strength 1, and the parameters there."""
    opened = pyhf.Workspace(workspace)
    model = opened.model()
    pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer(tolerance=1e-13))
    parameters, twice = pyhf.infer.mle.fixed_poi_fit(1.0, opened.data(model), model, return_fitted_val=True)
    return float(twice), dict(zip(model.config.par_names, parameters, strict=True))


@pytest.mark.parametrize(
    ("detector", "couplings"),
    [
        ("ess-ge", {}),
        ("ess-ge", {"q_ee": 3e-9}),
        ("ess-xe", {"q_ee": -2e-9, "q_emu": 5e-9}),
        ("ess-csi-electron", {"q_mumu": 1e-10}),
    ],
)
def test_yields_are_ours(detector, couplings, study):
    pyhf = pytest.importorskip("pyhf")
    workspace = export_workspace(study, detector, couplings)
    opened = pyhf.Workspace(workspace)
    model = opened.model()
    (setup,) = [setup for setup in study.setups if setup.name == detector]
    expected = setup.response.counts(**couplings) + setup.response.background
    nominal = np.array(model.config.suggested_init())
    assert model.expected_actualdata(nominal) == pytest.approx(expected, rel=1e-10)
    # A pull moves what it should, in proportion.
    place = model.config.par_order.index(f"signal_{detector}")
    for pull in (-9.0, -1.0, 0.4, 7.0):
        moved = nominal.copy()
        moved[place] = pull
        signal = setup.response.counts(**couplings)
        assert model.expected_actualdata(moved) == pytest.approx(expected + 0.10 * pull * signal, rel=1e-10)
    assert model.config.poi_name == STRENGTH
    names = [sample["name"] for sample in workspace["channels"][0]["samples"]]
    assert names == [*setup.response.channels, "background"]
    asimov = setup.response.counts() + setup.response.background
    assert workspace["observations"] == [{"name": detector, "data": pytest.approx(asimov, rel=1e-14)}]


@pytest.mark.parametrize("detector", ["ess-ge", "ess-csi", "both-correlated", "both-independent"])
def test_the_likelihood_is_ours(detector, study):
    """Twice the difference of the negative logarithms is our Poisson chi^2: another library's minimisation of it."""
    pyhf = pytest.importorskip("pyhf")
    from cevnslab.studies.analysis import analyses

    nothing, _ = fitted(pyhf, export_workspace(study, detector))
    chi2 = analyses(study)[detector].chi2("q_ee")
    for value in (-4e-9, 5e-9):
        twice, _ = fitted(pyhf, export_workspace(study, detector, {"q_ee": value}))
        assert twice - nothing == pytest.approx(float(chi2(np.array([value]))[0]), rel=1e-6, abs=1e-7)


def test_a_correlated_combination_shares_the_signal(study):
    def nuisances(name):
        (measurement,) = export_workspace(study, name)["measurements"]
        return {parameter["name"] for parameter in measurement["config"]["parameters"]}

    assert nuisances("both-correlated") >= {"signal_both-correlated", "background_ess-csi", "background_ess-ge"}
    assert nuisances("both-independent") >= {"signal_ess-csi", "signal_ess-ge"}
    assert [c["name"] for c in export_workspace(study, ["ess-ge", "ess-xe"])["channels"]] == ["ess-ge", "ess-xe"]


def test_a_normalisation_that_is_fixed_has_no_modifier():
    study = cl.study_from_dict(changed({"uncertainties": {"signal": 0, "background": 0.01}}))
    workspace = export_workspace(study, "my-ge")
    signal, background = workspace["channels"][0]["samples"]
    assert [modifier["name"] for modifier in signal["modifiers"]] == [STRENGTH]
    assert [modifier["name"] for modifier in background["modifiers"]] == ["background_my-ge"]
    pytest.importorskip("pyhf")
    check_workspace(workspace)


def test_real_data_with_their_backgrounds(coherent_data):
    pyhf = pytest.importorskip("pyhf")
    keys = {"name": "csi", "couplings": ["q_ee"], "detectors": [{"preset": "coherent-csi-2021", "off_counts": "exact"}]}
    study = cl.study_from_dict(keys, data=coherent_data)
    (setup,) = study.setups
    workspace = export_workspace(study, setup.name, {"q_ee": 3e-8})
    assert workspace["observations"][0]["data"] == setup.measurement.observed.tolist()
    names = [sample["name"] for sample in workspace["channels"][0]["samples"]]
    assert names == ["cevns", "brn", "nin", "steady_state"]
    twice = [fitted(pyhf, export_workspace(study, setup.name, {"q_ee": value}))[0] for value in (3e-8, 0.0)]
    ours = Chi2.of(setup.likelihood, ["q_ee"])(np.array([3e-8, 0.0]))
    assert twice[0] - twice[1] == pytest.approx(ours[0] - ours[1], rel=1e-5)


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, ("my-g", {}), "did you mean 'my-ge'"),
        ({}, ("my-ge", {"q_eee": 1e-9}), "q_ee"),
        ({}, ("my-ge", {"q_ee": 1.0}), "bounds"),
        ({}, (["my-ge", "my-ge"], {}), "twice"),
        ({"uncertainties": {"signal": 0.1, "background": 0.1, "energy_scale": 0.02}}, ("my-ge", {}), "energy_scale"),
    ],
)
def test_what_cannot_be_exported_is_an_error(change, arguments, message):
    with pytest.raises(CevnslabError, match=message):
        export_workspace(cl.study_from_dict(changed(change)), *arguments)


def test_shape_nuisances_of_an_experiment_are_refused(coherent_data):
    study = cl.load_study("coherent-shape", data=coherent_data)
    with pytest.raises(StudyError, match="nuisances: normalisation"):
        export_workspace(study, study.setups[0].name)


def test_a_template_with_the_errors_of_its_counts_is_refused(coherent_data):
    keys = {"name": "csi", "couplings": [], "detectors": [{"preset": "coherent-csi-2021"}]}
    study = cl.study_from_dict(keys, data=coherent_data)
    with pytest.raises(StudyError, match=r"detectors\.coherent-csi-2021: .*steady_state.*off_counts: exact"):
        export_workspace(study, "coherent-csi-2021")


def test_negative_expectations_are_an_error(study, monkeypatch):
    from cevnslab.likelihood.likelihood import Likelihood

    expected = {"ess-ge": {"cevns": -np.ones(3)}}
    monkeypatch.setattr(Likelihood, "expected", lambda self, *_: expected)
    with pytest.raises(PhysicsError, match="negative"):
        export_workspace(study, "ess-ge")


def test_checks_need_the_library_and_say_what_it_refuses(study, monkeypatch):
    workspace = export_workspace(study, "ess-ge")
    pytest.importorskip("pyhf")
    with pytest.raises(StudyError, match="refuses"):
        check_workspace({**workspace, "channels": "none"})
    monkeypatch.setitem(sys.modules, "pyhf", None)
    with pytest.raises(MissingExtraError, match=r"cevnslab\[pyhf\]"):
        check_workspace(workspace)


def test_the_command_writes_the_same_from_a_study_and_its_results(command, tmp_path, write_study):
    study = write_study(STUDY)
    path = tmp_path / "workspace.json"
    ran = command("export", study, "--format", "pyhf", "--detector", "my-ge", "--at", "q_ee=3e-9", "-o", path)
    assert (ran.status, ran.err, ran.out.strip()) == (0, "", str(path))
    folder = cl.load_study(study).run().save(tmp_path / "out")
    again = command("export", folder, "--format", "pyhf", "--at", "q_ee=3e-9")
    assert json.loads(again.out) == json.loads(path.read_text(encoding="utf-8"))
    assert json.loads(again.out) == export_workspace(cl.load_study(study), "my-ge", {"q_ee": 3e-9})


def test_several_detectors_must_be_chosen_from(command):
    ran = command("export", "parada2024", "--format", "pyhf")
    assert ran.status == 2
    assert "--detector" in ran.err


@pytest.mark.parametrize("text", ["q_ee", "q_ee=", "=3", "q_ee=x", ""])
def test_couplings_on_the_command_line(text):
    with pytest.raises(StudyError, match="--at"):
        parse_couplings([text])
    with pytest.raises(StudyError, match="twice"):
        parse_couplings(["q_ee=1", "q_ee=2"])


def test_infinite_values_are_out_of_bounds(study):
    with pytest.raises(PhysicsError, match="finite"):
        export_workspace(study, "ess-ge", parse_couplings(["q_ee=nan"]))
