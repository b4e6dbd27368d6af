"""The residual networks of ``handconv.zoo`` in PyTorch."""

from itertools import pairwise
from typing import Any

from benchmarks.rivals.protocol import ResidualNetwork


def residual_network(net: ResidualNetwork) -> Any:
    """The layers of a network of the zoo."""
    from torch import nn

    class Residual(nn.Module):  # type: ignore[misc]
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Any) -> Any:
            return x + self.inner(x)

    def convolution(before: int, after: int) -> Any:
        return nn.Conv2d(before, after, 3, padding=1, bias=False)

    stem = net.stages[0] // 2
    layers: list[Any] = [convolution(net.shape[0], stem), nn.BatchNorm2d(stem), nn.ReLU(inplace=True)]
    for before, after in pairwise((stem, *net.stages)):
        inner = [convolution(after, after), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        inner += [convolution(after, after), nn.BatchNorm2d(after)]
        layers += [convolution(before, after), nn.MaxPool2d(2), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
        layers += [Residual(nn.Sequential(*inner)), nn.ReLU(inplace=True)]
    last = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(net.stages[-1], net.classes)]
    return nn.Sequential(*layers, *last)
