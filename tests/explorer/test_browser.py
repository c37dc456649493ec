"""The explorer in a browser: Debian's chromium and its driver, without them the tests are skipped.

Elements are looked for through open shadow roots, as readers of the screen do: by role and name.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress

import pytest
import yaml
from support import PATIENCE_S

import cevnslab as cl
from cevnslab.results.text import pieces_text

webdriver = pytest.importorskip(
    "selenium.webdriver", reason="selenium is not installed: no browser opened the explorer"
)
pytest.importorskip("panel", reason="the extra explore is not installed: no browser opened it")

from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.chrome.options import Options  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(
        not (CHROMIUM and DRIVER),
        reason="chromium and chromium-driver are not installed: no browser opened the explorer",
    ),
]
FLAGS = (
    "headless",
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
)
EVIL = '<img src="x" onerror="document.title=String(6*7)">'
STUDY = {
    "name": "two",
    "title": f"Two {EVIL}",
    "source": "ess",
    "exposure_years": 3,
    "couplings": ["q_ee", "q_mumu"],
    "uncertainties": {"signal": 0.10, "background": 0.01},
    "detectors": [{"preset": "ess-ge", "label": f"Ge {EVIL}"}, {"preset": "ess-csi"}],
}
FIND = """
const [selector, name] = arguments;
const label = e => e.getAttribute('aria-label') || (e.labels && e.labels[0] ? e.labels[0].textContent : '')
  || (e.getAttribute('aria-labelledby') || '').split(' ')
    .map(id => e.getRootNode().getElementById(id)?.textContent || '').join(' ') || e.textContent;
const walk = root => { for (const e of root.querySelectorAll('*')) {
  if (e.matches(selector) && (!name || label(e).trim().includes(name))) return e;
  if (e.shadowRoot) { const inner = walk(e.shadowRoot); if (inner) return inner; } } };
return walk(document);
"""
ROWS = FIND.replace(
    "return walk(document)",
    "const t = walk(document); return t ? [...t.rows].map(r => [...r.cells].map(c => c.textContent)) : []",
)
TEXT = """
const walk = root => [...root.childNodes].map(n => n.nodeType == 3 ? n.textContent
  : ['STYLE', 'SCRIPT'].includes(n.tagName) ? '' : (n.shadowRoot ? walk(n.shadowRoot) : '') + walk(n)).join('\\n');
return walk(document.body);
"""


def waited(condition, what):
    """What a condition gives as soon as it is true."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        with suppress(StaleElementReferenceException):  # what was looked at was drawn anew
            if result := condition():
                return result
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come about")


class Visitor:
    """A browser at the explorer's page."""

    def __init__(self, driver, url):
        self.driver, self.url = driver, url

    def sized(self, width, height, scheme="light"):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.get(self.url)
        waited(lambda: self.row("ess-csi"), "the table")
        self.find("input[type=range]", "exposure")

    def click(self, selector, label):
        """Click on what may lie below the window's edge, as a visitor who scrolls there."""
        element = self.find(selector, label)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def find(self, selector, name=""):
        return waited(lambda: self.driver.execute_script(FIND, selector, name), f"{selector} {name}")

    def row(self, detector):
        """The cells of a row of the table of limits."""
        label = {"ess-ge": "Ge", "ess-csi": "CsI"}[detector]
        rows = self.driver.execute_script(ROWS, "table", "")
        return next((row for row in rows if row[0].startswith(label)), None)

    def text(self):
        return self.driver.execute_script(TEXT)

    def study_file(self):
        """The study file that the page shows."""
        editor = self.find(".ace_editor")
        return self.driver.execute_script("return arguments[0].env.editor.getValue()", editor)


