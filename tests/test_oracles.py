"""The oracles tested against cases worked by hand."""

import math

import numpy as np
import pytest

import oracles
from oracles import Array

# 1 2 3
# 4 5 6
# 7 8 9
NINE = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)


def image(*rows: list[float]) -> Array:
    """One sample, one channel."""
    return np.array(rows, dtype=np.float64)[None, None]


class TestConvolutionByHand:
    kernel = image([1, 0], [0, 2])
    bias = np.array([0.5])

    def test_forward(self) -> None:
        # 1·1 + 2·5 + 0.5 = 11.5    1·2 + 2·6 + 0.5 = 14.5
        # 1·4 + 2·8 + 0.5 = 20.5    1·5 + 2·9 + 0.5 = 23.5
        y = oracles.conv2d_forward(NINE, self.kernel, self.bias)
        np.testing.assert_array_equal(y, image([11.5, 14.5], [20.5, 23.5]))

    def test_the_kernel_is_not_flipped(self) -> None:
        y = oracles.conv2d_forward(NINE, image([0, 1], [0, 0]), np.zeros(1))
        np.testing.assert_array_equal(y, image([2, 3], [5, 6]))

    def test_channels_are_summed_and_filters_are_apart(self) -> None:
        x = np.array([2.0, 3.0]).reshape(1, 2, 1, 1)
        weights = np.array([[10.0, 100.0], [1.0, -1.0]]).reshape(2, 2, 1, 1)
        # filter 0: 2·10 + 3·100 + 7 = 327    filter 1: 2·1 - 3·1 + 0 = -1
        y = oracles.conv2d_forward(x, weights, np.array([7.0, 0.0]))
        np.testing.assert_array_equal(y.ravel(), [327, -1])

    def test_backward(self) -> None:
        dy = image([1, 2], [3, 4])
        dx, dweights, dbiases = oracles.conv2d_backward(NINE, self.kernel, dy)
        # each dy is laid down at its window, times the kernel [1 0; 0 2]:
        #   1    2        0
        #   3    4 + 2·1  2·2
        #   0    2·3      2·4
        np.testing.assert_array_equal(dx, image([1, 2, 0], [3, 6, 4], [0, 6, 8]))
        # dw[0, 0] = 1·1 + 2·2 + 3·4 + 4·5 = 37    dw[0, 1] = 1·2 + 2·3 + 3·5 + 4·6 = 47
        # dw[1, 0] = 1·4 + 2·5 + 3·7 + 4·8 = 67    dw[1, 1] = 1·5 + 2·6 + 3·8 + 4·9 = 77
        np.testing.assert_array_equal(dweights, image([37, 47], [67, 77]))
        np.testing.assert_array_equal(dbiases, [1 + 2 + 3 + 4])

    def test_stride_pair(self) -> None:
        # a 1x1 kernel with stride (2, 1) takes rows 0 and 2, every column
        y = oracles.conv2d_forward(NINE, image([1]), np.zeros(1), stride=(2, 1))
        np.testing.assert_array_equal(y, image([1, 2, 3], [7, 8, 9]))

    def test_asymmetric_padding(self) -> None:
        # one row of zeros on top, one column on the right; the kernel adds up its 2x2 window:
        # 0 0 0 0       1+2    2+3    3+0          3  5  3
        # 1 2 3 0  ->   1+2+4+5  2+3+5+6  3+6  =  12 16  9
        # 4 5 6 0       4+5+7+8  5+6+8+9  6+9     24 28 15
        # 7 8 9 0
        y = oracles.conv2d_forward(NINE, np.ones((1, 1, 2, 2)), np.zeros(1), padding=((1, 0), (0, 1)))
        np.testing.assert_array_equal(y, image([3, 5, 3], [12, 16, 9], [24, 28, 15]))

    def test_rectangular_kernel(self) -> None:
        # 1x3 kernel: 1·1 + 2·10 + 3·100 = 321, and so on
        y = oracles.conv2d_forward(NINE, image([1, 10, 100]), np.zeros(1))
        np.testing.assert_array_equal(y, image([321], [654], [987]))

    def test_batch_gradients_are_added(self) -> None:
        x = np.array([2.0, 3.0]).reshape(2, 1, 1, 1)
        dy = np.array([10.0, 100.0]).reshape(2, 1, 1, 1)
        dx, dweights, dbiases = oracles.conv2d_backward(x, image([5]), dy)
        # dx = 5·10, 5·100    dw = 2·10 + 3·100    db = 10 + 100
        np.testing.assert_array_equal(dx.ravel(), [50, 500])
        assert dweights.item() == 320
        assert dbiases.item() == 110


