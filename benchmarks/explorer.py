"""How long the explorer takes from a key to the last stroke on its canvases, in Debian's chromium without a GPU.

Two detectors, least squares; needs the extra `explore`, selenium, chromium and chromium-driver. Printed are the median
over single keys, and the time from the last of many moves (20 a second) to the last stroke.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

STUDY = """
name: two
source: ess
exposure_years: 3
couplings: [q_ee, q_mumu]
uncertainties: {signal: 0.10, background: 0.01}
detectors: [{preset: ess-ge}, {preset: ess-csi}]
"""
FLAGS = (
    *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-sync"),
    *("disable-background-networking", "disable-component-update"),
)
WATCH = """
window.strokes = 0; window.pressed = 0;
const stroke = CanvasRenderingContext2D.prototype.stroke;
CanvasRenderingContext2D.prototype.stroke = function (...all) {
  window.strokes = performance.now();
  return stroke.apply(this, all);
};
addEventListener("keydown", () => { window.pressed = performance.now(); }, true);
"""
FOCUS = """
const text = (e, id) => e.getRootNode().getElementById(id)?.textContent || '';
const label = e => e.getAttribute('aria-label')
  || (e.getAttribute('aria-labelledby') || '').split(' ').map(id => text(e, id)).join(' ');
const walk = root => { for (const e of root.querySelectorAll('*')) {
  if (e.matches('input[type=range]') && label(e).includes('ess-ge threshold')) return e;
  if (e.shadowRoot) { const inner = walk(e.shadowRoot); if (inner) return inner; } } };
const found = walk(document); if (found) found.focus(); return Boolean(found);
"""


def press(driver: webdriver.Chrome, key: str) -> None:
    """One key, down and up."""
    code = {"ArrowLeft": 37, "ArrowRight": 39}[key]
    for kind in ("keyDown", "keyUp"):
        event = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code}
        driver.execute_cdp_cmd("Input.dispatchKeyEvent", event)


def latency(driver: webdriver.Chrome) -> float:
    """Milliseconds from the last key to the last stroke, once nothing is drawn any more."""
    time.sleep(0.8)
    return float(driver.execute_script("return window.strokes - window.pressed"))


def main() -> None:
    """Open the page, press keys, print times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=30)
    keys = parser.parse_args().keys
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "two.yaml"
        path.write_text(STUDY, encoding="utf-8")
        command = [sys.executable, "-m", "cevnslab", "explore", str(path), "--no-browser"]
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for flag in (*FLAGS, f"user-data-dir={place}/profile"):
            options.add_argument(f"--{flag}")
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            match = re.search(r"http://\S+", server.stdout.readline())
            assert match is not None
            driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
            try:
                driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
                driver.set_window_size(1280, 1000)
                driver.get(match[0])
                while not driver.execute_script(FOCUS):
                    time.sleep(0.2)
                time.sleep(3)
                single = []
                for number in range(keys):
                    press(driver, ("ArrowLeft", "ArrowRight")[number % 2])
                    single.append(latency(driver))
                bursts = []
                for key in ("ArrowLeft", "ArrowRight", "ArrowLeft"):
                    for _ in range(40):
                        start = time.monotonic()
                        press(driver, key)
                        time.sleep(max(0.0, 0.05 - (time.monotonic() - start)))
                    bursts.append(latency(driver))
            finally:
                driver.quit()
                server.terminate()
    drawn = [each for each in single if each > 0]
    print(f"one key: median {statistics.median(drawn):.0f} ms to the last stroke, {len(drawn)} of {keys} drawn")
    print(f"20 moves a second: the last state is drawn {', '.join(f'{each:.0f}' for each in bursts)} ms after the last")


if __name__ == "__main__":
    main()
