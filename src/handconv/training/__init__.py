"""Training: the loop over epochs, batches and shards, what watches it, and its history."""

from handconv.training.callbacks import Callback as Callback
from handconv.training.callbacks import PrintProgress as PrintProgress
from handconv.training.callbacks import Progress as Progress
from handconv.training.checkpoint import Checkpoint as Checkpoint
from handconv.training.history import History as History

__all__ = ["Callback", "Checkpoint", "History", "PrintProgress", "Progress"]
