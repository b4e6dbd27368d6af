"""Looking into a model: what it answers and how sure it is, how good it is on which classes, where its time goes."""

from handconv.inspect.answers import Answer as Answer
from handconv.inspect.answers import answer as answer
from handconv.inspect.answers import probabilities as probabilities
from handconv.inspect.profile import Profile as Profile
from handconv.inspect.profile import ProfileRow as ProfileRow
from handconv.inspect.profile import profile_step as profile_step
from handconv.inspect.report import ClassReport as ClassReport
from handconv.inspect.report import Mistake as Mistake
from handconv.inspect.report import Report as Report
from handconv.inspect.report import report as report

__all__ = [
    "Answer",
    "ClassReport",
    "Mistake",
    "Profile",
    "ProfileRow",
    "Report",
    "answer",
    "probabilities",
    "profile_step",
    "report",
]
