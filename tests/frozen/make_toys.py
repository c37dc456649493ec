"""Fit the stored pseudo-experiments of chosen cases again: `python tests/frozen/make_toys.py NUMBER ...`.

A commit that changes a stored delta chi^2 says why it moves, and by which independent route it was checked.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from test_frozen_toys import FROZEN, fitted

import cevnslab as cl


def main():
    responses = {setup.name: setup.response for setup in cl.study_from_dict(FROZEN["study"]).setups}
    for number in map(int, sys.argv[1:]):
        case = FROZEN["cases"][number]
        case["delta_chi2"] = fitted(case, responses).tolist()
    text = json.dumps(FROZEN)
    (Path(__file__).parent / "toys.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
