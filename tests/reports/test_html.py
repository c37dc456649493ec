"""The page of a study's results: valid, accessible, self-contained, and the same every time."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from support import changed

import cevnslab as cl
from cevnslab.reports.grid import Amount, Formula, Grid
from cevnslab.reports.html import FILE, page, write_report
from cevnslab.reports.html.blocks import cell_html, formula_html, grid_html
from cevnslab.reports.html.svg import inline
from cevnslab.results import CriticalValues, FitParameter

VOID = {"br", "hr", "img", "link", "meta"}


class Reader(HTMLParser):
    """Elements with their attributes, and every end that does not fit its start."""

    def __init__(self):
        super().__init__()
        self.open, self.elements, self.faults, self.headings = [], [], [], []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        self.faults += [f"{tag} has {name} twice" for name in names if names.count(name) > 1]
        self.elements.append((tag, dict(attrs), list(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        if "svg" not in self.open:
            self.faults.append(f"<{tag}/> outside a graphic")
        self.elements.append((tag, dict(attrs), list(self.open)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> does not fit")


def read(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


@pytest.fixture(scope="module")
def written(saved_paper):
    return write_report(saved_paper).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def short(paper):
    """The result with one quick figure."""
    figure = {"name": "one", "panels": [{"limits": "q_ee"}]}
    return replace(paper, study={**paper.study, "figures": [figure]})


def test_elements_are_closed_and_names_are_unique(written):
    reader = read(written)
    assert not reader.faults
    assert not reader.open
    names = [attributes["id"] for _, attributes, _ in reader.elements if "id" in attributes]
    assert len(names) == len(set(names))
    targets = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', written))
    assert {a or b for a, b in targets} <= set(names)
    assert written.startswith("<!DOCTYPE html>\n")


def test_nothing_comes_from_elsewhere(written):
    for tag, attributes, _ in read(written).elements:
        assert tag not in {"script", "link", "iframe", "img", "object"}
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith("#")
        assert not [name for name in attributes if name.startswith("on")]
    assert "@import" not in written
    assert "url(http" not in written


def test_headings_tables_and_figures_are_accessible(written):
    elements = read(written).elements
    assert [attributes for tag, attributes, _ in elements if tag == "html"] == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _, _ in elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes, _ in elements if tag == "th")
    tables = [tag for tag, _, _ in elements if tag == "table"]
    assert len([tag for tag, _, _ in elements if tag == "caption"]) == len(tables) >= 6
    graphics = [attributes for tag, attributes, _ in elements if tag == "svg"]
    assert len(graphics) == 15
    assert all(graphic["role"] == "img" and len(graphic["aria-label"]) > 10 for graphic in graphics)
    focusable = [attributes for _, attributes, _ in elements if "tabindex" in attributes]
    assert all(attributes.get("aria-label") for attributes in focusable)


def test_it_has_everything(written, paper):
    for words in (
        "[\u22123.85, 4.87]",
        "16 of 19 numbers are equal after rounding",
        "Improvement over COHERENT",
        paper.provenance["study_sha256"],
        paper.provenance["date"],
        "fermi_constant_inverse_mev2",
        "threshold_kev: 0.6",
        "@article{ParadaSanchezGarcia:2024,",
        "global minimum",
        "prefers-color-scheme: dark",
        "@media print",
        'name="viewport"',
    ):
        assert words in written, words
    assert len(written) < 1_000_000


def test_the_same_result_gives_the_same_bytes(saved_paper, written):
    assert write_report(saved_paper).read_text(encoding="utf-8") == written
    assert [path.name for path in saved_paper.iterdir() if path.name.startswith(".")] == []


def test_the_study_file_on_the_page_gives_the_study(written, paper):
    import html

    from cevnslab.studies.yaml_io import parse_yaml

    text = html.unescape(re.search(r'aria-label="The study file as YAML"><code>(.*?)</code>', written, re.S)[1])
    assert cl.study_from_dict(parse_yaml(text, "page")).sha256 == paper.provenance["study_sha256"]


def test_words_of_others_are_escaped(short):
    evil = '<script>alert("x")</script>&'
    result = replace(
        short,
        study={**short.study, "title": evil},
        provenance={**short.provenance, "machine": evil},
        couplings={name: replace(info, symbol=info.symbol) for name, info in short.couplings.items()},
    )
    text = page(result)
    assert "<script" not in text
    assert "<title>&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;&amp;</title>" in text
    assert not read(text).faults


def test_fits_critical_values_scans_and_combinations(short):
    """Sections that the paper's study does not have."""
    keys = changed(
        {
            "scans": [{"name": "years", "key": "exposure_years", "values": [1, 2]}],
            "detectors.0.uncertainties": {"signal": 0.2, "background": 0.1},
            "figures": [{"name": "one", "panels": [{"spectrum": "my-ge"}]}],
        }
    )
    result = cl.study_from_dict(keys).run()
    line = np.linspace(0, 1e-8, 3)
    critical = CriticalValues("my-ge", "cevns", "q_ee", 0.9, "global minimum", 100, line, line + 2, line + 0.1, 0.1)
    result = replace(
        result,
        fit=(FitParameter("coherent-csi-2021", "cevns_counts", 310.0, 21.0), FitParameter("x", "p_value", 0.5, None)),
        critical_values=(critical,),
    )
    text = page(result)
    assert not read(text).faults
    for words in ("306 \u00b1 20", "310 \u00b1 21", "exposure_years varies", "pseudo-experiments", "own: signal 20 %"):
        assert words in text, words
    assert "Beside the published" not in text
    combined = page(
        replace(
            short,
            study={
                **short.study,
                "combinations": [{"name": "both", "detectors": ["ess-csi", "ess-ge"], "signal": "correlated"}],
                "profile": ["q_mumu"],
            },
        )
    )
    assert "Combination both: ess-csi, ess-ge" in combined
    assert "Minimised over" in combined


