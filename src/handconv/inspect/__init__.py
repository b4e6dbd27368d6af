"""Looking into a model: its answers, how good it is, where its time goes, and whether its gradients are right."""

from handconv.inspect._gradient_report import GradientEntry as GradientEntry
from handconv.inspect._gradient_report import GradientReport as GradientReport
from handconv.inspect._gradient_report import GradientRow as GradientRow
from handconv.inspect._profile_report import Profile as Profile
from handconv.inspect._profile_report import ProfileRow as ProfileRow
from handconv.inspect.answers import Answer as Answer
from handconv.inspect.answers import answer as answer
from handconv.inspect.answers import probabilities as probabilities
from handconv.inspect.gradcheck import gradcheck as gradcheck
from handconv.inspect.profile import profile_step as profile_step
from handconv.inspect.report import ClassReport as ClassReport
from handconv.inspect.report import Mistake as Mistake
from handconv.inspect.report import Report as Report
from handconv.inspect.report import report as report

__all__ = [
    "Answer",
    "ClassReport",
    "GradientEntry",
    "GradientReport",
    "GradientRow",
    "Mistake",
    "Profile",
    "ProfileRow",
    "Report",
    "answer",
    "gradcheck",
    "probabilities",
    "profile_step",
    "report",
]
