"""Models in forms that others can use: a page to draw on."""

from handconv.export.html import export_html as export_html

__all__ = ["export_html"]
