"""Exercise 3, solved: softmax with cross-entropy.

    loss[n] = -log p[n, label n] = log(sum over k of exp z[n, k]) - z[n, label n]

The derivative of the first term with respect to z[n, l] is exp z[n, l] / sum over k of exp z[n, k] = p[n, l], that of
the second is 1 at the label and 0 elsewhere. The mean over N samples divides both by N.

A number that is subtracted from all scores of a sample leaves the loss as it is: the first term falls by it, and the
second too. With the greatest score subtracted, no exponential exceeds 1, and their sum is at least 1.
"""

import numpy as np


def softmax_cross_entropy(scores, labels):
    """Compute the mean loss, a number, and its gradient with respect to the scores."""
    samples = np.arange(len(labels))
    shifted = scores - scores.max(axis=1, keepdims=True)  # (N, K), at most 0
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1, keepdims=True)  # (N, 1), at least 1
    loss = np.mean(np.log(sums[:, 0]) - shifted[samples, labels])
    dscores = exponentials / sums  # p
    dscores[samples, labels] -= 1
    return loss, dscores / len(labels)