@pytest.fixture(scope="module")
def visitor(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explorer")
    path = folder / "two.yaml"
    path.write_text(yaml.safe_dump(STUDY, sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "cevnslab", "explore", str(path), "--no-browser"]
    options = Options()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"user-data-dir={folder / 'profile'}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            url = re.search(r"http://127\.0\.0\.1:\d+/", server.stdout.readline())[0]
            driver = webdriver.Chrome(service=Service(DRIVER), options=options)
            try:
                visit = Visitor(driver, url)
                visit.sized(1280, 1000)
                yield visit
            finally:
                driver.quit()
        finally:
            server.terminate()
            try:
                assert server.wait(timeout=PATIENCE_S) == 143
            finally:
                server.kill()


def expected_cell(content, coupling="q_ee"):
    limit = cl.study_from_dict(yaml.safe_load(content)).run().limit("ess-ge", coupling)
    return pieces_text(limit, -9)


def test_a_slider_is_moved_by_keys_and_the_limit_is_that_of_the_study_file(visitor):
    before = visitor.row("ess-ge")
    slider = visitor.find("input[type=range]", "ess-ge threshold")
    slider.send_keys(Keys.ARROW_LEFT * 7)
    waited(lambda: visitor.row("ess-ge")[1] != before[1], "another limit")
    visitor.click("button", "Study file")
    waited(lambda: "threshold_kev: 0.6\n" not in visitor.study_file(), "another study file")
    content = visitor.study_file()
    assert yaml.safe_load(content)["detectors"][0]["threshold_kev"] < 0.6
    waited(
        lambda: visitor.row("ess-ge")[1:3] == [expected_cell(content), expected_cell(content, "q_mumu")], "the limit"
    )
    assert visitor.row("ess-csi") != before


def test_a_number_beyond_its_range_says_why(visitor):
    number = visitor.find("input[type=text]", "mass (kg)")
    number.send_keys(Keys.BACKSPACE * 9 + "1000000" + Keys.ENTER)
    waited(lambda: "mass_kg: must be from" in visitor.text(), "a reason")
    number.send_keys(Keys.BACKSPACE * 9 + "9.5" + Keys.ENTER)
    waited(lambda: "mass_kg: 9.5\n" in visitor.study_file(), "another mass")
    assert "must be from" not in visitor.text()


def test_an_upload_is_refused_and_html_is_inert(visitor, tmp_path):
    path = tmp_path / "evil.yaml"
    path.write_text(f"name: '{EVIL}'\nsource: ess\ncouplings: ['{EVIL}']\ndetectors: [{{preset: '{EVIL}'}}]\n")
    visitor.find("input[type=file]").send_keys(str(path))
    waited(lambda: "upload:" in visitor.text(), "a reason")
    assert EVIL in visitor.text()  # as letters: in the title and in the message
    assert visitor.driver.title == "cevnslab explore"
    assert visitor.driver.execute_script(FIND, "img[src=x]", "") is None
    good = tmp_path / "good.yaml"
    good.write_text(yaml.safe_dump({**STUDY, "name": "three", "exposure_years": 7.5}), encoding="utf-8")
    visitor.find("input[type=file]").send_keys(str(good))
    waited(lambda: "upload:" not in visitor.text() and "7.5" in visitor.study_file(), "another study")


def test_a_narrow_page_has_all_and_scrolls_one_way(visitor):
    visitor.sized(390, 800)
    width = visitor.driver.execute_script("return document.documentElement.scrollWidth")
    assert width <= 390
    places = {
        name: visitor.driver.execute_script(
            "return arguments[0].getBoundingClientRect().right", visitor.find(f".{name}")
        )
        for name in ("table", "curve", "controls", "contour", "spectrum", "files", "keys")
    }
    assert max(places.values()) <= 390, places


def test_the_keyboard_reaches_the_controls_first(visitor):
    visitor.sized(1280, 1000)
    visitor.driver.execute_script("document.activeElement.blur()")
    names = []
    for _ in range(14):
        visitor.driver.switch_to.active_element.send_keys(Keys.TAB)
        names.append(
            visitor.driver.execute_script(
                "let e = document.activeElement;"
                "while (e.shadowRoot && e.shadowRoot.activeElement) e = e.shadowRoot.activeElement;"
                "return e.tagName + ' ' + (e.type || e.getAttribute('role') || '')"
            )
        )
    assert names.count("INPUT range") >= 2, names
    assert "INPUT text" in names
    assert not any(name.startswith("CANVAS") for name in names)


def test_a_dark_page_for_those_who_prefer_it(visitor):
    visitor.sized(1280, 1000, "dark")
    waited(lambda: visitor.driver.current_url.endswith("?theme=dark"), "the dark page")
    waited(lambda: visitor.row("ess-csi"), "the table")

    def dark():
        return (
            visitor.driver.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(18, 18, 18)"
        )

    waited(dark, "a dark page")
    visitor.click("button", "Toggle theme")
    waited(lambda: not dark(), "a light page")


def test_no_request_left_the_machine(visitor):
    events = [json.loads(entry["message"])["message"] for entry in visitor.driver.get_log("performance")]
    requests = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    # A browser's page for new tabs asks for what it likes before ours is opened.
    own_pages = ("chrome:", "chrome-untrusted:")
    urls = [each["request"]["url"] for each in requests if not each["documentURL"].startswith(own_pages)]
    assert any(url.startswith(visitor.url) for url in urls)
    assert [url for url in urls if not url.startswith((visitor.url, "data:", "blob:", "about:"))] == []
    errors = [entry["message"] for entry in visitor.driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert [error for error in errors if "favicon" not in error] == []
