"""The explorer's widgets, driven without a browser, and what the command refuses before it serves anything."""

from __future__ import annotations

import gc
import re
import socket
import subprocess
import sys
import urllib.parse
import urllib.request
from dataclasses import replace

import pytest
from support import PATIENCE_S

import cevnslab as cl
from cevnslab.errors import MissingExtraError, StudyError
from cevnslab.studies.yaml_io import parse_yaml

panel = pytest.importorskip("panel", reason="the extra explore is not installed: its page was not tested")
pytest.importorskip("panel_material_ui")

from cevnslab.explorer.page import DEBOUNCE_MS, Explorer, toolkit  # noqa: E402
from cevnslab.explorer.server import access, is_loopback, serve  # noqa: E402

STUDY = {
    "name": "two",
    "title": "<img src=x onerror=alert(1)>",
    "source": "ess",
    "exposure_years": 3,
    "couplings": ["q_ee", "q_mumu"],
    "uncertainties": {"signal": 0.10, "background": 0.01},
    "detectors": [{"preset": "ess-ge"}, {"preset": "ess-csi"}],
    "design": [
        {"name": "far", "key": "detectors.ess-ge.mass_kg", "from": 1, "to": 50, "detector": "ess-ge"}
        | {"goal": {"coupling": "q_ee", "upper": 4e-9}}
    ],
}
THRESHOLD = "detectors.ess-ge.threshold_kev"


@pytest.fixture(scope="module")
def study():
    return cl.study_from_dict(STUDY)


@pytest.fixture
def explorer(study):
    return Explorer(study)


def test_a_slider_moves_everything(explorer):
    control = explorer.controls[THRESHOLD]
    before = explorer.table.object, explorer.figures._curve.lines["ess-ge"].data["y"]
    control.position.value = control.slider.position(0.3)
    assert control.number.value == pytest.approx(0.3, rel=0.03)
    assert explorer.exploration.value(THRESHOLD) == control.number.value
    assert not explorer.table.object.equals(before[0])
    assert not (explorer.figures._curve.lines["ess-ge"].data["y"] == before[1]).all()
    assert parse_yaml(explorer.editor.value, "page")["detectors"][0]["threshold_kev"] == control.number.value


def test_a_number_moves_the_slider(explorer):
    control = explorer.controls[THRESHOLD]
    control.number.value = 0.2520297
    assert control.position.value == control.slider.position(0.2520297)
    assert explorer.exploration.value(THRESHOLD) == 0.2520297
    pieces = explorer.exploration.limit("ess-ge", "q_ee").segments
    assert next(high for low, high in pieces if low <= 0 <= high) == pytest.approx(3e-9, rel=1e-6)


@pytest.mark.parametrize("value", [500.0, -1.0, None])
def test_a_number_out_of_range_says_why(explorer, value):
    control = explorer.controls[THRESHOLD]
    before = explorer.editor.value
    control.number.value = value
    assert control.number.error_state
    assert "must be" in control.number.helper_text
    assert explorer.editor.value == before
    control.number.value = 0.5
    assert not control.number.error_state


def test_what_the_study_refuses_is_said_at_its_number(explorer):
    """A threshold at which no recoil is left, beyond what a slider can know."""
    control = explorer.controls[THRESHOLD]
    control.slider = explorer.exploration.sliders[THRESHOLD] = replace(control.slider, high=1e5)
    control.number.value = 500.0
    assert "must be below maximum_kev" in control.number.helper_text
    assert explorer.message.visible
    control.number.value = 0.6
    assert not explorer.message.visible


def test_goals_and_counts_stand_in_the_table(explorer):
    table = explorer.table.object
    assert list(table["goal"])[:2] == ["far: not reached", ""]
    assert table["background"][0] == "41108"
    assert any(name.endswith("(data)") for name in table["detector"])
    explorer.controls["detectors.ess-ge.mass_kg"].number.value = 100.0
    assert explorer.table.object["goal"][0] == "far: reached"


def test_choices(explorer):
    explorer.level.value = 0.99
    assert explorer.exploration.level == 0.99
    explorer.first.value = "q_mumu"
    assert explorer.exploration.couplings == ("q_mumu", "q_mumu")
    explorer.second.value = "q_etau"
    assert "q_etau (" in " ".join(explorer.table.object.columns)
    explorer.spectrum.value = "ess-csi"
    assert explorer.figures.spectrum.title.text == "ess-csi; dashed: q_mumu at the upper end of its limit"


def test_an_upload_begins_anew_or_says_why_not(explorer):
    explorer._opened(b"name: mine\nplugins: [x.py]\n")
    assert "plugins: runs code" in explorer.message.object
    assert explorer.exploration.study.name == "two"
    text = explorer.exploration.yaml().replace("name: two", "name: three")
    explorer._opened(text.encode())
    assert explorer.exploration.study.name == "three"
    assert not explorer.message.visible


