"""Exercise 3: derive softmax with cross-entropy on paper, as chapter 4 asks, and write down both directions.

make test TESTS="tests/test_learn.py --answers exercises -k softmax"
"""


def softmax_cross_entropy(scores, labels):
    """Compute the mean loss, a number, and its gradient with respect to the scores.

    Args:
        scores: (N, K) floats of any size: 10,000 must give a loss too, and no warning.
        labels: (N,) class numbers from 0 to K - 1.
    """
    raise NotImplementedError(
        "Write softmax_cross_entropy: scores (N, K) and labels (N,) -> the loss, the mean over n of -log p[n, label n] "
        "with p = softmax(scores), and its gradient (N, K)."
    )
