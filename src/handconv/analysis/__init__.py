"""Looking into a model: its answers, how good it is, what is wrong with it, how it learns, where its time goes."""

from handconv.analysis.doctor import Diagnosis as Diagnosis
from handconv.analysis.doctor import Finding as Finding
from handconv.analysis.doctor import doctor as doctor
from handconv.analysis.doctor import findings as findings
from handconv.analysis.explain import Explanation as Explanation
from handconv.analysis.explain import Line as Line
from handconv.analysis.explain import Matrices as Matrices
from handconv.analysis.explain import Matrix as Matrix
from handconv.analysis.explain import Section as Section
from handconv.analysis.explain import Table as Table
from handconv.analysis.explain import explain as explain
from handconv.analysis.explain import toy as toy
from handconv.analysis.gradcheck import GradientEntry as GradientEntry
from handconv.analysis.gradcheck import GradientReport as GradientReport
from handconv.analysis.gradcheck import GradientRow as GradientRow
from handconv.analysis.gradcheck import gradcheck as gradcheck
from handconv.analysis.learning_rate import RangeTest as RangeTest
from handconv.analysis.learning_rate import find_learning_rate as find_learning_rate
from handconv.analysis.predictions import Answer as Answer
from handconv.analysis.predictions import answer as answer
from handconv.analysis.profile import Profile as Profile
from handconv.analysis.profile import ProfileRow as ProfileRow
from handconv.analysis.profile import profile_step as profile_step
from handconv.analysis.report import ClassReport as ClassReport
from handconv.analysis.report import Mistake as Mistake
from handconv.analysis.report import Report as Report
from handconv.analysis.report import report as report
from handconv.ensemble import probabilities as probabilities

__all__ = [
    "Answer",
    "ClassReport",
    "Diagnosis",
    "Explanation",
    "Finding",
    "GradientEntry",
    "GradientReport",
    "GradientRow",
    "Line",
    "Matrices",
    "Matrix",
    "Mistake",
    "Profile",
    "ProfileRow",
    "RangeTest",
    "Report",
    "Section",
    "Table",
    "answer",
    "doctor",
    "explain",
    "find_learning_rate",
    "findings",
    "gradcheck",
    "probabilities",
    "profile_step",
    "report",
    "toy",
]