def test_the_extra_is_named_where_it_is_missing(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "panel", None)
    toolkit.cache_clear()
    try:
        with pytest.raises(MissingExtraError, match=r"pip install 'cevnslab\[explore\]'"):
            study.explore()
    finally:
        toolkit.cache_clear()


def test_a_notebook_shows_the_page_body(study):
    body = study.explore()
    assert type(body).__name__ == "Column"
    assert any(type(child).__name__ == "Accordion" for child in body)


def test_the_wait_for_moves_is_set_where_panel_keeps_it():
    from panel.reactive import Syncable

    toolkit()
    assert Syncable._debounce == DEBOUNCE_MS


def test_who_may_reach_the_page():
    assert access("127.0.0.1", None) == access("::1", None) == access("localhost", None) == {}
    for address in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        assert not is_loopback(address)
        with pytest.raises(StudyError, match="give a --token"):
            access(address, None)
    secured = access("0.0.0.0", "correct-horse-battery")
    assert secured["basic_auth"] == "correct-horse-battery"
    assert len(secured["cookie_secret"]) >= 32
    with pytest.raises(StudyError, match="at least 12 characters"):
        access("0.0.0.0", "1234")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Tornado leaves the socket to Python
# Tornado asks for a loop that a test before may have closed, which Python 3.12 and 3.13 warn of.
@pytest.mark.filterwarnings("ignore:There is no current event loop:DeprecationWarning")
def test_a_port_that_is_taken_is_one_message(study):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with pytest.raises(cl.CevnslabError, match=r"cannot serve on 127.0.0.1, port \d+: .*in use"):
            serve(study, port=listener.getsockname()[1])
    gc.collect()


def test_the_command_refuses_before_it_serves(command):
    ran = command("explore", "parada2024", "--address", "0.0.0.0", "--no-browser")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "--token" in ran.err
    assert command("explore", "paradaa2024", "--no-browser").status == 2


def test_a_study_without_couplings_is_refused():
    with pytest.raises(StudyError, match="at least one coupling"):
        Explorer(cl.study_from_dict({**STUDY, "couplings": [], "design": []}))


def test_the_page_as_a_whole_takes_no_part_in_a_move(explorer):
    """What it shows while the server is busy would have it drawn anew twice a move."""
    page = explorer.page()
    with panel.util.edit_readonly(panel.state):
        panel.state.busy = True
        spinner = page.busy
        panel.state.busy = False
    assert not spinner
    assert page.busy_indicator is None


def test_the_module_is_imported_late():
    code = "import sys, cevnslab.cli.commands, cevnslab.explorer.page; sys.exit('panel' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


CLIENT = """
import re, socket, subprocess, sys
from bokeh.client import pull_session
from cevnslab.explorer.page import toolkit
toolkit()
import panel.models.ace, panel.models.esm
known = socket.getaddrinfo
socket.getaddrinfo = lambda host, *a, **k: known("127.0.0.1" if host == "evil.example" else host, *a, **k)
command = [sys.executable, "-m", "cevnslab", "explore", "--no-browser"]
with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
    try:
        url = re.search(r"http://127\\.0\\.0\\.1:\\d+/", server.stdout.readline())[0]
        for host in ("127.0.0.1", "evil.example"):
            session = pull_session(url=url.replace("127.0.0.1", host))
            print(host, "ess-ge" in str(session.document.to_json()))
            session.close()
    finally:
        server.terminate()
"""


def test_a_name_of_somebody_else_that_leads_here_gets_no_study():
    ran = subprocess.run(
        [sys.executable, "-c", CLIENT], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert ran.stdout.split() == ["127.0.0.1", "True", "evil.example", "False"], ran.stderr


def test_a_token_is_asked_for_and_opens(tmp_path):
    token = "correct-horse-battery"
    command = [sys.executable, "-m", "cevnslab", "explore", "--no-browser", "--token", token]
    jar = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            url = re.search(r"http://127\.0\.0\.1:\d+/", server.stdout.readline())[0]

            def page(*form):
                with jar.open(*form, timeout=PATIENCE_S) as answer:
                    return answer.url, answer.read().decode()

            def asked(attempt):
                return f"{url}login", urllib.parse.urlencode({"username": "explorer", "password": attempt}).encode()

            where, text = page(url)
            assert where.startswith(f"{url}login")
            assert "Token that was given" in text
            assert "http" not in text.replace("http-equiv", "")  # nothing from elsewhere
            assert "Invalid" in page(*asked("wrong-horse-battery"))[1]
            where, text = page(*asked(token))
            assert where == url
            assert "bokeh" in text
        finally:
            server.terminate()
            try:
                assert server.wait(timeout=PATIENCE_S) == 143
            finally:
                server.kill()
