"""Losses and gradients against oracles, central differences, hand-worked numbers and PyTorch."""

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import oracles
import strategies
from handconv.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Loss,
    MeanSquaredError,
    SigmoidBinaryCrossentropy,
    SoftmaxCategoricalCrossentropy,
)
from loss_cases import CATEGORICAL, FROM_SCORES, every_loss, oracle, predictions_for, targets_for

# Oracles


@every_loss
@given(
    seed=strategies.seeds,
    samples=st.integers(1, 7),
    outputs=st.integers(2, 6),
    order=strategies.memory_orders,
    weighted=st.booleans(),
)
def test_loss_and_gradient_are_those_of_the_oracle(
    kind: type[Loss], seed: int, samples: int, outputs: int, order: str, weighted: bool
) -> None:
    predictions = strategies.in_memory_order(predictions_for(kind, seed, samples, outputs), order)
    targets = targets_for(kind, seed, samples, outputs)
    weights = np.random.default_rng(seed).random(samples) if weighted else None
    expected, gradient = oracle(kind, predictions, targets, weights)
    loss = kind()
    assert loss.forward(predictions, targets, weights) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(loss.backward(), gradient, rtol=1e-11, atol=1e-14)


@every_loss
def test_float32_follows_the_oracle_and_stays_float32(kind: type[Loss]) -> None:
    predictions, targets = predictions_for(kind, 0, 64, 10, np.float32), targets_for(kind, 0, 64, 10)
    weights = np.random.default_rng(0).random(64)
    expected, gradient = oracle(kind, predictions, targets, weights)
    loss = kind()
    assert loss.forward(predictions, targets, weights) == pytest.approx(expected, rel=1e-6)
    assert loss.backward().dtype == np.float32
    assert loss.sample_losses(predictions, targets).dtype == np.float32
    np.testing.assert_allclose(loss.backward(), gradient, rtol=2e-5, atol=1e-8)


@given(seed=strategies.seeds, smoothing=st.sampled_from([0.0, 0.1, 0.5]), rows=st.sampled_from(["numbers", "shares"]))
def test_smoothed_and_shared_targets_are_those_of_the_oracle(seed: int, smoothing: float, rows: str) -> None:
    logits, labels = strategies.normal(seed, 5, 4), targets_for(SoftmaxCategoricalCrossentropy, seed, 5, 4)
    shares = oracles.one_hot(labels, 4)
    if rows == "shares":
        shares = oracles.softmax_forward(strategies.normal(seed + 1, 5, 4))
    loss = SoftmaxCategoricalCrossentropy(label_smoothing=smoothing)
    expected, gradient = oracles.softmax_crossentropy(logits, shares, smoothing)
    assert loss.forward(logits, shares if rows == "shares" else labels) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(loss.backward(), gradient, rtol=1e-11, atol=1e-14)

    probabilities = oracles.softmax_forward(logits)
    smoothed = (1 - smoothing) * shares + smoothing / 4
    expected, gradient = oracles.categorical_crossentropy(probabilities, smoothed)
    plain = CategoricalCrossentropy(label_smoothing=smoothing)
    assert plain.forward(probabilities, shares if rows == "shares" else labels) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(plain.backward(), gradient, rtol=1e-11)


@every_loss
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradient_is_that_of_central_differences(kind: type[Loss], smoothing: float) -> None:
    loss = kind(smoothing) if kind in CATEGORICAL else kind()
    predictions, targets = predictions_for(kind, 3, 5, 4), targets_for(kind, 3, 5, 4)
    weights = np.array([1.0, 0.5, 2.0, 0.0, 3.0])
    numerical = oracles.numerical_gradient(lambda x: loss.forward(x, targets, weights, batch_size=8), predictions)
    loss.forward(predictions, targets, weights, batch_size=8)
    difference = np.linalg.norm(loss.backward() - numerical) / np.linalg.norm(numerical)
    assert difference <= 1e-7


# Numbers worked by hand


def test_uniform_scores_lose_the_logarithm_of_the_number_of_classes() -> None:
    assert SoftmaxCategoricalCrossentropy().forward(np.zeros((3, 10)), [0, 4, 9]) == pytest.approx(math.log(10))


def test_the_gradient_of_logits_is_probabilities_minus_truth() -> None:
    loss = SoftmaxCategoricalCrossentropy()
    loss.forward(np.log([[0.2, 0.3, 0.5]]), [1])
    np.testing.assert_allclose(loss.backward(), [[0.2, -0.7, 0.5]], rtol=1e-14)


