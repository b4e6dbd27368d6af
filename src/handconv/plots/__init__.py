"""Pictures of a training, of a model's answers, and of what is inside it: each gives its matplotlib figure.

None needs a screen: ``figure.savefig("name.png")`` writes it. They need the extra "plot".
"""

from handconv.plots.answers import calibration as calibration
from handconv.plots.answers import classes as classes
from handconv.plots.answers import confusion as confusion
from handconv.plots.answers import mistakes as mistakes
from handconv.plots.inside import attributions as attributions
from handconv.plots.inside import exciting_inputs as exciting_inputs
from handconv.plots.inside import feature_maps as feature_maps
from handconv.plots.inside import filters as filters
from handconv.plots.inside import hidden_map as hidden_map
from handconv.plots.learning import histograms as histograms
from handconv.plots.learning import histograms_over_time as histograms_over_time
from handconv.plots.learning import history as history

__all__ = [
    "attributions",
    "calibration",
    "classes",
    "confusion",
    "exciting_inputs",
    "feature_maps",
    "filters",
    "hidden_map",
    "histograms",
    "histograms_over_time",
    "history",
    "mistakes",
]