class TestPoolingByHand:
    def test_max_overlapping_windows_add_their_gradients(self) -> None:
        # 2x2 windows, stride 1: the 9 wins once, the 5 in the middle three times
        x = image([1, 2, 3], [4, 5, 0], [0, 1, 9])
        np.testing.assert_array_equal(oracles.max_pool_forward(x, (2, 2), (1, 1)), image([5, 5], [5, 9]))
        dx = oracles.max_pool_backward(x, image([1, 10], [100, 1000]), (2, 2), (1, 1))
        np.testing.assert_array_equal(dx, image([0, 0, 0], [0, 1 + 10 + 100, 0], [0, 0, 1000]))

    def test_max_ties_go_to_the_first_in_row_major_order(self) -> None:
        x = image([0, 7], [7, 7])
        np.testing.assert_array_equal(oracles.max_pool_backward(x, image([3]), (2, 2), (2, 2)), image([0, 3], [0, 0]))

    def test_max_drops_the_odd_row_and_column(self) -> None:
        # only the window 1 2 / 4 5 fits with stride 2; 9 is never seen
        np.testing.assert_array_equal(oracles.max_pool_forward(NINE, (2, 2), (2, 2)), image([5]))
        dx = oracles.max_pool_backward(NINE, image([6]), (2, 2), (2, 2))
        np.testing.assert_array_equal(dx, image([0, 0, 0], [0, 6, 0], [0, 0, 0]))

    def test_max_padding_is_minus_infinity(self) -> None:
        # padding 1 around -1 -2 / -3 -4, windows 2x2, stride 2: each corner window sees one pixel
        x = image([-1, -2], [-3, -4])
        around = ((1, 1), (1, 1))
        np.testing.assert_array_equal(oracles.max_pool_forward(x, (2, 2), (2, 2), around), x)
        np.testing.assert_array_equal(oracles.max_pool_backward(x, x, (2, 2), (2, 2), around), x)

    def test_max_stride_beyond_the_window(self) -> None:
        np.testing.assert_array_equal(oracles.max_pool_forward(NINE, (1, 1), (2, 2)), image([1, 3], [7, 9]))

    def test_average(self) -> None:
        # (1+2+4+5)/4 = 3, (2+3+5+6)/4 = 4, (4+5+7+8)/4 = 6, (5+6+8+9)/4 = 7
        np.testing.assert_array_equal(oracles.average_pool_forward(NINE, (2, 2), (1, 1)), image([3, 4], [6, 7]))
        # the centre gets a quarter of all four, an edge of two, a corner of one
        dx = oracles.average_pool_backward(NINE.shape, image([4, 8], [12, 16]), (2, 2), (1, 1))
        np.testing.assert_array_equal(dx, image([1, 1 + 2, 2], [1 + 3, 1 + 2 + 3 + 4, 2 + 4], [3, 3 + 4, 4]))

    def test_average_padding_counts_as_zeros_unless_told_not_to(self) -> None:
        # padding 1, 2x2 windows, stride 2: the corner window holds three zeros and a pixel
        x = image([4, 8], [12, 16])
        around = ((1, 1), (1, 1))
        np.testing.assert_array_equal(oracles.average_pool_forward(x, (2, 2), (2, 2), around), x / 4)
        alone = oracles.average_pool_forward(x, (2, 2), (2, 2), around, count_include_pad=False)
        np.testing.assert_array_equal(alone, x)
        dx = oracles.average_pool_backward(x.shape, x, (2, 2), (2, 2), around)
        np.testing.assert_array_equal(dx, x / 4)
        dx = oracles.average_pool_backward(x.shape, x, (2, 2), (2, 2), around, count_include_pad=False)
        np.testing.assert_array_equal(dx, x)

    def test_global_average(self) -> None:
        # (1 + … + 9) / 9 = 45 / 9
        assert oracles.global_average_pool_forward(NINE).item() == pytest.approx(5)
        dx = oracles.global_average_pool_backward(NINE.shape, np.array([[18.0]]))
        np.testing.assert_array_equal(dx, np.full((1, 1, 3, 3), 2.0))


