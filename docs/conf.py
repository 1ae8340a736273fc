"""The documentation site: ``make docs`` builds it to build/docs, to be read without a network."""

import os
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
# For the notebook: the commands of the environment that builds.
os.environ["PATH"] = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"

project = "astra"
author = "The astra-distances developers"
copyright = author
version = release = metadata.version("astra-distances")

extensions = [
    # Pages in Markdown, and notebooks, which are executed.
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    # Of our own, in _ext/: the reference is made from the code, and formulas need no script.
    "astra_reference",
    "mathml",
]
exclude_patterns = ["airflow"]
nitpicky = True
# Types of other packages: their documentation is on the network, and this site is read without one.
nitpick_ignore_regex = [("py:.*", r".*")]

# As a reader would: in an empty folder, and an error ends the build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
# A page reads the same on the forge: its anchors are those of its headings.
myst_heading_anchors = 4
# "--option" is no dash.
smartquotes = False
# In docstrings, `text` is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False
python_use_unqualified_type_names = True

highlight_language = "none"

html_theme = "furo"
html_title = f"astra {release}"
html_static_path = ["_static"]
html_css_files = ["astra.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    # Fonts and icons come with the reader's machine: nothing is loaded from elsewhere.
    "footer_icons": [],
    "top_of_page_buttons": [],
}
pygments_style = "friendly"
pygments_dark_style = "monokai"
copybutton_exclude = ".linenos, .gp"
