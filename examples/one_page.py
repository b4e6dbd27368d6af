"""A convolutional neural network on one page of NumPy: the network, its gradients, the optimizer, the training loop.

python examples/one_page.py                      train on the 1,437 handwritten digits of this repository
python examples/one_page.py FOLDER --epochs 5    train on MNIST; FOLDER has train-images-idx3-ubyte.gz and the others

    images (N, 1, 28, 28)  ->  convolution, LeakyReLU, pooling (N, 8, 13, 13)
                           ->  convolution, LeakyReLU, pooling (N, 16, 5, 5)
                           ->  flatten (N, 400)  ->  dense, LeakyReLU, dropout (N, 128)  ->  dense: scores (N, 10)

A function goes forward, from x to y; the next one goes the same way backward, from dy, the gradient of the loss with
respect to y, to dx, and to dw and db where there are weights. A gradient has the shape of what it belongs to.
Letters: N images, C channels, F filters, H W rows and columns, OH OW those of the output, K the side of a kernel.
"""

# What goes forward and what goes backward stand together.
# fmt: off

import argparse
import gzip
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

DIGITS = Path(__file__).resolve().parent.parent / "src" / "handconv" / "datasets" / "digits.npz"
K, ALPHA, DROPOUT, L2, BATCH = 3, 0.01, 0.3, 1e-4, 64


def patches(x):
    """Copy what the kernel sees at each place into a column of a matrix: (N, C, H, W) -> (N, C·K·K, OH·OW)."""
    windows = sliding_window_view(x, (K, K), axis=(2, 3))  # (N, C, OH, OW, K, K)
    return windows.transpose(0, 1, 4, 5, 2, 3).reshape(len(x), x.shape[1] * K * K, -1)

def convolution(x, w, b):
    """y[n, f, i, j] = b[f] + sum over c, u, v of w[f, c, u, v] · x[n, c, i + u, j + v]."""
    y = w.reshape(len(w), -1) @ patches(x) + b[:, None]  # (F, C·K·K) @ (N, C·K·K, OH·OW) -> (N, F, OH·OW)
    return y.reshape(len(x), len(w), x.shape[2] - K + 1, x.shape[3] - K + 1)

def convolution_backward(dy, x, w):
    """dw[f, c, u, v] = sum over n, i, j of dy[n, f, i, j] · x[n, c, i + u, j + v]    db[f] = sum over n, i, j of dy.

    dx[n, c, i + u, j + v] += dy[n, f, i, j] · w[f, c, u, v]  for all f, i, j, u, v
    """
    (N, F, OH, OW), columns = dy.shape, dy.reshape(*dy.shape[:2], -1)  # (N, F, OH·OW)
    dw = (columns @ patches(x).transpose(0, 2, 1)).sum(axis=0).reshape(w.shape)  # (F, OH·OW) @ (OH·OW, C·K·K)
    dpatches = (w.reshape(F, -1).T @ columns).reshape(N, -1, K, K, OH, OW)  # (C·K·K, F) @ (F, OH·OW)
    dx = np.zeros_like(x)
    for u, v in np.ndindex(K, K):
        dx[:, :, u : u + OH, v : v + OW] += dpatches[:, :, u, v]
    return dx, dw, dy.sum(axis=(0, 2, 3))


def leaky_relu(x):
    """y = x where x > 0, alpha · x elsewhere."""
    return np.maximum(x, ALPHA * x)

def leaky_relu_backward(dy, x):
    """dx = dy where x > 0, alpha · dy elsewhere."""
    return np.where(x > 0, dy, ALPHA * dy)


def cells(x):
    """View the four cells of all 2x2 windows, row by row: 4 x (N, C, H/2, W/2), without an odd last row or column."""
    H, W = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
    return [x[:, :, u:H:2, v:W:2] for u, v in np.ndindex(2, 2)]

def max_pool(x):
    """y[n, c, i, j] = max over u, v of x[n, c, 2i + u, 2j + v]."""
    return np.max(cells(x), axis=0)

def max_pool_backward(dy, x):
    """dx = dy at the cell that is the maximum of its window, the first one of equals; 0 at all others."""
    dx, winner = np.zeros_like(x), np.argmax(cells(x), axis=0)  # argmax gives the first: 0, 1, 2 or 3
    for k, dcell in enumerate(cells(dx)):
        dcell[...] = dy * (winner == k)
    return dx


def dense(x, w, b):
    """y = x w + b."""
    return x @ w + b

def dense_backward(dy, x, w):
    """dx = dy wᵀ    dw = xᵀ dy    db = sum over n of dy[n]."""
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


def softmax_cross_entropy(scores, labels):
    """p[n, k] = exp(scores[n, k]) / sum over l of exp(scores[n, l])    loss = mean over n of -log p[n, label n].

    dscores[n, k] = (p[n, k] - [k = label n]) / N
    """
    truth = np.eye(scores.shape[1], dtype=scores.dtype)[labels]  # (N, 10), 1 at the label and 0 elsewhere
    shifted = scores - scores.max(axis=1, keepdims=True)  # changes no p, and nothing overflows
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -np.sum(truth * log_p) / len(labels), (np.exp(log_p) - truth) / len(labels)


def forward(parameters, x, dropout_mask=1.0):
    """Compute the scores (N, 10), and keep what came on the way. The mask is 1 when not training."""
    w1, b1, w2, b2, w3, b3, w4, b4 = parameters.values()
    z1 = convolution(x, w1, b1)                           # (N, 8, 26, 26)
    a1 = leaky_relu(z1)
    y1 = max_pool(a1)                                     # (N, 8, 13, 13)
    z2 = convolution(y1, w2, b2)                          # (N, 16, 11, 11)
    a2 = leaky_relu(z2)
    y2 = max_pool(a2)                                     # (N, 16, 5, 5)
    flat = y2.reshape(len(x), -1)                         # (N, 400)
    z3 = dense(flat, w3, b3)                              # (N, 128)
    hidden = leaky_relu(z3) * dropout_mask                # 0 with probability 0.3, else 1 / 0.7
    return dense(hidden, w4, b4), (x, z1, a1, y1, z2, a2, y2, flat, z3, hidden)