class TestDenseDropoutPenaltyByHand:
    def test_dense(self) -> None:
        x = np.array([[1.0, 2.0]])
        weights = np.array([[3.0, 4.0], [5.0, 6.0]])
        # 1·3 + 2·5 + 0.5 = 13.5    1·4 + 2·6 - 1 = 15
        np.testing.assert_array_equal(oracles.dense_forward(x, weights, np.array([0.5, -1.0])), [[13.5, 15]])
        dx, dweights, dbiases = oracles.dense_backward(x, weights, np.array([[10.0, 100.0]]))
        # dx = 3·10 + 4·100, 5·10 + 6·100    dw = 1·10 1·100 / 2·10 2·100
        np.testing.assert_array_equal(dx, [[430, 650]])
        np.testing.assert_array_equal(dweights, [[10, 100], [20, 200]])
        np.testing.assert_array_equal(dbiases, [10, 100])

    def test_dropout_keeps_and_scales(self) -> None:
        # rate 0.75: what is kept is divided by 0.25
        result = oracles.dropout(np.array([1.0, 2.0, 3.0]), np.array([True, False, True]), 0.75)
        np.testing.assert_array_equal(result, [4, 0, 12])

    def test_penalty(self) -> None:
        weights = np.array([3.0, -4.0, 0.0])
        # 2·(3 + 4 + 0) + 10·(9 + 16 + 0) = 264
        assert oracles.penalty(weights, l1=2, l2=10) == 264
        # 2·(1, -1, 0) + 2·10·(3, -4, 0)
        np.testing.assert_array_equal(oracles.penalty_gradient(weights, l1=2, l2=10), [62, -82, 0])


class TestActivationsByHand:
    def test_leaky_relu_and_relu(self) -> None:
        x, dy = np.array([-2.0, 0.0, 3.0]), np.array([10.0, 20.0, 30.0])
        np.testing.assert_array_equal(oracles.leaky_relu_forward(x, 0.5), [-1, 0, 3])
        np.testing.assert_array_equal(oracles.leaky_relu_backward(x, dy, 0.5), [5, 10, 30])
        np.testing.assert_array_equal(oracles.relu_forward(x), [0, 0, 3])
        np.testing.assert_array_equal(oracles.relu_backward(x, dy), [0, 0, 30])

    def test_sigmoid(self) -> None:
        # s(ln 3) = 1 / (1 + 1/3) = 3/4, its slope 3/4 · 1/4
        x = np.array([0.0, math.log(3), -1000.0, 1000.0])
        np.testing.assert_allclose(oracles.sigmoid_forward(x), [0.5, 0.75, 0, 1])
        np.testing.assert_allclose(oracles.sigmoid_backward(x, np.full(4, 16.0)), [4, 3, 0, 0])

    def test_tanh(self) -> None:
        # tanh(ln 2) = (2 - 1/2) / (2 + 1/2) = 0.6, its slope 1 - 0.36
        x = np.array([0.0, math.log(2)])
        np.testing.assert_allclose(oracles.tanh_forward(x), [0, 0.6])
        np.testing.assert_allclose(oracles.tanh_backward(x, np.array([2.0, 100.0])), [2, 64])

    def test_softmax(self) -> None:
        # e^0 : e^ln3 = 1 : 3; shifted by 1e4 it is the same
        x = np.array([[0.0, math.log(3)], [1e4, 1e4 + math.log(3)]])
        np.testing.assert_allclose(oracles.softmax_forward(x), [[0.25, 0.75]] * 2, rtol=1e-11)
        # dy = (1, 0): dx = y0·(1 - y0), -y0·y1 = 3/16, -3/16
        dx = oracles.softmax_backward(x[:1], np.array([[1.0, 0.0]]))
        np.testing.assert_allclose(dx, [[3 / 16, -3 / 16]])


