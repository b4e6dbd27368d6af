"""Exercise 2, solved: a broken gradient, and how to find it.

The rows of a report begin with the layers, one after another. Each layer is checked by itself: the check gives it a
gradient with respect to its outputs that is right whatever the other layers do. So only the layer that has the mistake
fails. The rows of the whole network come last; there the mistake also shows in all that lies before the broken layer.
"""

import handconv as hc


class ForgetsTheSlope(hc.LeakyReLU):
    """A LeakyReLU whose backward pass is that of the identity: right for positive inputs alone."""

    def backward(self, dvalues):
        """Forget to multiply by alpha where the input is negative."""
        return dvalues


def broken_layer():
    """Return a layer whose forward pass is right and whose backward pass is not."""
    return ForgetsTheSlope()


def find_mistake(model, x, y):
    """Say where the model's mistake is: the first row that failed, as layers come before the network; or None."""
    failed = [row for row in hc.gradcheck(model, x, y).rows if row.verdict == "FAILED"]
    return (failed[0].layer, failed[0].what) if failed else None
