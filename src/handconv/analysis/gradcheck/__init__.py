"""The gradient check: its subjects, central differences of them, and the report of both gradients side by side."""

from handconv.analysis.gradcheck.check import gradcheck as gradcheck
from handconv.analysis.gradcheck.report import GradientEntry as GradientEntry
from handconv.analysis.gradcheck.report import GradientReport as GradientReport
from handconv.analysis.gradcheck.report import GradientRow as GradientRow

__all__ = ["GradientEntry", "GradientReport", "GradientRow", "gradcheck"]