def test_the_combined_loss_leaves_the_probabilities() -> None:
    loss = SoftmaxCategoricalCrossentropy()
    assert loss.output is None
    loss.forward(np.log([[0.2, 0.3, 0.5]]), [1])
    loss.backward()
    np.testing.assert_allclose(loss.output, [[0.2, 0.3, 0.5]], rtol=1e-14)


@pytest.mark.parametrize("kind", FROM_SCORES)
def test_the_probabilities_are_none_before_the_first_forward_and_the_callers_after(kind: type[Any]) -> None:
    loss = kind()
    assert loss.output is None
    loss.forward(np.array([[0.0, 0.0]]), targets_for(kind, 0, 1, 2))
    assert loss.output.tolist() == [[0.5, 0.5]]
    loss.output[...] = 7
    assert np.abs(loss.backward()).max() <= 0.5


def test_the_combined_binary_loss_leaves_the_probabilities() -> None:
    loss = SigmoidBinaryCrossentropy()
    loss.forward(np.log([[0.2 / 0.8, 0.7 / 0.3]]), [[0, 1]])
    np.testing.assert_allclose(loss.output, [[0.2, 0.7]], rtol=1e-14)


def test_the_gradient_of_scores_of_yes_or_no_is_probability_minus_truth_over_the_outputs() -> None:
    loss = SigmoidBinaryCrossentropy()
    assert loss.forward(np.log([[0.25 / 0.75, 1.0]]), [[1, 0]]) == pytest.approx((math.log(4) + math.log(2)) / 2)
    np.testing.assert_allclose(loss.backward(), [[(0.25 - 1) / 2, 0.25]], rtol=1e-14)


def test_both_binary_crossentropies_agree() -> None:
    scores, targets = strategies.normal(0, 6, 5), targets_for(BinaryCrossentropy, 0, 6, 5)
    combined, apart = SigmoidBinaryCrossentropy(), BinaryCrossentropy()
    expected = combined.forward(scores, targets)
    assert apart.forward(oracles.sigmoid_forward(scores), targets) == pytest.approx(expected, rel=1e-12)
    through = oracles.sigmoid_backward(scores, apart.backward())
    np.testing.assert_allclose(through, combined.backward(), rtol=1e-10, atol=1e-14)


def test_crossentropy_of_probabilities_is_the_surprise() -> None:
    loss = CategoricalCrossentropy()
    assert loss.forward([[0.25, 0.75], [0.5, 0.5]], [0, 1]) == pytest.approx((math.log(4) + math.log(2)) / 2)
    assert loss.backward().tolist() == [[-2.0, 0.0], [0.0, -1.0]]


def test_binary_crossentropy_is_the_mean_over_outputs() -> None:
    loss = BinaryCrossentropy()
    assert loss.forward([[0.25, 0.5]], [[1, 0]]) == pytest.approx((math.log(4) + math.log(2)) / 2)
    np.testing.assert_allclose(loss.backward(), [[-2.0, 1.0]], rtol=1e-14)


def test_mean_squared_error_is_the_mean_over_outputs() -> None:
    loss = MeanSquaredError()
    assert loss.forward([[1.0, 2.0], [0.0, 0.0]], [[0.0, 4.0], [0.0, 0.0]]) == 1.25
    assert loss.backward().tolist() == [[0.5, -1.0], [0.0, 0.0]]


def test_smoothing_takes_from_the_truth_and_gives_to_all() -> None:
    loss = SoftmaxCategoricalCrossentropy(label_smoothing=0.5)
    loss.forward(np.log([[0.25, 0.75]]), [1])
    np.testing.assert_allclose(loss.backward(), [[0.0, 0.0]], atol=1e-15)  # the truth is 0.25 and 0.75 now


def test_both_crossentropies_agree() -> None:
    logits, labels = strategies.normal(0, 6, 5), np.arange(6) % 5
    for smoothing in (0.0, 0.1):
        combined, apart = SoftmaxCategoricalCrossentropy(smoothing), CategoricalCrossentropy(smoothing)
        expected = combined.forward(logits, labels)
        assert apart.forward(oracles.softmax_forward(logits), labels) == pytest.approx(expected, rel=1e-12)
        through = oracles.softmax_backward(logits, apart.backward())
        np.testing.assert_allclose(through, combined.backward(), rtol=1e-10, atol=1e-14)


