"""handconv: convolutional neural networks written out by hand in NumPy.

>>> import handconv as hc
>>> model = hc.Sequential(
...     [hc.Conv2D(8, 3), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Flatten(), hc.Dense(10), hc.Softmax()],
...     input_shape=(1, 28, 28), seed=0,
... )
>>> model.parameters.size
13610
"""

import importlib
from typing import TYPE_CHECKING, Any

from handconv.utils import interrupt as _interrupt  # noqa: F401 - watches while the others are imported

# isort: split
from handconv import initializers as initializers
from handconv import losses as losses
from handconv import metrics as metrics
from handconv import optimizers as optimizers
from handconv.errors import DataError as DataError
from handconv.errors import DivergenceError as DivergenceError
from handconv.errors import HandconvError as HandconvError
from handconv.errors import MissingExtraError as MissingExtraError
from handconv.errors import ModelFileError as ModelFileError
from handconv.errors import SourceError as SourceError
from handconv.errors import TrainingInterrupted as TrainingInterrupted
from handconv.errors import WorkerError as WorkerError
from handconv.layers import ELU as ELU
from handconv.layers import GELU as GELU
from handconv.layers import AveragePool2D as AveragePool2D
from handconv.layers import BatchNorm as BatchNorm
from handconv.layers import Conv2D as Conv2D
from handconv.layers import Dense as Dense
from handconv.layers import Dropout as Dropout
from handconv.layers import Flatten as Flatten
from handconv.layers import GlobalAveragePool2D as GlobalAveragePool2D
from handconv.layers import GroupNorm as GroupNorm
from handconv.layers import Layer as Layer
from handconv.layers import LayerNorm as LayerNorm
from handconv.layers import LeakyReLU as LeakyReLU
from handconv.layers import MaxPool2D as MaxPool2D
from handconv.layers import ParameterSpec as ParameterSpec
from handconv.layers import ReLU as ReLU
from handconv.layers import Reshape as Reshape
from handconv.layers import Residual as Residual
from handconv.layers import Sigmoid as Sigmoid
from handconv.layers import SiLU as SiLU
from handconv.layers import Softmax as Softmax
from handconv.layers import Softplus as Softplus
from handconv.layers import SpatialDropout2D as SpatialDropout2D
from handconv.layers import Tanh as Tanh
from handconv.layers import ZeroPad2D as ZeroPad2D
from handconv.losses import BinaryCrossentropy as BinaryCrossentropy
from handconv.losses import CategoricalCrossentropy as CategoricalCrossentropy
from handconv.losses import Loss as Loss
from handconv.losses import MeanSquaredError as MeanSquaredError
from handconv.losses import SigmoidBinaryCrossentropy as SigmoidBinaryCrossentropy
from handconv.losses import SoftmaxCategoricalCrossentropy as SoftmaxCategoricalCrossentropy
from handconv.optimizers import SGD as SGD
from handconv.optimizers import Adagrad as Adagrad
from handconv.optimizers import Adam as Adam
from handconv.optimizers import AdamW as AdamW
from handconv.optimizers import Lion as Lion
from handconv.optimizers import Optimizer as Optimizer
from handconv.optimizers import RMSprop as RMSprop
from handconv.optimizers import schedules as schedules
from handconv.sequential import Sequential as Sequential
from handconv.sequential import load as load

if TYPE_CHECKING:
    from handconv import analysis as analysis
    from handconv import augment as augment
    from handconv import datasets as datasets
    from handconv import export as export
    from handconv import nnfs as nnfs
    from handconv import plots as plots
    from handconv import reading as reading
    from handconv import recipes as recipes
    from handconv import training as training
    from handconv import zoo as zoo
    from handconv.analysis.doctor import doctor as doctor
    from handconv.analysis.explain import explain as explain
    from handconv.analysis.gradcheck import gradcheck as gradcheck
    from handconv.analysis.learning_rate import find_learning_rate as find_learning_rate
    from handconv.ensemble import Ensemble as Ensemble
    from handconv.export import export_html as export_html
    from handconv.reading import read_digit as read_digit
    from handconv.training import Callback as Callback
    from handconv.training import Checkpoint as Checkpoint
    from handconv.training import CSVLogger as CSVLogger
    from handconv.training import EarlyStopping as EarlyStopping
    from handconv.training import ExponentialAverage as ExponentialAverage
    from handconv.training import History as History
    from handconv.training import PrintProgress as PrintProgress
    from handconv.training import ReduceOnPlateau as ReduceOnPlateau
    from handconv.training import StochasticAverage as StochasticAverage