class TestLossesByHand:
    logits = np.array([[0.0, math.log(3)], [0.0, 0.0]])  # probabilities 1/4 3/4 and 1/2 1/2
    targets = oracles.one_hot([1, 0], 2)

    def test_one_hot(self) -> None:
        np.testing.assert_array_equal(self.targets, [[0, 1], [1, 0]])

    def test_softmax_crossentropy(self) -> None:
        loss, gradient = oracles.softmax_crossentropy(self.logits, self.targets)
        assert loss == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
        # (p - q) / 2: (1/4 - 0, 3/4 - 1) / 2 and (1/2 - 1, 1/2 - 0) / 2
        np.testing.assert_allclose(gradient, [[1 / 8, -1 / 8], [-1 / 4, 1 / 4]])

    def test_softmax_crossentropy_smoothed(self) -> None:
        # s = 0.2, K = 2: q = (0.1, 0.9) for class 1; loss = 0.1·ln 4 + 0.9·ln(4/3)
        loss, gradient = oracles.softmax_crossentropy(self.logits[:1], self.targets[:1], label_smoothing=0.2)
        assert loss == pytest.approx(0.1 * math.log(4) + 0.9 * math.log(4 / 3))
        np.testing.assert_allclose(gradient, [[0.25 - 0.1, 0.75 - 0.9]])

    def test_sample_weights_multiply_and_the_mean_stays_over_n(self) -> None:
        # weights 3 and 0: 3·ln(4/3) / 2, not divided by their sum
        loss, gradient = oracles.softmax_crossentropy(self.logits, self.targets, sample_weights=[3, 0])
        assert loss == pytest.approx(3 * math.log(4 / 3) / 2)
        np.testing.assert_allclose(gradient, [[3 / 8, -3 / 8], [0.0, 0.0]])

    def test_softmax_crossentropy_of_huge_logits_is_finite(self) -> None:
        loss, gradient = oracles.softmax_crossentropy(np.array([[1e4, -1e4]]), np.array([[0.0, 1.0]]))
        assert loss == 2e4
        np.testing.assert_array_equal(gradient, [[1, -1]])

    def test_categorical_crossentropy(self) -> None:
        # (-ln 3/4 - 2·ln 1/2) / 2; gradient -1/(3/4)/2 and -2/(1/2)/2
        p = np.array([[0.25, 0.75], [0.5, 0.5]])
        loss, gradient = oracles.categorical_crossentropy(p, self.targets, sample_weights=[1, 2])
        assert loss == pytest.approx((math.log(4 / 3) + 2 * math.log(2)) / 2)
        np.testing.assert_allclose(gradient, [[0.0, -2 / 3], [-2.0, 0.0]])

    def test_binary_crossentropy(self) -> None:
        # one sample, two outputs: (-ln 1/4 - ln(1 - 1/5)) / 2
        loss, gradient = oracles.binary_crossentropy(np.array([[0.25, 0.2]]), np.array([[1.0, 0.0]]))
        assert loss == pytest.approx((math.log(4) + math.log(5 / 4)) / 2)
        # -1/0.25 / 2 = -2    +1/0.8 / 2 = 0.625
        np.testing.assert_allclose(gradient, [[-2, 0.625]])

    def test_sigmoid_crossentropy(self) -> None:
        # probabilities 3/4 and 1/2 of the truths yes and no: (-ln 3/4 - ln 1/2) / 2
        loss, gradient = oracles.sigmoid_crossentropy(np.array([[math.log(3), 0.0]]), np.array([[1.0, 0.0]]))
        assert loss == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
        # (3/4 - 1) / 2 = -0.125    (1/2 - 0) / 2 = 0.25
        np.testing.assert_allclose(gradient, [[-0.125, 0.25]])

    def test_mean_squared_error(self) -> None:
        # sample 0: (4 + 16) / 2 = 10, sample 1: (0 + 36) / 2 = 18 twice; (10 + 36) / 2 = 23
        y, t = np.array([[3.0, 5.0], [1.0, 0.0]]), np.array([[1.0, 1.0], [1.0, 6.0]])
        loss, gradient = oracles.mean_squared_error(y, t, sample_weights=[1, 2])
        assert loss == 23
        # 2·2/2/2 = 1    2·4/2/2 = 2    0    2·2·(-6)/2/2 = -6
        np.testing.assert_array_equal(gradient, [[1, 2], [0, -6]])


