"""The names of the book *Neural Networks from Scratch in Python*, over this framework.

Layers, losses and optimizers with the signatures and attributes that Harrison Kinsley and Daniel Kukieła gave them
(2020, nnfs.io), to be called by hand, one after the other:

    dense.forward(inputs, training)  ->  dense.output         optimizer.pre_update_params()
    dense.backward(dvalues)          ->  dense.dinputs        optimizer.update_params(dense)    each layer with weights
                                         dense.dweights       optimizer.post_update_params()
                                         dense.dbiases

``Model`` calls them in this order, for as many epochs as one likes. Each hands its work to the class of the framework
that has the mathematics, where there is one. As in the book, ``dweights`` and ``dbiases`` include the gradient of the
penalties (2·λ·w for L2), and ``np.random.seed`` seeds everything: the same seed gives ``Layer_Dense`` the book's own
initial weights. Numbers are float32, as with ``nnfs.init()``. The script ``examples/by_hand.py`` trains the reference
network with them.
"""

from handconv.layers import Flatten as Flatten
from handconv.layers import MaxPool2D as MaxPool2D
from handconv.nnfs._accuracy import Accuracy as Accuracy
from handconv.nnfs._accuracy import Accuracy_Categorical as Accuracy_Categorical
from handconv.nnfs._accuracy import Accuracy_Regression as Accuracy_Regression
from handconv.nnfs._activations import Activation_LeakyReLU as Activation_LeakyReLU
from handconv.nnfs._activations import Activation_Linear as Activation_Linear
from handconv.nnfs._activations import Activation_ReLU as Activation_ReLU
from handconv.nnfs._activations import Activation_Sigmoid as Activation_Sigmoid
from handconv.nnfs._activations import Activation_Softmax as Activation_Softmax
from handconv.nnfs._layers import Conv2D as Conv2D
from handconv.nnfs._layers import Layer_Dense as Layer_Dense
from handconv.nnfs._layers import Layer_Dropout as Layer_Dropout
from handconv.nnfs._layers import Layer_Input as Layer_Input
from handconv.nnfs._losses import (
    Activation_Softmax_Loss_CategoricalCrossentropy as Activation_Softmax_Loss_CategoricalCrossentropy,
)
from handconv.nnfs._losses import Loss as Loss
from handconv.nnfs._losses import Loss_BinaryCrossentropy as Loss_BinaryCrossentropy
from handconv.nnfs._losses import Loss_CategoricalCrossentropy as Loss_CategoricalCrossentropy
from handconv.nnfs._losses import Loss_MeanAbsoluteError as Loss_MeanAbsoluteError
from handconv.nnfs._losses import Loss_MeanSquaredError as Loss_MeanSquaredError
from handconv.nnfs._model import Model as Model
from handconv.nnfs._optimizers import Optimizer_Adagrad as Optimizer_Adagrad
from handconv.nnfs._optimizers import Optimizer_Adam as Optimizer_Adam
from handconv.nnfs._optimizers import Optimizer_RMSprop as Optimizer_RMSprop
from handconv.nnfs._optimizers import Optimizer_SGD as Optimizer_SGD

__all__ = [
    "Accuracy",
    "Accuracy_Categorical",
    "Accuracy_Regression",
    "Activation_LeakyReLU",
    "Activation_Linear",
    "Activation_ReLU",
    "Activation_Sigmoid",
    "Activation_Softmax",
    "Activation_Softmax_Loss_CategoricalCrossentropy",
    "Conv2D",
    "Flatten",
    "Layer_Dense",
    "Layer_Dropout",
    "Layer_Input",
    "Loss",
    "Loss_BinaryCrossentropy",
    "Loss_CategoricalCrossentropy",
    "Loss_MeanAbsoluteError",
    "Loss_MeanSquaredError",
    "MaxPool2D",
    "Model",
    "Optimizer_Adagrad",
    "Optimizer_Adam",
    "Optimizer_RMSprop",
    "Optimizer_SGD",
]
