"""Settings of Sphinx for the site; ``build.py`` puts its pages together and calls it. Leaves out: the pages."""

from mien import __version__

project, author, version = "mien", "The mien authors", __version__
project_copyright = author
html_title = f"mien {__version__}"
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
smartquotes = False  # two hyphens are a flag's
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["mien.css"]
html_show_sourcelink = html_copy_source = html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#2a5db0", "color-brand-content": "#2a5db0"},
    "dark_css_variables": {"color-brand-primary": "#8ab4f8", "color-brand-content": "#8ab4f8"},
}
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"