# One mean over the batch, taken here


@every_loss
def test_the_loss_is_the_mean_of_the_samples_losses(kind: type[Loss]) -> None:
    predictions, targets = predictions_for(kind, 1, 6, 3), targets_for(kind, 1, 6, 3)
    loss = kind()
    losses = loss.sample_losses(predictions, targets)
    assert losses.shape == (6,)
    assert loss.forward(predictions, targets) == pytest.approx(losses.mean(), rel=1e-13)
    assert isinstance(loss.forward(predictions, targets), float)


@every_loss
def test_shards_add_up_to_the_batch(kind: type[Loss]) -> None:
    predictions, targets = predictions_for(kind, 2, 10, 4), targets_for(kind, 2, 10, 4)
    weights = np.random.default_rng(0).random(10)
    loss = kind()
    expected = loss.forward(predictions, targets, weights)
    gradient = loss.backward()
    total, pieces = 0.0, []
    for part in (slice(0, 4), slice(4, 8), slice(8, 10)):
        total += loss.forward(predictions[part], targets[part], weights[part], batch_size=10)
        pieces.append(loss.backward())
    assert total == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(np.concatenate(pieces), gradient, rtol=1e-14)


@every_loss
def test_a_weight_of_two_counts_a_sample_twice(kind: type[Loss]) -> None:
    predictions, targets = predictions_for(kind, 2, 3, 4), targets_for(kind, 2, 3, 4)
    twice = [0, 1, 1, 2]
    loss = kind()
    weighted = loss.forward(predictions, targets, [1, 2, 1])
    assert weighted * 3 == pytest.approx(loss.forward(predictions[twice], targets[twice]) * 4)


@every_loss
def test_a_weight_of_zero_leaves_a_sample_out(kind: type[Loss]) -> None:
    predictions, targets = predictions_for(kind, 2, 3, 4), targets_for(kind, 2, 3, 4)
    loss = kind()
    without = loss.forward(predictions[:2], targets[:2], batch_size=3)
    assert loss.forward(predictions, targets, [1, 1, 0]) == pytest.approx(without, rel=1e-13)
    assert not loss.backward()[2].any()


@every_loss
def test_weights_of_one_change_nothing(kind: type[Loss]) -> None:
    predictions, targets = predictions_for(kind, 2, 3, 4), targets_for(kind, 2, 3, 4)
    plain, weighted = kind(), kind()
    assert weighted.forward(predictions, targets, np.ones(3)) == pytest.approx(plain.forward(predictions, targets))
    np.testing.assert_allclose(weighted.backward(), plain.backward(), rtol=1e-15)


# What a loss keeps and what it leaves alone


@every_loss
def test_predictions_targets_and_weights_are_not_changed(kind: type[Loss]) -> None:
    arrays = predictions_for(kind, 0, 5, 4), targets_for(kind, 0, 5, 4), np.ones(5)
    copies = [array.copy() for array in arrays]
    loss = kind()
    loss.forward(*arrays)
    loss.backward()
    for array, kept in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, kept)


@every_loss
def test_backward_may_be_repeated_and_gives_an_array_of_its_own(kind: type[Loss]) -> None:
    loss = kind()
    loss.forward(predictions_for(kind, 0, 5, 4), targets_for(kind, 0, 5, 4))
    first = loss.backward()
    kept = first.copy()
    second = loss.backward()
    assert loss.dinputs is second
    assert not np.shares_memory(first, second)
    loss.forward(predictions_for(kind, 9, 5, 4), targets_for(kind, 9, 5, 4))
    loss.backward()
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(second, kept)


@every_loss
def test_sample_losses_leave_the_last_forward_alone(kind: type[Loss]) -> None:
    loss = kind()
    loss.forward(predictions_for(kind, 0, 5, 4), targets_for(kind, 0, 5, 4))
    expected = loss.backward()
    loss.sample_losses(predictions_for(kind, 9, 3, 2), targets_for(kind, 9, 3, 2))
    np.testing.assert_array_equal(loss.backward(), expected)


@every_loss
def test_the_gradient_of_each_sample_does_not_depend_on_the_batch(kind: type[Loss]) -> None:
    predictions, targets = predictions_for(kind, 0, 5, 4), targets_for(kind, 0, 5, 4)
    loss = kind()
    gradient = loss.gradient(predictions, targets)
    assert gradient.shape == predictions.shape
    np.testing.assert_allclose(loss.gradient(predictions[2:3], targets[2:3]), gradient[2:3], rtol=1e-13)
    loss.forward(predictions, targets, [1, 2, 3, 4, 5], batch_size=8)
    np.testing.assert_allclose(loss.backward(), gradient * np.arange(1, 6)[:, None] / 8, rtol=1e-13)


