"""The oracles tested against central differences, and against PyTorch where it is."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import oracles
from oracles import Array, Padding, Pair

GEOMETRIES: list[tuple[Pair, Pair, Pair, Padding]] = [
    ((5, 4), (3, 2), (1, 1), ((0, 0), (0, 0))),
    ((5, 5), (2, 2), (2, 2), ((0, 0), (0, 0))),  # a row and a column left over
    ((4, 5), (2, 3), (1, 2), ((1, 0), (0, 1))),
    ((3, 6), (3, 2), (2, 3), ((1, 1), (1, 1))),  # stride 3 beyond the window's 2 columns
    ((1, 1), (1, 1), (1, 1), ((0, 0), (0, 0))),
]


def against_differences(analytic: Array, function: Any, x: Array) -> None:
    """Central differences of sum(function(x) · dy) must be the backward pass of dy."""
    np.testing.assert_allclose(analytic, oracles.numerical_gradient(function, x), rtol=1e-7, atol=1e-8)


class TestAgainstCentralDifferences:
    @pytest.mark.parametrize(("size", "window", "stride", "padding"), GEOMETRIES)
    def test_convolution(
        self, rng: np.random.Generator, size: Pair, window: Pair, stride: Pair, padding: Padding
    ) -> None:
        x, weights, biases = rng.normal(size=(2, 2, *size)), rng.normal(size=(2, 2, *window)), rng.normal(size=2)
        dy = rng.normal(size=(2, 2, *oracles.output_size(size, window, stride, padding)))

        def loss(x: Array, weights: Array, biases: Array) -> float:
            return float(np.sum(oracles.conv2d_forward(x, weights, biases, stride, padding) * dy))

        dx, dweights, dbiases = oracles.conv2d_backward(x, weights, dy, stride, padding)
        against_differences(dx, lambda x: loss(x, weights, biases), x)
        against_differences(dweights, lambda weights: loss(x, weights, biases), weights)
        against_differences(dbiases, lambda biases: loss(x, weights, biases), biases)

    @pytest.mark.parametrize(("size", "window", "stride", "padding"), GEOMETRIES)
    def test_pooling(self, rng: np.random.Generator, size: Pair, window: Pair, stride: Pair, padding: Padding) -> None:
        x = rng.normal(size=(2, 2, *size))
        dy = rng.normal(size=(2, 2, *oracles.output_size(size, window, stride, padding)))
        how = (window, stride, padding)
        against_differences(
            oracles.max_pool_backward(x, dy, *how), lambda x: np.sum(oracles.max_pool_forward(x, *how) * dy), x
        )
        for include in (True, False):
            against_differences(
                oracles.average_pool_backward(x.shape, dy, *how, count_include_pad=include),
                lambda x, include=include: np.sum(
                    oracles.average_pool_forward(x, *how, count_include_pad=include) * dy
                ),
                x,
            )

    def test_global_average(self, rng: np.random.Generator) -> None:
        x, dy = rng.normal(size=(2, 3, 4, 2)), rng.normal(size=(2, 3))
        dx = oracles.global_average_pool_backward(x.shape, dy)
        against_differences(dx, lambda x: np.sum(oracles.global_average_pool_forward(x) * dy), x)

    def test_dense(self, rng: np.random.Generator) -> None:
        x, weights, biases, dy = (rng.normal(size=shape) for shape in ((3, 4), (4, 2), (2,), (3, 2)))
        dx, dweights, dbiases = oracles.dense_backward(x, weights, dy)
        against_differences(dx, lambda x: np.sum(oracles.dense_forward(x, weights, biases) * dy), x)
        against_differences(dweights, lambda weights: np.sum(oracles.dense_forward(x, weights, biases) * dy), weights)
        against_differences(dbiases, lambda biases: np.sum(oracles.dense_forward(x, weights, biases) * dy), biases)

    @pytest.mark.parametrize("name", ["relu", "leaky_relu", "sigmoid", "tanh", "softmax"])
    def test_activation(self, rng: np.random.Generator, name: str) -> None:
        forward, backward = getattr(oracles, f"{name}_forward"), getattr(oracles, f"{name}_backward")
        x, dy = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
        against_differences(backward(x, dy), lambda x: np.sum(forward(x) * dy), x)

    def test_dropout(self, rng: np.random.Generator) -> None:
        x, dy, kept = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.random((3, 4)) > 0.3
        dx = oracles.dropout(dy, kept, 0.3)
        against_differences(dx, lambda x: np.sum(oracles.dropout(x, kept, 0.3) * dy), x)

    def test_penalty(self, rng: np.random.Generator) -> None:
        weights = rng.normal(size=(3, 4))
        against_differences(
            oracles.penalty_gradient(weights, 0.3, 0.7), lambda weights: oracles.penalty(weights, 0.3, 0.7), weights
        )

    def test_batch_norm(self, rng: np.random.Generator) -> None:
        x, dy = rng.normal(size=(3, 2, 2, 2)), rng.normal(size=(3, 2, 2, 2))
        gamma, beta = rng.normal(size=2), rng.normal(size=2)

        def loss(x: Array, gamma: Array, beta: Array) -> float:
            return float(np.sum(oracles.batch_norm_forward(x, gamma, beta)[0] * dy))

        dx, dgamma, dbeta = oracles.batch_norm_backward(x, gamma, dy)
        against_differences(dx, lambda x: loss(x, gamma, beta), x)
        against_differences(dgamma, lambda gamma: loss(x, gamma, beta), gamma)
        against_differences(dbeta, lambda beta: loss(x, gamma, beta), beta)

    @pytest.mark.parametrize("sample_weights", [None, [0.5, 2.0, 0.0]])
    @pytest.mark.parametrize(
        "name",
        [
            "softmax_crossentropy",
            "categorical_crossentropy",
            "binary_crossentropy",
            "sigmoid_crossentropy",
            "mean_squared_error",
        ],
    )
    def test_loss(self, rng: np.random.Generator, name: str, sample_weights: list[float] | None) -> None:
        loss = getattr(oracles, name)
        outputs, targets = rng.uniform(0.1, 0.9, (3, 4)), rng.dirichlet(np.ones(4), 3)
        _, gradient = loss(outputs, targets, sample_weights=sample_weights)
        against_differences(gradient, lambda y: loss(y, targets, sample_weights=sample_weights)[0], outputs)

    def test_label_smoothing(self, rng: np.random.Generator) -> None:
        logits, targets = rng.normal(size=(3, 4)), oracles.one_hot([0, 3, 3], 4)
        _, gradient = oracles.softmax_crossentropy(logits, targets, 0.1)
        against_differences(gradient, lambda z: oracles.softmax_crossentropy(z, targets, 0.1)[0], logits)


@pytest.fixture(scope="module")
def torch() -> ModuleType:
    """PyTorch in float64, or a skip."""
    module: ModuleType = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
    return module


def close(mine: Any, theirs: Any) -> None:
    """Equal to the last few bits of float64."""
    np.testing.assert_allclose(mine, theirs.detach().numpy(), rtol=1e-12, atol=1e-12)


class TestAgainstPyTorch:
    @pytest.mark.parametrize("window", [(1, 1), (3, 2), (2, 3)])
    @pytest.mark.parametrize("stride", [(1, 1), (2, 1), (3, 4)])
    @pytest.mark.parametrize("pads", [(0, 0), (1, 0), (2, 1)])
    def test_convolution(
        self, torch: ModuleType, rng: np.random.Generator, window: Pair, stride: Pair, pads: Pair
    ) -> None:
        x, weights, biases = rng.normal(size=(2, 2, 5, 4)), rng.normal(size=(3, 2, *window)), rng.normal(size=3)
        padding = ((pads[0], pads[0]), (pads[1], pads[1]))
        tensors = [torch.tensor(one, requires_grad=True) for one in (x, weights, biases)]
        y = torch.nn.functional.conv2d(*tensors, stride=stride, padding=pads)
        dy = rng.normal(size=y.shape)
        y.backward(torch.tensor(dy))
        close(oracles.conv2d_forward(x, weights, biases, stride, padding), y)
        for mine, tensor in zip(oracles.conv2d_backward(x, weights, dy, stride, padding), tensors, strict=True):
            close(mine, tensor.grad)

    @pytest.mark.parametrize("window", [(2, 2), (3, 2)])
    @pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 1), (4, 5)])
    @pytest.mark.parametrize("pads", [(0, 0), (1, 0), (1, 1)])
    @pytest.mark.parametrize("values", ["normal", "tied"])
    def test_pooling(
        self, torch: ModuleType, rng: np.random.Generator, window: Pair, stride: Pair, pads: Pair, values: str
    ) -> None:
        x = rng.normal(size=(2, 2, 5, 6)) if values == "normal" else rng.integers(-1, 2, (2, 2, 5, 6)).astype(float)
        padding = ((pads[0], pads[0]), (pads[1], pads[1]))
        tensor = torch.tensor(x, requires_grad=True)
        y = torch.nn.functional.max_pool2d(tensor, window, stride, pads)
        dy = rng.normal(size=y.shape)
        y.backward(torch.tensor(dy))
        close(oracles.max_pool_forward(x, window, stride, padding), y)
        close(oracles.max_pool_backward(x, dy, window, stride, padding), tensor.grad)
        for include in (True, False):
            tensor = torch.tensor(x, requires_grad=True)
            y = torch.nn.functional.avg_pool2d(tensor, window, stride, pads, count_include_pad=include)
            y.backward(torch.tensor(dy))
            close(oracles.average_pool_forward(x, window, stride, padding, count_include_pad=include), y)
            mine = oracles.average_pool_backward(x.shape, dy, window, stride, padding, count_include_pad=include)
            close(mine, tensor.grad)

    def test_activations(self, torch: ModuleType, rng: np.random.Generator) -> None:
        x, dy = rng.normal(size=(3, 4)) * 3, rng.normal(size=(3, 4))
        x[0, 0] = 0.0
        functional = torch.nn.functional
        for name, theirs in {
            "relu": functional.relu,
            "leaky_relu": functional.leaky_relu,
            "sigmoid": torch.sigmoid,
            "tanh": torch.tanh,
            "softmax": lambda tensor: torch.softmax(tensor, 1),
        }.items():
            tensor = torch.tensor(x, requires_grad=True)
            y = theirs(tensor)
            y.backward(torch.tensor(dy))
            close(getattr(oracles, f"{name}_forward")(x), y)
            close(getattr(oracles, f"{name}_backward")(x, dy), tensor.grad)

    def test_losses(self, torch: ModuleType, rng: np.random.Generator) -> None:
        functional = torch.nn.functional
        logits, targets = rng.normal(size=(3, 4)), rng.dirichlet(np.ones(4), 3)
        inside = rng.uniform(0.1, 0.9, (3, 4))
        cases: list[tuple[Callable[..., Any], Array, Callable[..., Any]]] = [
            (oracles.softmax_crossentropy, logits, functional.cross_entropy),
            (
                lambda z, t: oracles.softmax_crossentropy(z, t, 0.2),
                logits,
                lambda z, t: functional.cross_entropy(z, t, label_smoothing=0.2),
            ),
            (oracles.binary_crossentropy, inside, functional.binary_cross_entropy),
            (oracles.sigmoid_crossentropy, logits, functional.binary_cross_entropy_with_logits),
            (oracles.mean_squared_error, inside, functional.mse_loss),
        ]
        for mine, outputs, theirs in cases:
            tensor = torch.tensor(outputs, requires_grad=True)
            loss = theirs(tensor, torch.tensor(targets))
            loss.backward()
            value, gradient = mine(outputs, targets)
            close(value, loss)
            close(gradient, tensor.grad)

    def test_optimizers(self, torch: ModuleType, rng: np.random.Generator) -> None:
        start, gradients = rng.normal(size=(2, 3)), [rng.normal(size=(2, 3)) for _ in range(5)]
        cases: list[tuple[Callable[[list[Any]], Any], Array]] = [
            (lambda p: torch.optim.SGD(p, 0.1), oracles.sgd(start, gradients, learning_rate=0.1)),
            (
                lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
                oracles.sgd(start, gradients, learning_rate=0.1, momentum=0.9),
            ),
            (
                lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
                oracles.sgd(start, gradients, learning_rate=0.1, momentum=0.9, nesterov=True),
            ),
            (lambda p: torch.optim.Adam(p, 0.01), oracles.adam(start, gradients, learning_rate=0.01)),
            (
                lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
                oracles.adam(start, gradients, learning_rate=0.01, weight_decay=0.1),
            ),
            (
                lambda p: torch.optim.RMSprop(p, 0.01, 0.8, 1e-7),
                oracles.rmsprop(start, gradients, learning_rate=0.01, rho=0.8),
            ),
            (
                lambda p: torch.optim.RMSprop(p, 0.01, 0.8, 1e-7, momentum=0.9),
                oracles.rmsprop(start, gradients, learning_rate=0.01, rho=0.8, momentum=0.9),
            ),
            (lambda p: torch.optim.Adagrad(p, 0.1, eps=1e-7), oracles.adagrad(start, gradients, learning_rate=0.1)),
        ]
        for optimizer, mine in cases:
            parameter = torch.nn.Parameter(torch.tensor(start))
            stepper = optimizer([parameter])
            for gradient in gradients:
                parameter.grad = torch.tensor(gradient)
                stepper.step()
            close(mine, parameter)

    def test_batch_norm(self, torch: ModuleType, rng: np.random.Generator) -> None:
        x, dy = rng.normal(size=(3, 2, 4, 5)), rng.normal(size=(3, 2, 4, 5))
        gamma, beta = rng.normal(size=2), rng.normal(size=2)
        tensors = [torch.tensor(one, requires_grad=True) for one in (x, gamma, beta)]
        y = torch.nn.functional.batch_norm(tensors[0], None, None, tensors[1], tensors[2], training=True)
        y.backward(torch.tensor(dy))
        close(oracles.batch_norm_forward(x, gamma, beta)[0], y)
        for mine, tensor in zip(oracles.batch_norm_backward(x, gamma, dy), tensors, strict=True):
            close(mine, tensor.grad)
