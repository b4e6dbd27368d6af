"""Looking into a model: what it answers and how sure it is, and how good it is on which classes."""

from handconv.inspect.answers import Answer as Answer
from handconv.inspect.answers import answer as answer
from handconv.inspect.answers import probabilities as probabilities
from handconv.inspect.report import ClassReport as ClassReport
from handconv.inspect.report import Mistake as Mistake
from handconv.inspect.report import Report as Report
from handconv.inspect.report import report as report

__all__ = ["Answer", "ClassReport", "Mistake", "Report", "answer", "probabilities", "report"]
