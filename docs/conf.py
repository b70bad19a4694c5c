"""How Sphinx builds the site: `python3 -m nox -s docs`. Nothing here needs a network, when building or when reading."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import trio_h2  # noqa: E402

project = "trio_h2"
author = "the trio_h2 contributors"
copyright = author
version = release = trio_h2.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinxcontrib_trio", "docs._ext.reference"]
exclude_patterns = ["_build", "code"]
templates_path: list[str] = []

# -- pages in Markdown -------------------------------------------------------------------------------------------------

# `attrs_inline`: `name`{.plain} is code that names nothing of ours, though it looks so.
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 3
# Titles of the benchmark results repeat for each machine; nobody links to them.
suppress_warnings = ["myst.xref_ambiguous"]

# -- the reference, from the docstrings --------------------------------------------------------------------------------

# `sphinxcontrib_trio` extends the documenter classes, which Sphinx 9 uses only on demand.
autodoc_use_legacy_class_based = True
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"
# Single backticks in docstrings are code; `docs/_ext/reference.py` makes links of those that name something of ours.
default_role = "code"
nitpicky = True

# -- how it looks ------------------------------------------------------------------------------------------------------

html_theme = "furo"
html_title = "trio_h2"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