__version__ = "0.1.0"

#: What is imported when it is first used, so that ``import handconv`` takes little longer than ``import numpy``.
_LATER = {
    "Ensemble": "handconv.ensemble",
    "doctor": "handconv.analysis.doctor",
    "export_html": "handconv.export",
    "explain": "handconv.analysis",
    "find_learning_rate": "handconv.analysis",
    "gradcheck": "handconv.analysis",
    "read_digit": "handconv.reading",
    **{
        name: f"handconv.{name}"
        for name in (
            "analysis",
            "augment",
            "datasets",
            "export",
            "nnfs",
            "plots",
            "reading",
            "recipes",
            "training",
            "zoo",
        )
    },
    **dict.fromkeys(
        (
            "CSVLogger",
            "Callback",
            "Checkpoint",
            "EarlyStopping",
            "ExponentialAverage",
            "History",
            "PrintProgress",
            "ReduceOnPlateau",
            "StochasticAverage",
        ),
        "handconv.training",
    ),
}

#: What other packages call differently; where names are alike, the nearest one is guessed.
_ELSEWHERE = {
    "Activation": "a layer of its own, ReLU() say",
    "AvgPool2d": "AveragePool2D",
    "BatchNorm2d": "BatchNorm",
    "BatchNormalization": "BatchNorm",
    "CrossEntropyLoss": "SoftmaxCategoricalCrossentropy",
    "Dropout2d": "SpatialDropout2D",
    "GroupNormalization": "GroupNorm",
    "Input": "Sequential(…, input_shape=…)",
    "LayerNormalization": "LayerNorm",
    "Linear": "Dense",
    "MSELoss": "MeanSquaredError",
    "Model": "Sequential",
    "ModelCheckpoint": "Checkpoint",
    "ReduceLROnPlateau": "ReduceOnPlateau",
    "SparseCategoricalCrossentropy": "CategoricalCrossentropy",
    "Swish": "SiLU",
    "load_model": "load",
}

__all__ = [
    "ELU",
    "GELU",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "AveragePool2D",
    "BatchNorm",
    "BinaryCrossentropy",
    "CSVLogger",
    "Callback",
    "CategoricalCrossentropy",
    "Checkpoint",
    "Conv2D",
    "DataError",
    "Dense",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "Ensemble",
    "ExponentialAverage",
    "Flatten",
    "GlobalAveragePool2D",
    "GroupNorm",
    "HandconvError",
    "History",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Lion",
    "Loss",
    "MaxPool2D",
    "MeanSquaredError",
    "MissingExtraError",
    "ModelFileError",
    "Optimizer",
    "ParameterSpec",
    "PrintProgress",
    "RMSprop",
    "ReLU",
    "ReduceOnPlateau",
    "Reshape",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SigmoidBinaryCrossentropy",
    "Softmax",
    "SoftmaxCategoricalCrossentropy",
    "Softplus",
    "SourceError",
    "SpatialDropout2D",
    "StochasticAverage",
    "Tanh",
    "TrainingInterrupted",
    "WorkerError",
    "ZeroPad2D",
    "analysis",
    "augment",
    "datasets",
    "doctor",
    "explain",
    "export",
    "export_html",
    "find_learning_rate",
    "gradcheck",
    "initializers",
    "load",
    "losses",
    "metrics",
    "nnfs",
    "optimizers",
    "plots",
    "read_digit",
    "reading",
    "recipes",
    "schedules",
    "training",
    "zoo",
]


def __getattr__(name: str) -> Any:
    """Import what is imported late (PEP 562)."""
    if name not in _LATER:
        raise AttributeError(f"module 'handconv' has no attribute {name!r}.{_remedy(name)}")
    module = importlib.import_module(_LATER[name])
    value = globals()[name] = getattr(module, name, module)
    return value


def _remedy(name: str) -> str:
    """Name what is meant by a name that other packages have."""
    from handconv.utils.nearest import nearest

    if name.startswith("_"):
        return ""
    if name in _ELSEWHERE:
        return f" Here it is {_ELSEWHERE[name]}."
    return nearest(name, __all__, "dir(handconv) lists all.")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
