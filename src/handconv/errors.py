"""What can go wrong, as a small tree.

    HandconvError
    ├── DataError            (also ValueError)       a file or an array does not hold what it should
    ├── SourceError          (also OSError)          no source could deliver a data set
    ├── ModelFileError       (also ValueError)       a saved model or checkpoint cannot be used
    ├── DivergenceError      (also ArithmeticError)  the loss or a gradient became infinite or not a number
    ├── TrainingInterrupted                          Ctrl-C or SIGTERM ended a run, after a checkpoint
    ├── WorkerError          (also RuntimeError)     a worker process ended before its work was done
    └── MissingExtraError    (also ImportError)      an optional library is not installed

A wrong argument is a plain ``ValueError`` or ``TypeError``. Every message gives the rule, what was received, and
what to do.
"""


class HandconvError(Exception):
    """The parent of every error that only this package raises."""


class DataError(HandconvError, ValueError):
    """A data file or an array of samples does not hold what it should."""


class SourceError(HandconvError, OSError):
    """No source could deliver a data set; the message has one line for each source that was tried."""


class ModelFileError(HandconvError, ValueError):
    """A file is no saved model or checkpoint, is damaged, or does not fit the model."""


class DivergenceError(HandconvError, ArithmeticError):
    """Training left the finite numbers; the message names the epoch, the step and the layer."""


class TrainingInterrupted(HandconvError):
    """A signal ended the run; it is saved and can go on.

    Args:
        message: what happened, and what to do.
        signal: the signal's number.
        path: the checkpoint.
    """

    def __init__(self, message: str, signal: int, path: str) -> None:
        super().__init__(message)
        self.signal, self.path = signal, path


class WorkerError(HandconvError, RuntimeError):
    """A worker process ended before its work was done."""


class MissingExtraError(HandconvError, ImportError):
    """A library that only one feature needs is not installed; the message has the command that installs it."""