@every_loss
def test_the_gradient_of_other_predictions_leaves_the_last_forward_alone(kind: type[Loss]) -> None:
    loss = kind()
    loss.forward(predictions_for(kind, 0, 5, 4), targets_for(kind, 0, 5, 4))
    expected, output = loss.backward(), np.array(getattr(loss, "output", None))
    loss.gradient(predictions_for(kind, 9, 3, 2), targets_for(kind, 9, 3, 2))
    loss.sample_losses(predictions_for(kind, 9, 3, 2), targets_for(kind, 9, 3, 2))
    np.testing.assert_array_equal(np.array(getattr(loss, "output", None)), output)
    np.testing.assert_array_equal(loss.dinputs, expected)
    np.testing.assert_array_equal(loss.backward(), expected)


@every_loss
def test_the_gradient_is_a_new_array(kind: type[Loss]) -> None:
    predictions, targets = predictions_for(kind, 0, 5, 4), targets_for(kind, 0, 5, 4)
    first, second = kind().gradient(predictions, targets), kind().gradient(predictions, targets)
    assert not np.shares_memory(first, second)
    assert not np.shares_memory(first, predictions)


@every_loss
def test_arrays_that_are_changed_after_forward_do_not_change_backward(kind: type[Loss]) -> None:
    predictions, targets = predictions_for(kind, 0, 5, 4), targets_for(kind, 0, 5, 4)
    weights = np.arange(5.0)
    loss = kind()
    loss.forward(predictions, targets, weights)
    expected = loss.backward()
    loss.forward(predictions, targets, weights)
    predictions[...], targets[...], weights[...] = 0.5, 0, 7
    np.testing.assert_array_equal(loss.backward(), expected)


@every_loss
@pytest.mark.parametrize("order", strategies.MEMORY_ORDERS)
def test_the_memory_order_of_the_predictions_changes_nothing(kind: type[Loss], order: str) -> None:
    predictions, targets = predictions_for(kind, 0, 5, 4), targets_for(kind, 0, 5, 4)
    loss = kind()
    expected = loss.forward(predictions, targets), loss.backward()
    assert loss.forward(strategies.in_memory_order(predictions, order), targets) == pytest.approx(
        expected[0], rel=1e-14
    )
    np.testing.assert_allclose(loss.backward(), expected[1], rtol=1e-14)


@every_loss
def test_backward_needs_a_forward(kind: type[Loss]) -> None:
    message = rf"{kind.__name__}\.backward needs a forward before it: call forward\(predictions, targets\)\."
    with pytest.raises(RuntimeError, match=message):
        kind().backward()


@every_loss
@pytest.mark.parametrize("make_copy", [copy.copy, copy.deepcopy, lambda loss: pickle.loads(pickle.dumps(loss))])  # noqa: S301
def test_a_copy_is_set_up_alike_and_has_measured_nothing(kind: type[Loss], make_copy: Callable[[Loss], Loss]) -> None:
    loss = kind(0.1) if kind in CATEGORICAL else kind()
    predictions, targets = predictions_for(kind, 0, 5, 4), targets_for(kind, 0, 5, 4)
    expected = loss.forward(predictions, targets), loss.backward()
    twin = make_copy(loss)
    assert twin.dinputs is None
    assert getattr(twin, "output", None) is None
    with pytest.raises(RuntimeError, match=r"backward needs a forward before it"):
        twin.backward()
    assert twin.forward(predictions, targets) == expected[0]
    np.testing.assert_array_equal(twin.backward(), loss.backward())


