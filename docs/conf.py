"""Sphinx configuration: MyST pages, and a reference made from the docstrings.

Build with ``pip install ".[docs]" && sphinx-build docs docs/_build``.
"""

import hybridwater

project = "hybridwater"
author = "The hybridwater developers"
copyright = "the hybridwater developers"
version = release = hybridwater.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
# Packages document the names in their __all__, wherever these were written.
autosummary_ignore_module_all = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc sections state types, shapes and units
numpydoc_show_class_members = False

html_theme = "furo"
html_title = f"hybridwater {release}"
html_theme_options = {"light_css_variables": {"sidebar-item-font-size": "85%"}}


def _skip_borrowed(app, what, name, member, skip, options):
    """Leave out what a module only passes on from another package, such as SymPy's functions."""
    module = getattr(member, "__module__", None) or ""
    borrowed = what == "module" and module and module.partition(".")[0] != "hybridwater"
    return True if borrowed else None


def setup(app):
    """Connect the handler above."""
    app.connect("autodoc-skip-member", _skip_borrowed)
