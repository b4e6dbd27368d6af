"""Exercise 2: break a gradient, then find the mistake as if someone else had made it.

make test TESTS="tests/test_learn.py --answers exercises -k break_a_gradient"
"""


def broken_layer():
    """Return a layer that maps (N, 5) to (N, 5), whose forward pass is right and whose backward pass is not.

    The smaller the mistake, the better. A class that inherits from ``hc.LeakyReLU`` and overrides ``backward`` will do,
    or one that inherits from ``hc.Dense`` and writes wrong numbers into its gradients: ``self.dweights[...] = …``.
    """
    raise NotImplementedError(
        "Write broken_layer: return a layer that maps (N, 5) to (N, 5), whose backward pass does not fit its forward "
        "pass."
    )


def find_mistake(model, x, y):
    """Say where the model's mistake is, by ``hc.gradcheck(model, x, y)``.

    Returns:
        The layer that has the mistake, and the array whose gradient is wrong, as the report names them:
        ("1 Dense", "weights"), for instance. None if all gradients are right.
    """
    raise NotImplementedError(
        "Write find_mistake: read the rows of hc.gradcheck(model, x, y), and return (row.layer, row.what) of the row "
        "that shows the mistake itself, or None if all gradients are right."
    )
