"""A training step in numbers: the step, the path of one signal through it, what is told of each layer, how it looks."""

from handconv.analysis.explain.explanation import Explanation as Explanation
from handconv.analysis.explain.explanation import Line as Line
from handconv.analysis.explain.explanation import Matrices as Matrices
from handconv.analysis.explain.explanation import Matrix as Matrix
from handconv.analysis.explain.explanation import Section as Section
from handconv.analysis.explain.explanation import Table as Table
from handconv.analysis.explain.sections import explain as explain
from handconv.analysis.explain.sections import toy as toy

__all__ = ["Explanation", "Line", "Matrices", "Matrix", "Section", "Table", "explain", "toy"]