def test_mediators_are_described(short):
    vector = {"name": "light_vector", "charges": "b-l", "mass_mev": 10, "label": "g_bl"}
    study = {**short.study, "couplings": [*short.study["couplings"], vector]}
    text = page(replace(short, study=study, couplings={**short.couplings, "g_bl": short.couplings["q_ee"]}))
    assert "coupling of a vector mediator of 10 MeV, b-l charges" in text


def test_experiments_are_described(short):
    measured = {**cl.load_study("coherent").as_dict()["detectors"][0], "name": "ess-ge"}
    detectors = [measured if entry["name"] == "ess-ge" else entry for entry in short.study["detectors"]]
    text = page(replace(short, study={**short.study, "detectors": detectors}))
    assert "as released" in text
    assert "3.198e+23 protons" in text
    assert "data: data" in text


def test_the_command_and_its_mistakes(command, saved_paper, tmp_path):
    ran = command("report", saved_paper)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.strip() == str(saved_paper / FILE)
    ran = command("report", tmp_path)
    assert ran.status == 2
    assert "cannot read the results" in ran.err
    assert list(tmp_path.iterdir()) == []
    # A folder of runs in the place of one of them.
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "result.json").write_text("{}", encoding="utf-8")
    assert f"results are in {tmp_path / 'runs' / 'mine'}" in command("report", tmp_path / "runs").err


# --- cells


def test_every_symbol_of_the_package_is_a_formula():
    for coupling in cl.couplings.COUPLINGS.values():
        assert formula_html(Formula(coupling.symbol, "?")).startswith("<math"), coupling.symbol


def test_formulas_that_are_not_understood_are_words():
    assert formula_html(Formula("q_", "a<b")) == "a&lt;b"
    assert "<script" not in formula_html(Formula(r"\text{<script>}", "x"))


def test_cells_are_escaped_once():
    assert cell_html("a<b & -3 +/- 1, a-b") == "a&lt;b &amp; \u22123 \u00b1 1, a-b"
    assert cell_html(Amount("1<2", 0, "<b>")) == "1&lt;2\u00a0&lt;b&gt;"
    assert cell_html(Amount("", -9, "cm2")) == "10<sup>\u22129</sup>\u00a0cm<sup>2</sup>"
    text = grid_html(Grid('1 < 2 "m"', ("<a>",), (("<b>",),), notes=("<i>",)))
    assert 'aria-label="1 &lt; 2 &#34;m&#34;"' in text
    assert not {"<a>", "<b>", "<i>"} & set(re.findall(r"<.>", text))


def test_a_graphic_has_names_of_its_own_and_few_digits():
    svg = (
        '<?xml version="1.0"?><svg viewBox="0 0 1 1"><metadata>date</metadata><style>*{}</style><!-- x -->'
        '<g id="unused"><path id="p" d="M 1.23456 2.000000 "/></g><use xlink:href="#p" x="3.14159"/>'
        '<g clip-path="url(#p)" transform="translate(1.55555 2) scale(0.015625)"/></svg>'
    )
    text = inline(svg, "f1-", 'a "label"')
    assert "unused" not in text
    assert "date" not in text
    assert '<path id="f1-p" d="M 1.23 2 "/>' in text
    assert 'xlink:href="#f1-p" x="3.14"' in text
    assert "url(#f1-p)" in text
    assert "scale(0.015625)" in text
    assert 'aria-label="a &#34;label&#34;"' in text
