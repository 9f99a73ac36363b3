"""How ``make docs`` builds the site: Sphinx reads Markdown and the docstrings; nothing is fetched, then or in the browser."""

from __future__ import annotations

from typing import Any

project = "Convarium"
author = "The Convarium authors"
copyright = author
html_title = "Convarium"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # they stand in the signature's docstring, in words
autodoc_preserve_defaults = True
napoleon_custom_sections = [("Shape", "returns_style"), "Source"]
add_module_names = False
python_maximum_signature_line_length = 88

highlight_language = "text"  # of blocks that do not say; those with >>> are Python

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["look.html"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": []}


def _formula(block: bool) -> Any:
    def visit(translator: Any, node: Any) -> None:
        from docutils import nodes
        from docutils.utils.math.latex2mathml import tex2mathml

        markup = tex2mathml(node.astext().replace("\\dots", "\\ldots"), as_block=block)
        translator.body.append(f'<div class="formula">{markup}</div>' if block else markup)
        raise nodes.SkipNode

    return visit


def setup(app: Any) -> None:
    """Formulas become MathML, which browsers draw by themselves."""
    app.add_html_math_renderer("mathml", (_formula(False), None), (_formula(True), None))
    app.config.html_math_renderer = "mathml"
