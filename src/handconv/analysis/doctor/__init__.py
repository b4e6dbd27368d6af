"""The doctor: what is wrong with a model, its data or its training, with its evidence and its remedy."""

from handconv.analysis.doctor.examine import doctor as doctor
from handconv.analysis.doctor.examine import findings as findings
from handconv.analysis.doctor.finding import Diagnosis as Diagnosis
from handconv.analysis.doctor.finding import Finding as Finding

__all__ = ["Diagnosis", "Finding", "doctor", "findings"]