def backward(parameters, values, dscores, dropout_mask=1.0):
    """Go the same way back, and return the gradient of each parameter under its name."""
    w1, _, w2, _, w3, _, w4, _ = parameters.values()
    x, z1, a1, y1, z2, a2, y2, flat, z3, hidden = values
    dhidden, dw4, db4 = dense_backward(dscores, hidden, w4)
    dz3 = leaky_relu_backward(dhidden * dropout_mask, z3)
    dflat, dw3, db3 = dense_backward(dz3, flat, w3)
    dw3 += 2 * L2 * w3  # of the penalty, L2 · sum of w3², which is part of the loss
    da2 = max_pool_backward(dflat.reshape(y2.shape), a2)
    dy1, dw2, db2 = convolution_backward(leaky_relu_backward(da2, z2), y1, w2)
    da1 = max_pool_backward(dy1, a1)
    _, dw1, db1 = convolution_backward(leaky_relu_backward(da1, z1), x, w1)  # the images need no gradient
    return dict(zip(parameters, (dw1, db1, dw2, db2, dw3, db3, dw4, db4), strict=True))


def adam_step(parameters, gradients, adam, rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Move each parameter against m, the running mean of its gradient, divided by the root of v, that of its square."""
    adam["t"] += 1
    for name, g in gradients.items():
        m = adam["m"][name] = beta_1 * adam["m"][name] + (1 - beta_1) * g
        v = adam["v"][name] = beta_2 * adam["v"][name] + (1 - beta_2) * g**2
        m_hat = m / (1 - beta_1 ** adam["t"])  # m and v start at 0, and are too small at first
        v_hat = v / (1 - beta_2 ** adam["t"])
        parameters[name] = parameters[name] - rate * m_hat / (np.sqrt(v_hat) + epsilon)


def start(random):
    """Draw weights from N(0, 2 / inputs of a unit); biases, and Adam's m and v, start at 0."""
    shapes = [((8, 1, K, K), 9, 8), ((16, 8, K, K), 72, 16), ((400, 128), 400, 128), ((128, 10), 128, 10)]
    parameters = {}                                       # w1, b1, w2, b2, w3, b3, w4, b4
    for i, (shape, inputs, units) in enumerate(shapes, start=1):
        parameters[f"w{i}"] = random.normal(0, np.sqrt(2 / inputs), shape).astype(np.float32)
        parameters[f"b{i}"] = np.zeros(units, np.float32)
    return parameters, {"t": 0, "m": dict.fromkeys(parameters, 0.0), "v": dict.fromkeys(parameters, 0.0)}


def load(folder):
    """Read images (N, 1, 28, 28), from 0 to 1, and labels (N,), to train on and to test with."""
    arrays = []
    for part, name in (("train", "train"), ("test", "t10k")):
        if folder is None:
            with np.load(DIGITS) as digits:  # (N, 8, 8) from 0 to 16; each pixel becomes 3x3, in a blank frame
                large = digits[f"x_{part}"].repeat(3, axis=1).repeat(3, axis=2)  # (N, 24, 24)
                images, labels = np.pad(large, ((0, 0), (2, 2), (2, 2))) * 15, digits[f"y_{part}"]
        else:
            files = f"{name}-images-idx3-ubyte.gz", f"{name}-labels-idx1-ubyte.gz"
            images, labels = (gzip.decompress((folder / file).read_bytes()) for file in files)
            images, labels = np.frombuffer(images, np.uint8, offset=16), np.frombuffer(labels, np.uint8, offset=8)
        arrays += [images.reshape(-1, 1, 28, 28) / np.float32(255), labels.astype(int)]
    return arrays


def main():
    """Train, then test."""
    parser = argparse.ArgumentParser(description="Train a convolutional network in literal NumPy.")
    parser.add_argument("folder", nargs="?", type=Path, help="has the four .gz files of MNIST; else, the digits here")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    try:
        x_train, y_train, x_test, y_test = load(settings.folder)
    except OSError as error:
        parser.error(f"the data cannot be read: {error}. Give the folder that has MNIST's train-images-idx3-ubyte.gz.")
    random = np.random.default_rng(settings.seed)
    parameters, adam = start(random)

    for epoch in range(1, settings.epochs + 1):
        order, total, right = random.permutation(len(x_train)), 0.0, 0
        for batch in np.split(order, range(BATCH, len(order), BATCH)):
            x, labels = x_train[batch], y_train[batch]
            dropout_mask = (random.random((len(batch), 128)) >= DROPOUT) / np.float32(1 - DROPOUT)

            scores, values = forward(parameters, x, dropout_mask)
            loss, dscores = softmax_cross_entropy(scores, labels)
            loss += L2 * np.sum(parameters["w3"] ** 2)
            adam_step(parameters, backward(parameters, values, dscores, dropout_mask), adam)

            total += loss * len(batch)
            right += np.sum(scores.argmax(axis=1) == labels)
        print(f"epoch {epoch}: loss {total / len(order):.4f}, accuracy {right / len(order):.2%}")

    answers = [forward(parameters, x)[0].argmax(axis=1) for x in np.split(x_test, range(500, len(x_test), 500))]
    print(f"test accuracy {np.mean(np.concatenate(answers) == y_test):.2%}")


if __name__ == "__main__":
    main()
