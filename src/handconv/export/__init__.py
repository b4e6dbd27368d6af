"""Models in forms that others can use: a page to draw on, a training step to read."""

from handconv.export.explain_html import explanation_html as explanation_html
from handconv.export.html import export_html as export_html

__all__ = ["explanation_html", "export_html"]
