"""The layers, one family a file, each with its forward and backward pass side by side."""

from handconv.layers.activations import ELU as ELU
from handconv.layers.activations import GELU as GELU
from handconv.layers.activations import LeakyReLU as LeakyReLU
from handconv.layers.activations import ReLU as ReLU
from handconv.layers.activations import Sigmoid as Sigmoid
from handconv.layers.activations import SiLU as SiLU
from handconv.layers.activations import Softmax as Softmax
from handconv.layers.activations import Softplus as Softplus
from handconv.layers.activations import Tanh as Tanh
from handconv.layers.base import Layer as Layer
from handconv.layers.conv import Conv2D as Conv2D
from handconv.layers.dense import Dense as Dense
from handconv.layers.dropout import Dropout as Dropout
from handconv.layers.dropout import SpatialDropout2D as SpatialDropout2D
from handconv.layers.norm import BatchNorm as BatchNorm
from handconv.layers.norm import GroupNorm as GroupNorm
from handconv.layers.norm import LayerNorm as LayerNorm
from handconv.layers.parameters import ParameterSpec as ParameterSpec
from handconv.layers.pooling import AveragePool2D as AveragePool2D
from handconv.layers.pooling import GlobalAveragePool2D as GlobalAveragePool2D
from handconv.layers.pooling import MaxPool2D as MaxPool2D
from handconv.layers.reshape import Flatten as Flatten
from handconv.layers.reshape import Reshape as Reshape
from handconv.layers.reshape import ZeroPad2D as ZeroPad2D
from handconv.layers.residual import Residual as Residual

__all__ = [
    "ELU",
    "GELU",
    "AveragePool2D",
    "BatchNorm",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAveragePool2D",
    "GroupNorm",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "MaxPool2D",
    "ParameterSpec",
    "ReLU",
    "Reshape",
    "Residual",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "SpatialDropout2D",
    "Tanh",
    "ZeroPad2D",
]
