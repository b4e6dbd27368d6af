"""Looking into a model: its answers, how good it is, what is wrong with it, where its time goes, and its gradients."""

from handconv.analysis._gradient_report import GradientEntry as GradientEntry
from handconv.analysis._gradient_report import GradientReport as GradientReport
from handconv.analysis._gradient_report import GradientRow as GradientRow
from handconv.analysis._profile_report import Profile as Profile
from handconv.analysis._profile_report import ProfileRow as ProfileRow
from handconv.analysis.doctor import Diagnosis as Diagnosis
from handconv.analysis.doctor import Finding as Finding
from handconv.analysis.doctor import doctor as doctor
from handconv.analysis.doctor import findings as findings
from handconv.analysis.gradcheck import gradcheck as gradcheck
from handconv.analysis.predictions import Answer as Answer
from handconv.analysis.predictions import answer as answer
from handconv.analysis.predictions import probabilities as probabilities
from handconv.analysis.profile import profile_step as profile_step
from handconv.analysis.report import ClassReport as ClassReport
from handconv.analysis.report import Mistake as Mistake
from handconv.analysis.report import Report as Report
from handconv.analysis.report import report as report

__all__ = [
    "Answer",
    "ClassReport",
    "Diagnosis",
    "Finding",
    "GradientEntry",
    "GradientReport",
    "GradientRow",
    "Mistake",
    "Profile",
    "ProfileRow",
    "Report",
    "answer",
    "doctor",
    "findings",
    "gradcheck",
    "probabilities",
    "profile_step",
    "report",
]
