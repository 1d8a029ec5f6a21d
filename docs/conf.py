"""Sphinx settings; nothing is fetched from a network."""

project = "fMRI-LM"
author = "The fMRI-LM developers"
copyright = "the fMRI-LM developers"  # noqa: A001 - the name that Sphinx reads

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True
myst_heading_anchors = 3

html_theme = "alabaster"
html_theme_options = {
    "description": "From resting-state scans to answers in words",
    "fixed_sidebar": True,
    "page_width": "1080px",
    "sidebar_width": "230px",
}
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_show_sphinx = False
html_show_sourcelink = False
