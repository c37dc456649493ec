"""The documentation site: `make docs` builds it from the repository alone, without the network.

Formulas are MathML, which browsers show without a script (`_ext/mathml.py`). Tables of keys, presets and couplings are
made of the package itself when the site is built (`_ext/tables.py`), galleries by running studies (`_ext/gallery.py`),
notebooks by running their cells. What was run is kept under `build/docs-cache`, by a hash of the package's files.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / "_ext"))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from cache import CACHE  # noqa: E402  (the path is set above)

import cevnslab  # noqa: E402

project = "cevnslab"
author = "the cevnslab developers"
project_copyright = "the cevnslab developers, MIT licence"
version = release = cevnslab.__version__

extensions = [
    "myst_nb",  # MyST pages, and notebooks that are run
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "mathml",
    "signatures",
    "tables",
    "gallery",
]
exclude_patterns = ["_build", "_ext", "data", "examples", "figures"]
highlight_language = "none"
nitpicky = False
default_role = "code"  # `names` in docstrings, as in the pages

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
# Pages are read as files of the repository too: what they name outside `docs/` is no page of the site.
myst_links_external_new_tab = False

nb_execution_mode = "cache"
nb_execution_cache_path = str(CACHE / "notebooks")
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True

napoleon_google_docstring = False

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_type_aliases = {
    name: name
    for name in ("ArrayLike", "CouplingValues", "FloatArray", "FormFactor", "NuclearKernel", "ElectronKernel", "Source")
}
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = f"cevnslab {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
