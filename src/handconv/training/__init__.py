"""Training: the loop over epochs, batches and shards, what watches it, and its history."""

from handconv.training.averaging import ExponentialAverage as ExponentialAverage
from handconv.training.averaging import StochasticAverage as StochasticAverage
from handconv.training.averaging import WeightAverage as WeightAverage
from handconv.training.callbacks import Callback as Callback
from handconv.training.callbacks import CSVLogger as CSVLogger
from handconv.training.callbacks import EarlyStopping as EarlyStopping
from handconv.training.callbacks import Progress as Progress
from handconv.training.callbacks import ReduceOnPlateau as ReduceOnPlateau
from handconv.training.checkpoint import Checkpoint as Checkpoint
from handconv.training.history import History as History
from handconv.training.progress import PrintProgress as PrintProgress

__all__ = [
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "ExponentialAverage",
    "History",
    "PrintProgress",
    "Progress",
    "ReduceOnPlateau",
    "StochasticAverage",
    "WeightAverage",
]
