"""Training: the loop over epochs, batches and shards, what watches it, and its history."""

from handconv.training.callbacks import Callback as Callback
from handconv.training.history import History as History

__all__ = ["Callback", "History"]
