"""The oracles: every formula of the framework as literal nested loops in float64.

They are slow on purpose, so that a reader can check each against a textbook line by line. They import nothing from
the package, know nothing of memory order, and are themselves tested on cases worked by hand (test_oracles.py). A test
of a fast path says: the same numbers as here.

Letters: n sample, c input channel, f filter, h w input row and column, i j output row and column, u v row and column
inside the window, d feature, k class or output. A stride is (rows, columns), a padding ((top, bottom), (left, right)).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]

NO_PADDING: Padding = ((0, 0), (0, 0))


def array(values: Any) -> Array:
    """A float64 copy in C order, whatever comes in."""
    return np.array(values, dtype=np.float64, order="C")


def output_size(size: Pair, window: Pair, stride: Pair, padding: Padding) -> Pair:
    """The number of window positions down and across: (size + before + after - window) // stride + 1."""
    down, across = ((size[axis] + sum(padding[axis]) - window[axis]) // stride[axis] + 1 for axis in range(2))
    return down, across


def window_cells(
    size: Pair, window: Pair, stride: Pair, padding: Padding
) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Every (i, j, u, v, h, w) where window (i, j) looks with its cell (u, v) at pixel (h, w), not at padding."""
    for i in range(output_size(size, window, stride, padding)[0]):
        for j in range(output_size(size, window, stride, padding)[1]):
            for u in range(window[0]):
                for v in range(window[1]):
                    h = i * stride[0] + u - padding[0][0]
                    w = j * stride[1] + v - padding[1][0]
                    if 0 <= h < size[0] and 0 <= w < size[1]:
                        yield i, j, u, v, h, w


# Convolution (cross-correlation, as the whole field calls it)


def conv2d_forward(
    x: Array, weights: Array, biases: Array, stride: Pair = (1, 1), padding: Padding = NO_PADDING
) -> Array:
    """y[n, f, i, j] = b[f] + sum over c, u, v of weights[f, c, u, v] · x[n, c, h, w]."""
    samples, channels, *size = x.shape
    filters, _, *window = weights.shape
    y = np.zeros((samples, filters, *output_size(tuple(size), tuple(window), stride, padding)))
    for n in range(samples):
        for f in range(filters):
            y[n, f] = biases[f]
            for c in range(channels):
                for i, j, u, v, h, w in window_cells(tuple(size), tuple(window), stride, padding):
                    y[n, f, i, j] += float(weights[f, c, u, v]) * float(x[n, c, h, w])
    return y


def conv2d_backward(
    x: Array, weights: Array, dy: Array, stride: Pair = (1, 1), padding: Padding = NO_PADDING
) -> tuple[Array, Array, Array]:
    """(dx, dweights, dbiases): each product of the forward pass gives its two factors their share of dy."""
    samples, channels, *size = x.shape
    filters, _, *window = weights.shape
    dx, dweights, dbiases = np.zeros(x.shape), np.zeros(weights.shape), np.zeros(filters)
    for n in range(samples):
        for f in range(filters):
            for i in range(dy.shape[2]):
                for j in range(dy.shape[3]):
                    dbiases[f] += dy[n, f, i, j]
            for c in range(channels):
                for i, j, u, v, h, w in window_cells(tuple(size), tuple(window), stride, padding):
                    dx[n, c, h, w] += float(weights[f, c, u, v]) * float(dy[n, f, i, j])
                    dweights[f, c, u, v] += float(x[n, c, h, w]) * float(dy[n, f, i, j])
    return dx, dweights, dbiases


# Pooling


def _largest_cells(
    plane: Array, window: Pair, stride: Pair, padding: Padding
) -> dict[tuple[int, int], tuple[float, int, int]]:
    """For each window (i, j) its largest value and where it is: the first one in row-major order if several tie."""
    largest: dict[tuple[int, int], tuple[float, int, int]] = {}
    for i, j, _, _, h, w in window_cells((plane.shape[0], plane.shape[1]), window, stride, padding):
        if (i, j) not in largest or plane[h, w] > largest[i, j][0]:
            largest[i, j] = (float(plane[h, w]), h, w)
    return largest


def max_pool_forward(x: Array, window: Pair, stride: Pair, padding: Padding = NO_PADDING) -> Array:
    """y[n, c, i, j] = the maximum of the window; padding counts as minus infinity."""
    samples, channels, height, width = x.shape
    y = np.full((samples, channels, *output_size((height, width), window, stride, padding)), -np.inf)
    for n in range(samples):
        for c in range(channels):
            for (i, j), (value, _, _) in _largest_cells(x[n, c], window, stride, padding).items():
                y[n, c, i, j] = value
    return y


def max_pool_backward(x: Array, dy: Array, window: Pair, stride: Pair, padding: Padding = NO_PADDING) -> Array:
    """Each window sends its gradient to its first maximum; where windows overlap, what arrives is added."""
    dx = np.zeros(x.shape)
    for n in range(x.shape[0]):
        for c in range(x.shape[1]):
            for (i, j), (_, h, w) in _largest_cells(x[n, c], window, stride, padding).items():
                dx[n, c, h, w] += dy[n, c, i, j]
    return dx


def _window_counts(size: Pair, window: Pair, stride: Pair, padding: Padding, include_pad: bool) -> dict[Pair, int]:
    """What each window (i, j) divides by: all its cells, or only those that lie on the image."""
    counts: dict[Pair, int] = {}
    for i, j, *_ in window_cells(size, window, stride, padding):
        counts[i, j] = window[0] * window[1] if include_pad else counts.get((i, j), 0) + 1
    return counts


def average_pool_forward(
    x: Array, window: Pair, stride: Pair, padding: Padding = NO_PADDING, *, count_include_pad: bool = True
) -> Array:
    """y[n, c, i, j] = the mean of the window; padding counts as zeros, or not at all."""
    samples, channels, height, width = x.shape
    counts = _window_counts((height, width), window, stride, padding, count_include_pad)
    y = np.zeros((samples, channels, *output_size((height, width), window, stride, padding)))
    for n in range(samples):
        for c in range(channels):
            for i, j, _, _, h, w in window_cells((height, width), window, stride, padding):
                y[n, c, i, j] += x[n, c, h, w] / counts[i, j]
    return y


def average_pool_backward(
    x_shape: tuple[int, ...],
    dy: Array,
    window: Pair,
    stride: Pair,
    padding: Padding = NO_PADDING,
    *,
    count_include_pad: bool = True,
) -> Array:
    """Each window shares its gradient out equally among the cells it averaged."""
    samples, channels, height, width = x_shape
    counts = _window_counts((height, width), window, stride, padding, count_include_pad)
    dx = np.zeros(x_shape)
    for n in range(samples):
        for c in range(channels):
            for i, j, _, _, h, w in window_cells((height, width), window, stride, padding):
                dx[n, c, h, w] += dy[n, c, i, j] / counts[i, j]
    return dx


def global_average_pool_forward(x: Array) -> Array:
    """y[n, c] = the mean over h, w of x[n, c, h, w]."""
    samples, channels, height, width = x.shape
    y = np.zeros((samples, channels))
    for n, c, h, w in np.ndindex(*x.shape):
        y[n, c] += x[n, c, h, w] / (height * width)
    return y


def global_average_pool_backward(x_shape: tuple[int, ...], dy: Array) -> Array:
    """dx[n, c, h, w] = dy[n, c] / (H · W)."""
    dx = np.zeros(x_shape)
    for n, c, h, w in np.ndindex(*x_shape):
        dx[n, c, h, w] = dy[n, c] / (x_shape[2] * x_shape[3])
    return dx


# Dense, dropout, penalties


def dense_forward(x: Array, weights: Array, biases: Array) -> Array:
    """y[n, k] = b[k] + sum over d of x[n, d] · weights[d, k]."""
    y = np.zeros((x.shape[0], weights.shape[1]))
    for n, k in np.ndindex(*y.shape):
        y[n, k] = biases[k] + sum(float(x[n, d]) * float(weights[d, k]) for d in range(x.shape[1]))
    return y


def dense_backward(x: Array, weights: Array, dy: Array) -> tuple[Array, Array, Array]:
    """(dx, dweights, dbiases)."""
    dx, dweights, dbiases = np.zeros(x.shape), np.zeros(weights.shape), np.zeros(weights.shape[1])
    for n, k in np.ndindex(*dy.shape):
        dbiases[k] += dy[n, k]
        for d in range(x.shape[1]):
            dx[n, d] += float(weights[d, k]) * float(dy[n, k])
            dweights[d, k] += float(x[n, d]) * float(dy[n, k])
    return dx, dweights, dbiases


def dropout(values: Array, kept: NDArray[np.bool_], rate: float) -> Array:
    """Forward of x and backward of dy alike: kept values divided by 1 - rate, the rest zero."""
    result = np.zeros(values.shape)
    for at in np.ndindex(*values.shape):
        result[at] = values[at] / (1 - rate) if kept[at] else 0.0
    return result


def penalty(weights: Array, l1: float = 0.0, l2: float = 0.0) -> float:
    """l1 · sum |w| + l2 · sum w²."""
    return sum(l1 * abs(float(w)) + l2 * float(w) ** 2 for w in weights.flat)


def penalty_gradient(weights: Array, l1: float = 0.0, l2: float = 0.0) -> Array:
    """l1 · sign(w) + 2 · l2 · w, where sign(0) = 0."""
    gradient = np.zeros(weights.shape)
    for at in np.ndindex(*weights.shape):
        w = float(weights[at])
        gradient[at] = l1 * ((w > 0) - (w < 0)) + 2 * l2 * w
    return gradient


# Activations: y = f(x) one number at a time; backward is dy · f'(x)


def _each(function: Callable[..., float], *arrays: Array) -> Array:
    result = np.zeros(arrays[0].shape)
    for at in np.ndindex(*result.shape):
        result[at] = function(*(float(one[at]) for one in arrays))
    return result


def leaky_relu_forward(x: Array, alpha: float = 0.01) -> Array:
    """x where x > 0, else alpha · x."""
    return _each(lambda x: x if x > 0 else alpha * x, x)


def leaky_relu_backward(x: Array, dy: Array, alpha: float = 0.01) -> Array:
    """dy where x > 0, else alpha · dy (so too at the kink, x = 0)."""
    return _each(lambda x, dy: dy if x > 0 else alpha * dy, x, dy)


def relu_forward(x: Array) -> Array:
    """max(x, 0)."""
    return leaky_relu_forward(x, 0.0)


def relu_backward(x: Array, dy: Array) -> Array:
    """dy where x > 0, else 0."""
    return leaky_relu_backward(x, dy, 0.0)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def sigmoid_forward(x: Array) -> Array:
    """1 / (1 + e^-x), written so that no exponential overflows."""
    return _each(_sigmoid, x)


def sigmoid_backward(x: Array, dy: Array) -> Array:
    """dy · s(x) · (1 - s(x)), and 1 - s(x) = s(-x)."""
    return _each(lambda x, dy: dy * _sigmoid(x) * _sigmoid(-x), x, dy)


def tanh_forward(x: Array) -> Array:
    """tanh(x)."""
    return _each(math.tanh, x)


def tanh_backward(x: Array, dy: Array) -> Array:
    """dy · (1 - tanh(x)²)."""
    return _each(lambda x, dy: dy * (1 - math.tanh(x) ** 2), x, dy)


def softmax_forward(x: Array) -> Array:
    """y[n, k] = e^x[n, k] / sum over l of e^x[n, l], after taking the row's maximum from each x."""
    y = np.zeros(x.shape)
    for n in range(x.shape[0]):
        exponentials = [math.exp(value - max(x[n])) for value in x[n]]
        for k in range(x.shape[1]):
            y[n, k] = exponentials[k] / sum(exponentials)
    return y


def softmax_backward(x: Array, dy: Array) -> Array:
    """dx[n, l] = sum over k of dy[n, k] · y[n, k] · ([k = l] - y[n, l]): the whole Jacobian."""
    y = softmax_forward(x)
    dx = np.zeros(x.shape)
    for n, k in np.ndindex(*x.shape):
        for other in range(x.shape[1]):
            dx[n, other] += dy[n, k] * y[n, k] * ((k == other) - y[n, other])
    return dx


# Batch normalisation of images, statistics per channel over n, h, w


def batch_norm_forward(x: Array, gamma: Array, beta: Array, epsilon: float = 1e-5) -> tuple[Array, Array, Array]:
    """(y, mean, variance): y = gamma · (x - mean) / sqrt(variance + epsilon) + beta, the variance biased."""
    y, means, variances = np.zeros(x.shape), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for c in range(x.shape[1]):
        values = [float(value) for value in x[:, c].flat]
        means[c] = sum(values) / len(values)
        variances[c] = sum((value - means[c]) ** 2 for value in values) / len(values)
    for n, c, h, w in np.ndindex(*x.shape):
        y[n, c, h, w] = gamma[c] * (x[n, c, h, w] - means[c]) / math.sqrt(variances[c] + epsilon) + beta[c]
    return y, means, variances


def batch_norm_backward(x: Array, gamma: Array, dy: Array, epsilon: float = 1e-5) -> tuple[Array, Array, Array]:
    """(dx, dgamma, dbeta), with x̂ = (x - mean) / deviation and M values a channel.

    dx = gamma / deviation · (dy - sum dy / M - x̂ · sum(dy · x̂) / M)
    """
    channels, count = x.shape[1], x.size // x.shape[1]
    normal, _, variances = batch_norm_forward(x, np.ones(channels), np.zeros(channels), epsilon)
    dx, dgamma, dbeta = np.zeros(x.shape), np.zeros(channels), np.zeros(channels)
    for n, c, h, w in np.ndindex(*x.shape):
        dgamma[c] += dy[n, c, h, w] * normal[n, c, h, w]
        dbeta[c] += dy[n, c, h, w]
    for n, c, h, w in np.ndindex(*x.shape):
        centred = dy[n, c, h, w] - dbeta[c] / count - normal[n, c, h, w] * dgamma[c] / count
        dx[n, c, h, w] = gamma[c] / math.sqrt(variances[c] + epsilon) * centred
    return dx, dgamma, dbeta


# Resampling: an image read at places between its pixels


def bilinear(image: Array, row: float, column: float, fill: float = 0.0) -> float:
    """The value of an image (H, W) at a place: the four pixels around it, each the more the nearer; fill beyond."""
    value, top, left = 0.0, math.floor(row), math.floor(column)
    for p in (top, top + 1):
        for q in (left, left + 1):
            inside = 0 <= p < image.shape[0] and 0 <= q < image.shape[1]
            pixel = float(image[p, q]) if inside else fill
            value += (1 - abs(row - p)) * (1 - abs(column - q)) * pixel
    return value


def resample(x: Array, matrices: Array, displacements: Array | None = None, fill: float = 0.0) -> Array:
    """Images (N, C, H, W) read at M[n] · ((i, j) - centre + d[:, n, i, j]) + centre, with M (N, 3, 3) homogeneous."""
    samples, channels, height, width = x.shape
    y = np.zeros(x.shape)
    for n in range(samples):
        for i in range(height):
            for j in range(width):
                r, s = i - (height - 1) / 2, j - (width - 1) / 2
                if displacements is not None:
                    r, s = r + float(displacements[0, n, i, j]), s + float(displacements[1, n, i, j])
                m = matrices[n]
                row = float(m[0, 0]) * r + float(m[0, 1]) * s + float(m[0, 2]) + (height - 1) / 2
                column = float(m[1, 0]) * r + float(m[1, 1]) * s + float(m[1, 2]) + (width - 1) / 2
                for c in range(channels):
                    y[n, c, i, j] = bilinear(x[n, c], row, column, fill)
    return y


# Losses: (loss, gradient), where loss = sum over n of sample_weights[n] · loss[n] / N, whatever the weights sum to


def _weight(sample_weights: Sequence[float] | Array | None, n: int) -> float:
    return 1.0 if sample_weights is None else float(sample_weights[n])


def one_hot(labels: Sequence[int] | NDArray[np.integer[Any]], classes: int) -> Array:
    """Row n has its one in column labels[n]."""
    rows = np.zeros((len(labels), classes))
    for n, label in enumerate(labels):
        rows[n, label] = 1.0
    return rows


def softmax_crossentropy(
    logits: Array,
    targets: Array,
    label_smoothing: float = 0.0,
    sample_weights: Sequence[float] | Array | None = None,
) -> tuple[float, Array]:
    """loss[n] = -sum over k of q[k] · log p[k] with p = softmax(z), q = (1 - s) · target + s / K.

    The gradient is (p - q) · weight / N.
    """
    samples, classes = logits.shape
    probabilities = softmax_forward(logits)
    loss, gradient = 0.0, np.zeros(logits.shape)
    for n in range(samples):
        largest = float(max(logits[n]))
        log_sum = largest + math.log(sum(math.exp(float(z) - largest) for z in logits[n]))
        for k in range(classes):
            q = (1 - label_smoothing) * float(targets[n, k]) + label_smoothing / classes
            loss += _weight(sample_weights, n) * q * (log_sum - float(logits[n, k])) / samples
            gradient[n, k] = _weight(sample_weights, n) * (probabilities[n, k] - q) / samples
    return loss, gradient


def categorical_crossentropy(
    probabilities: Array, targets: Array, sample_weights: Sequence[float] | Array | None = None
) -> tuple[float, Array]:
    """loss[n] = -sum over k of t[k] · log p[k]; gradient -t / p · weight / N. No clipping: keep p away from 0."""
    samples = len(probabilities)
    loss, gradient = 0.0, np.zeros(probabilities.shape)
    for n, k in np.ndindex(*probabilities.shape):
        p, t, weight = float(probabilities[n, k]), float(targets[n, k]), _weight(sample_weights, n)
        loss -= weight * t * math.log(p) / samples
        gradient[n, k] = -weight * t / p / samples
    return loss, gradient


def binary_crossentropy(
    probabilities: Array, targets: Array, sample_weights: Sequence[float] | Array | None = None
) -> tuple[float, Array]:
    """loss[n] = mean over k of -(t · log p + (1 - t) · log(1 - p)). No clipping: keep p inside (0, 1)."""
    samples, outputs = probabilities.shape
    loss, gradient = 0.0, np.zeros(probabilities.shape)
    for n, k in np.ndindex(*probabilities.shape):
        p, t, weight = float(probabilities[n, k]), float(targets[n, k]), _weight(sample_weights, n)
        loss -= weight * (t * math.log(p) + (1 - t) * math.log(1 - p)) / outputs / samples
        gradient[n, k] = -weight * (t / p - (1 - t) / (1 - p)) / outputs / samples
    return loss, gradient


def sigmoid_crossentropy(
    scores: Array, targets: Array, sample_weights: Sequence[float] | Array | None = None
) -> tuple[float, Array]:
    """loss[n] = mean over k of t · log(1 + exp(-x)) + (1 - t) · log(1 + exp(x)); gradient (sigmoid(x) - t) / K."""
    samples, outputs = scores.shape
    loss, gradient = 0.0, np.zeros(scores.shape)
    for n, k in np.ndindex(*scores.shape):
        x, t, weight = float(scores[n, k]), float(targets[n, k]), _weight(sample_weights, n)
        loss += weight * (t * math.log1p(math.exp(-x)) + (1 - t) * math.log1p(math.exp(x))) / outputs / samples
        gradient[n, k] = weight * (1 / (1 + math.exp(-x)) - t) / outputs / samples
    return loss, gradient


def mean_squared_error(
    outputs: Array, targets: Array, sample_weights: Sequence[float] | Array | None = None
) -> tuple[float, Array]:
    """loss[n] = mean over k of (y - t)²; gradient 2 · (y - t) / K · weight / N."""
    samples, width = outputs.shape
    loss, gradient = 0.0, np.zeros(outputs.shape)
    for n, k in np.ndindex(*outputs.shape):
        difference, weight = float(outputs[n, k]) - float(targets[n, k]), _weight(sample_weights, n)
        loss += weight * difference**2 / width / samples
        gradient[n, k] = 2 * weight * difference / width / samples
    return loss, gradient


# Optimizers: the parameters after the given gradients, one step each, every element by itself


def adam(
    parameters: Array,
    gradients: Sequence[Array],
    *,
    learning_rate: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
) -> Array:
    """Adam (Kingma and Ba 2015, algorithm 1); with weight_decay AdamW (Loshchilov and Hutter 2019, algorithm 2).

    The decay is scaled by the learning rate and taken from the parameter before the step, as PyTorch does it.
    """
    result = array(parameters)
    for at in np.ndindex(*result.shape):
        m = v = 0.0
        for t, gradient in enumerate(gradients, start=1):
            g = float(gradient[at])
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g * g
            m_hat = m / (1 - beta1**t)
            v_hat = v / (1 - beta2**t)
            result[at] -= learning_rate * weight_decay * result[at]
            result[at] -= learning_rate * m_hat / (math.sqrt(v_hat) + epsilon)
    return result


def sgd(
    parameters: Array,
    gradients: Sequence[Array],
    *,
    learning_rate: float = 1e-2,
    momentum: float = 0.0,
    nesterov: bool = False,
) -> Array:
    """Velocity v = momentum · v + g, step lr · v; Nesterov in PyTorch's form, step lr · (g + momentum · v)."""
    result = array(parameters)
    for at in np.ndindex(*result.shape):
        velocity = 0.0
        for gradient in gradients:
            g = float(gradient[at])
            velocity = momentum * velocity + g
            result[at] -= learning_rate * (g + momentum * velocity if nesterov else velocity)
    return result


def rmsprop(
    parameters: Array,
    gradients: Sequence[Array],
    *,
    learning_rate: float = 1e-3,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
) -> Array:
    """RMSprop (Hinton's lecture 6.5): g / (root of the running mean of g² + epsilon); a velocity of these, times lr."""
    result = array(parameters)
    for at in np.ndindex(*result.shape):
        v = velocity = 0.0
        for gradient in gradients:
            g = float(gradient[at])
            v = rho * v + (1 - rho) * g * g
            velocity = momentum * velocity + g / (math.sqrt(v) + epsilon)
            result[at] -= learning_rate * velocity
    return result


def adagrad(
    parameters: Array, gradients: Sequence[Array], *, learning_rate: float = 0.01, epsilon: float = 1e-7
) -> Array:
    """Adagrad (Duchi, Hazan and Singer 2011), diagonal: g / (root of the sum of all g² so far + epsilon)."""
    result = array(parameters)
    for at in np.ndindex(*result.shape):
        v = 0.0
        for gradient in gradients:
            g = float(gradient[at])
            v += g * g
            result[at] -= learning_rate * g / (math.sqrt(v) + epsilon)
    return result


def lion(
    parameters: Array,
    gradients: Sequence[Array],
    *,
    learning_rate: float = 1e-4,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
) -> Array:
    """Lion (Chen et al. 2023, algorithm 2): the sign of beta1 · m + (1 - beta1) · g, and the decay, times lr."""
    result = array(parameters)
    for at in np.ndindex(*result.shape):
        m = 0.0
        for gradient in gradients:
            g = float(gradient[at])
            c = beta1 * m + (1 - beta1) * g
            direction = (c > 0) - (c < 0)
            result[at] -= learning_rate * (direction + weight_decay * result[at])
            m = beta2 * m + (1 - beta2) * g
    return result


# The judge of all gradients


def numerical_gradient(function: Callable[[Array], float], x: Array, epsilon: float = 1e-5) -> Array:
    """Central differences: (f(x + e) - f(x - e)) / 2e for one element of x after the other."""
    gradient = np.zeros(x.shape)
    for at in np.ndindex(*x.shape):
        above, below = array(x), array(x)
        above[at] += epsilon
        below[at] -= epsilon
        gradient[at] = (function(above) - function(below)) / (2 * epsilon)
    return gradient