class TestOptimizersByHand:
    start = np.array([1.0])
    two = (np.array([2.0]), np.array([1.0]))

    def test_sgd(self) -> None:
        # 1 - 0.1·2 - 0.1·1
        assert oracles.sgd(self.start, self.two, learning_rate=0.1).item() == pytest.approx(0.7)

    def test_sgd_with_momentum(self) -> None:
        # v = 2, then 0.5·2 + 1 = 2: 1 - 0.1·2 - 0.1·2
        assert oracles.sgd(self.start, self.two, learning_rate=0.1, momentum=0.5).item() == pytest.approx(0.6)

    def test_nesterov(self) -> None:
        # v = 2, step 0.1·(2 + 0.5·2) = 0.3; v = 2, step 0.1·(1 + 0.5·2) = 0.2
        result = oracles.sgd(self.start, self.two, learning_rate=0.1, momentum=0.5, nesterov=True)
        assert result.item() == pytest.approx(0.5)

    def test_adam(self) -> None:
        # beta1 = 1/2, beta2 = 3/4, no epsilon
        # t=1: m = 1, m̂ = 1/(1/2) = 2    v = 4/4 = 1, v̂ = 1/(1/4) = 4    step 0.1·2/2 = 0.1
        # t=2: m = 1/2 + 1/2 = 1, m̂ = 1/(3/4) = 4/3    v = 3/4 + 1/4 = 1, v̂ = 1/(7/16) = 16/7
        #      step 0.1·(4/3)/(4/√7) = 0.1·√7/3
        result = oracles.adam(self.start, self.two, learning_rate=0.1, beta1=0.5, beta2=0.75, epsilon=0)
        assert result.item() == pytest.approx(1 - 0.1 - 0.1 * math.sqrt(7) / 3)

    def test_adam_epsilon_stands_beside_the_root(self) -> None:
        # one step: m̂ = g = 2, √v̂ = 2, epsilon 2: 0.1·2/(2 + 2)
        assert oracles.adam(self.start, self.two[:1], learning_rate=0.1, epsilon=2).item() == pytest.approx(0.95)

    def test_adamw_shrinks_the_weight_apart_from_the_gradient(self) -> None:
        # one step: 1 - 0.1·0.5·1 = 0.95, then the step of Adam, 0.1·2/2
        result = oracles.adam(self.start, self.two[:1], learning_rate=0.1, epsilon=0, weight_decay=0.5)
        assert result.item() == pytest.approx(0.85)

    def test_rmsprop(self) -> None:
        # rho = 3/4, no epsilon: v = 1, step 0.1·2/1; v = 3/4 + 1/4 = 1, step 0.1·1/1
        result = oracles.rmsprop(self.start, self.two, learning_rate=0.1, rho=0.75, epsilon=0)
        assert result.item() == pytest.approx(0.7)

    def test_rmsprop_with_momentum(self) -> None:
        # the same, with velocity 2/1, then 0.5·2 + 1/1 = 2
        result = oracles.rmsprop(self.start, self.two, learning_rate=0.1, rho=0.75, momentum=0.5, epsilon=0)
        assert result.item() == pytest.approx(0.6)

    def test_adagrad(self) -> None:
        # epsilon 1: v = 4, step 0.1·2/(2 + 1); v = 5, step 0.1·1/(√5 + 1)
        result = oracles.adagrad(self.start, self.two, learning_rate=0.1, epsilon=1)
        assert result.item() == pytest.approx(1 - 0.2 / 3 - 0.1 / (math.sqrt(5) + 1))

    def test_lion(self) -> None:
        # beta1 = 1/2, beta2 = 3/4: c = 1, step 0.1, m = 1/2; c = 1/4 - 3/2 < 0, step -0.1
        two = (np.array([2.0]), np.array([-3.0]))
        result = oracles.lion(self.start, two, learning_rate=0.1, beta1=0.5, beta2=0.75)
        assert result.item() == pytest.approx(1.0)
        result = oracles.lion(self.start, two[:1], learning_rate=0.1, weight_decay=0.5)
        assert result.item() == pytest.approx(1 - 0.1 - 0.05)

    def test_the_parameters_given_are_not_changed(self) -> None:
        for oracle in (oracles.sgd, oracles.adam, oracles.rmsprop, oracles.adagrad, oracles.lion):
            oracle(self.start, self.two)
        assert self.start.item() == 1