class TestOwnLosses:
    def test_a_loss_without_its_functions_says_which(self) -> None:
        class Nothing(Loss):
            pass

        with pytest.raises(
            NotImplementedError, match=r"Nothing must define sample_losses\(self, predictions, targets\)"
        ):
            Nothing().forward([[1.0]], [[1.0]])
        with pytest.raises(NotImplementedError, match=r"Nothing must define gradient\(self, predictions, targets\)"):
            Nothing().gradient(np.ones((1, 1)), np.ones((1, 1)))

    def test_gradients_of_another_type_are_brought_to_that_of_the_predictions(self) -> None:
        class Whole(Loss):
            def sample_losses(self, predictions: Any, targets: Any) -> Any:
                return [3, 4]

            def gradient(self, predictions: Any, targets: Any) -> Any:
                return np.array([[1, 2], [3, 4]])

        loss = Whole()
        assert loss.forward(np.ones((2, 2), np.float32), [0, 0]) == 3.5
        assert loss.backward().dtype == np.float32
        assert loss.backward().tolist() == [[0.5, 1], [1.5, 2]]

    @pytest.mark.parametrize(
        ("returned", "error", "message"),
        [
            (np.ones((2, 2), complex), TypeError, r"Wrong\.gradient must return real numbers, got complex128\."),
            (
                np.ones(2),
                ValueError,
                r"Wrong\.gradient must return an array of shape \(2, 2\), as the predictions, got",
            ),
        ],
    )
    def test_gradients_that_do_not_fit_are_refused(self, returned: Any, error: type[Exception], message: str) -> None:
        class Wrong(Loss):
            def sample_losses(self, predictions: Any, targets: Any) -> Any:
                return np.zeros(2)

            def gradient(self, predictions: Any, targets: Any) -> Any:
                return returned

        loss = Wrong()
        loss.forward(np.ones((2, 2)), [0, 0])
        with pytest.raises(error, match=message):
            loss.backward()

    def test_a_loss_that_does_not_keep_its_arguments_cannot_be_described(self) -> None:
        class Forgetful(Loss):
            def __init__(self, scale: float) -> None:
                pass

        with pytest.raises(AttributeError, match=r"Forgetful does not keep its argument 'scale'. Set self\.scale"):
            Forgetful(2.0).config()

    def test_targets_of_any_kind_are_taken_one_for_each_sample(self) -> None:
        assert Loss().check_targets(["a", "b"], (2, 7)).tolist() == ["a", "b"]
        with pytest.raises(
            ValueError, match=r"Loss expects one target for each of the 2 samples, got a single number\."
        ):
            Loss().check_targets(1, (2, 7))


def test_config_holds_the_arguments() -> None:
    assert SoftmaxCategoricalCrossentropy(0.1).config() == {"label_smoothing": 0.1}
    assert CategoricalCrossentropy().config() == {"label_smoothing": 0.0}
    assert MeanSquaredError().config() == BinaryCrossentropy().config() == SigmoidBinaryCrossentropy().config() == {}


@every_loss
def test_other_numbers_are_taken_as_float64(kind: type[Loss]) -> None:
    predictions = np.array([[0, 1], [1, 0]])
    loss = kind()
    for dtype in (np.int64, np.bool_, np.float16):
        loss.forward(predictions.astype(dtype), targets_for(kind, 0, 2, 2))
        assert loss.backward().dtype == np.float64


def test_the_batch_may_be_these_samples_alone() -> None:
    predictions, targets = np.ones((2, 1)), np.zeros((2, 1))
    assert MeanSquaredError().forward(predictions, targets, batch_size=2) == 1


# Parity with PyTorch


@every_loss
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_parity_with_pytorch(kind: type[Loss], dtype: type, tolerance: float, smoothing: float) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: make parity installs it")
    functional = torch.nn.functional
    predictions, targets = predictions_for(kind, 0, 16, 10, dtype), targets_for(kind, 0, 16, 10)
    theirs = torch.tensor(predictions, requires_grad=True)
    truth = torch.tensor(targets if kind in CATEGORICAL else targets.astype(dtype))
    their_loss = {
        SoftmaxCategoricalCrossentropy: lambda: functional.cross_entropy(theirs, truth, label_smoothing=smoothing),
        CategoricalCrossentropy: lambda: (
            (1 - smoothing) * functional.nll_loss(theirs.log(), truth) - smoothing * theirs.log().mean()
        ),
        BinaryCrossentropy: lambda: functional.binary_cross_entropy(theirs, truth),
        SigmoidBinaryCrossentropy: lambda: functional.binary_cross_entropy_with_logits(theirs, truth),
        MeanSquaredError: lambda: functional.mse_loss(theirs, truth),
    }[kind]()
    their_loss.backward()

    loss = kind(smoothing) if kind in CATEGORICAL else kind()
    assert loss.forward(predictions, targets) == pytest.approx(their_loss.item(), rel=tolerance)
    np.testing.assert_allclose(loss.backward(), theirs.grad.numpy(), rtol=tolerance, atol=tolerance * 1e-2)
