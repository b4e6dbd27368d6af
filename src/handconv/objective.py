"""What is minimised: a loss, computed together with the last activation where only that is numerically stable.

    Softmax + cross-entropy       log-sum-exp of the scores; gradient p - q       never a logarithm of zero
    Sigmoid + cross-entropy       the same for yes or no                          never a vanishing gradient

Then the layers run up to the scores, and the loss takes the scores.
"""

from collections.abc import Sequence

from handconv.engine.arena import Scope
from handconv.engine.ops.loss import LossOp, SoftmaxCrossEntropyOp
from handconv.layer_list import probabilities_of
from handconv.layers import Dropout, Layer, Reshape, Sigmoid, Softmax, SpatialDropout2D
from handconv.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Loss,
    SigmoidBinaryCrossentropy,
    SoftmaxCategoricalCrossentropy,
)
from handconv.network import Network


class Objective:
    """The layers that run before a loss, and the loss that is computed from what they give.

    Args:
        network: the network.
        loss: the loss that was asked for; its settings count, also when they are changed.

    Attributes:
        layers: all, or all but the last activation.

    Raises:
        ValueError: if a loss of scores would get probabilities, or one of probabilities that sum to 1 others.
    """

    def __init__(self, network: Network, loss: Loss) -> None:
        self.asked, kind = loss, type(loss)
        self._engine = network.engine
        # Losses of scores get scores, and so do those of probabilities, but not subclasses of the latter.
        of_softmax = kind is CategoricalCrossentropy or isinstance(loss, SoftmaxCategoricalCrossentropy)
        of_sigmoid = kind is BinaryCrossentropy or isinstance(loss, SigmoidBinaryCrossentropy)
        softmax, sigmoid = network.ends_in_softmax and of_softmax, network.ends_in_sigmoid and of_sigmoid
        self.from_scores = softmax or sigmoid
        if not self.from_scores:
            _check_takes(loss, network.layers)
        self.layers: Sequence[Layer] = network.layers[:-1] if self.from_scores else network.layers

    def loss_op(self, scope: Scope) -> LossOp:
        """The loss as an op over this memory."""
        fast = type(self.asked) is SoftmaxCategoricalCrossentropy or (
            self.from_scores and type(self.asked) is CategoricalCrossentropy
        )
        if fast and self._engine:
            return SoftmaxCrossEntropyOp(self.asked, scope)
        by_probability = self.from_scores or isinstance(self.asked, SigmoidBinaryCrossentropy)
        return LossOp(self.page, scope, answers_from_output=by_probability)

    @property
    def page(self) -> Loss:
        """The loss whose own code takes what the layers give."""
        if self.from_scores and type(self.asked) is CategoricalCrossentropy:
            return _SmoothedLike(self.asked)
        if self.from_scores and type(self.asked) is BinaryCrossentropy:
            return SigmoidBinaryCrossentropy()
        return self.asked


def _check_takes(loss: Loss, layers: Sequence[Layer]) -> None:
    """Refuse a loss that would take probabilities for scores, or those of yes or no for those of classes."""
    passing = (Dropout, SpatialDropout2D, Reshape)  # what a layer gives, they give
    giving = next((layer for layer in reversed(layers) if not isinstance(layer, passing)), layers[0])
    passed = "" if giving is layers[-1] else f" and {layers[-1]!r} passes on"
    kind = probabilities_of(giving)
    if kind is None:
        return
    if isinstance(loss, SoftmaxCategoricalCrossentropy | SigmoidBinaryCrossentropy):
        by_one = "CategoricalCrossentropy" if kind is Softmax else "BinaryCrossentropy"
        raise ValueError(
            f"{loss.label} takes scores, and gets the probabilities that {giving!r} gives{passed}. "
            f"Use {by_one}, or leave {giving!r} out."
        )
    if isinstance(loss, CategoricalCrossentropy) and kind is Sigmoid:
        raise ValueError(
            f"{loss.label} takes probabilities of classes, which sum to 1, and those of {giving!r} are of yes or no "
            "each. Use Softmax, or BinaryCrossentropy."
        )


class _SmoothedLike(SoftmaxCategoricalCrossentropy):
    """The cross-entropy on scores with the label smoothing of another loss, also when that is changed."""

    def __init__(self, other: CategoricalCrossentropy) -> None:
        self._other = other

    @property
    def label_smoothing(self) -> float:  # type: ignore[override]
        return self._other.label_smoothing