class TestResamplingByHand:
    def test_a_place_between_four_pixels(self) -> None:
        # at (0.25, 0.5): 0.75·(0.5·1 + 0.5·2) + 0.25·(0.5·4 + 0.5·5)
        assert oracles.bilinear(NINE[0, 0], 0.25, 0.5) == 0.75 * 1.5 + 0.25 * 4.5

    def test_a_place_on_a_pixel(self) -> None:
        assert oracles.bilinear(NINE[0, 0], 2, 1) == 8

    def test_beyond_the_border_there_is_fill(self) -> None:
        assert oracles.bilinear(NINE[0, 0], 0, -0.25, fill=10) == 0.75 * 1 + 0.25 * 10
        assert oracles.bilinear(NINE[0, 0], 5, 5, fill=10) == 10

    def test_a_matrix_turns_about_the_centre(self) -> None:
        # new (row, column) is read at old (column, -row): the top row 1 2 3 becomes the left column, from below
        turn = np.array([[[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]])
        np.testing.assert_array_equal(oracles.resample(NINE, turn), image([3, 6, 9], [2, 5, 8], [1, 4, 7]))

    def test_a_displacement_is_added_before_the_matrix(self) -> None:
        double = np.array([[[2.0, 0, 0], [0, 2, 0], [0, 0, 1]]])
        # the middle pixel (0, 0), displaced by (0.5, 0), is read at (1, 0) from the centre
        displacements = np.zeros((2, 1, 3, 3))
        displacements[0] = 0.5
        assert oracles.resample(NINE, double, displacements)[0, 0, 1, 1] == 8


def test_batch_norm_by_hand() -> None:
    # channel values 1 and 5: mean 3, variance 4, with epsilon 0 normalised to -1 and 1; 10·(∓1) + 2
    x = np.array([1.0, 5.0]).reshape(2, 1, 1, 1)
    y, mean, variance = oracles.batch_norm_forward(x, np.array([10.0]), np.array([2.0]), epsilon=0)
    np.testing.assert_array_equal(y.ravel(), [-8, 12])
    assert (mean.item(), variance.item()) == (3, 4)
    # two values normalise to ∓1 whatever they are: dx = 0; dgamma = -1·3 + 1·4, dbeta = 3 + 4
    dx, dgamma, dbeta = oracles.batch_norm_backward(x, np.array([10.0]), x * 0 + [[[[3]]], [[[4]]]], epsilon=0)
    np.testing.assert_array_equal(dx.ravel(), [0, 0])
    assert (dgamma.item(), dbeta.item()) == (1, 7)


def test_numerical_gradient_by_hand() -> None:
    # d(a² + 3b) = 2a, 3
    gradient = oracles.numerical_gradient(lambda x: float(x[0] ** 2 + 3 * x[1]), np.array([5.0, 7.0]))
    np.testing.assert_allclose(gradient, [10, 3])
