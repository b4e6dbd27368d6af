"""A training step as most NumPy networks do it: (N, C, H, W) in memory, im2col, one matrix product, col2im."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import handconv as hc
from benchmarks.rivals.protocol import Job

Array = np.ndarray[Any, Any]


def convolve(x: Array, w: Array, b: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array, Array]]]:
    """3x3, stride 1, no padding; the output and its backward pass."""
    windows = sliding_window_view(x, (3, 3), axis=(2, 3))  # (N, C, OH, OW, 3, 3)
    columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, w[0].size)  # (N·OH·OW, C·9)
    samples, filters, height, width = len(x), len(w), *windows.shape[2:4]
    y = (columns @ w.reshape(filters, -1).T + b).reshape(samples, height, width, filters).transpose(0, 3, 1, 2)

    def backward(dy: Array) -> tuple[Array, Array, Array]:
        dz = dy.transpose(0, 2, 3, 1).reshape(-1, filters)
        parts = (dz @ w.reshape(filters, -1)).reshape(samples, height, width, x.shape[1], 3, 3)
        dx = np.zeros_like(x)
        for u in range(3):
            for v in range(3):
                dx[:, :, u : u + height, v : v + width] += parts[..., u, v].transpose(0, 3, 1, 2)
        return dx, (dz.T @ columns).reshape(w.shape), dz.sum(axis=0)

    return np.ascontiguousarray(y), backward


def pool(x: Array) -> tuple[Array, Callable[[Array], Array]]:
    """The maximum of 2x2 windows; the output and its backward pass."""
    samples, channels, height, width = x.shape
    rows, columns = height // 2, width // 2
    cut = x[:, :, : rows * 2, : columns * 2].reshape(samples, channels, rows, 2, columns, 2)
    windows = cut.transpose(0, 1, 2, 4, 3, 5).reshape(samples, channels, rows, columns, 4)
    best = windows.argmax(axis=-1)[..., None]

    def backward(dy: Array) -> Array:
        spread = np.zeros_like(windows)
        np.put_along_axis(spread, best, dy[..., None], axis=-1)
        dx = np.zeros_like(x)
        back = spread.reshape(samples, channels, rows, columns, 2, 2).transpose(0, 1, 2, 4, 3, 5)
        dx[:, :, : rows * 2, : columns * 2] = back.reshape(samples, channels, rows * 2, columns * 2)
        return dx

    return np.take_along_axis(windows, best, axis=-1)[..., 0], backward


def step(job: Job) -> Callable[[Array, Array], float]:
    """Forward, backward, Adam, on the reference network's shapes."""
    model, random = hc.zoo.reference(), np.random.default_rng(0)
    p, optimizer, net = list(model.named_parameters().values()), hc.Adam(), job.net
    optimizer.build(model.parameters)
    slope, keep = np.float32(net.slope), np.float32(1 - net.dropout)

    def leaky(x: Array) -> tuple[Array, Array]:
        slopes = np.where(x > 0, np.float32(1), slope)
        return x * slopes, slopes

    def train(x: Array, y: Array) -> float:
        z1, back1 = convolve(x, p[0], p[1])
        a1, slopes1 = leaky(z1)
        b1, unpool1 = pool(a1)
        z2, back2 = convolve(b1, p[2], p[3])
        a2, slopes2 = leaky(z2)
        b2, unpool2 = pool(a2)
        flat = b2.reshape(len(x), -1)
        h, slopes3 = leaky(flat @ p[4] + p[5])
        mask = (random.random(h.shape, np.float32) < keep) / keep
        scores = (h * mask) @ p[6] + p[7]
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        loss = -np.log(chances[np.arange(len(x)), y]).mean()
        chances[np.arange(len(x)), y] -= 1
        d = chances / np.float32(len(x))
        gradients = [(h * mask).T @ d, d.sum(axis=0)]
        d = (d @ p[6].T) * mask * slopes3
        gradients = [flat.T @ d + np.float32(2 * net.l2) * p[4], d.sum(axis=0), *gradients]
        d, dw2, db2 = back2(unpool2((d @ p[4].T).reshape(b2.shape)) * slopes2)
        _, dw1, db1 = back1(unpool1(d) * slopes1)
        gradients = [dw1, db1, dw2, db2, *gradients]
        optimizer.step(model.parameters, np.concatenate([g.ravel() for g in gradients]))
        return float(loss)

    return train
