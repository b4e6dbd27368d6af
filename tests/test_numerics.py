"""Extreme numbers: finite results where the mathematics has one, and a clear end where training leaves the numbers."""

import json

import numpy as np
import pytest

import handconv as hc
from handconv.cli import main
from strategies import normal

DTYPES = [np.float32, np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("label", [0, 1, 2])
def test_logits_of_ten_thousand_give_the_exact_loss_and_gradient(dtype: type, label: int) -> None:
    loss = hc.SoftmaxCategoricalCrossentropy()
    logits = np.array([[1e4, -1e4, 0.0]], dtype)
    assert loss.forward(logits, [label]) == pytest.approx([0.0, 2e4, 1e4][label])
    expected = np.array([[1.0, 0.0, 0.0]])
    expected[0, label] -= 1
    assert (loss.backward() == expected).all()


def small_network(dtype: str = "float32", dropout: float = 0.3) -> hc.Sequential:
    layers = [
        hc.Conv2D(2, 3),
        hc.LeakyReLU(),
        hc.MaxPool2D(2),
        hc.Flatten(),
        hc.Dropout(dropout),
        hc.Dense(3),
        hc.Softmax(),
    ]
    return hc.Sequential(layers, input_shape=(1, 8, 8), seed=0, dtype=dtype)


@pytest.mark.filterwarnings("ignore:x looks like pixels")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, 1e4, 1e-40, 1e-45])
def test_equal_inputs_large_small_or_denormal_train_to_finite_weights(value: float, dtype: str) -> None:
    model = small_network(dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        history = model.fit(np.full((6, 1, 8, 8), value, dtype), [0, 1, 2, 0, 1, 2], epochs=3, batch_size=4)
    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(model.parameters).all()


def test_batches_of_one_class_and_of_one_sample_train() -> None:
    x = normal(0, 5, 1, 8, 8, dtype=np.float32)
    for labels, batch in (([1] * 5, 5), ([0, 1, 2, 0, 1], 1)):
        model = small_network()
        history = model.fit(x, labels, epochs=40, batch_size=batch, optimizer=hc.Adam(0.01))
        assert np.isfinite(model.parameters).all()
        assert history["data_loss"][-1] < history["data_loss"][0]


def test_when_all_units_are_dropped_only_biases_behind_them_get_a_gradient() -> None:
    model = small_network(dropout=0.99)
    loss, scores = hc.SoftmaxCategoricalCrossentropy(), model.layers[:-1]
    dropout = model.layers[4]
    assert isinstance(dropout, hc.Dropout)
    value = np.nan
    for seed in range(50):
        dropout.generator = np.random.default_rng(seed)
        outputs: np.ndarray = np.ones((1, 1, 8, 8), np.float32)
        for layer in scores:
            outputs = layer.forward(outputs, training=True)
        value = loss.forward(outputs, [1])
        if not np.any(dropout.mask):
            break
    assert not np.any(dropout.mask)
    assert value == pytest.approx(np.log(3))
    gradient = loss.backward()
    for layer in reversed(scores):
        gradient = layer.backward(gradient)
    gradients = {view.name: view.of(model.gradients) for view in model.views}
    assert [name for name, gradient in gradients.items() if np.any(gradient)] == ["5.biases"]


def test_adam_takes_gradients_that_are_denormal_zero_or_large() -> None:
    parameters = np.zeros(4, np.float32)
    hc.Adam(0.1).step(parameters, np.array([1e-45, 1e-40, 0.0, 1e15], np.float32))
    assert np.isfinite(parameters).all()
    assert parameters[3] == pytest.approx(-0.1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", [hc.Adam(beta_2=0.9), hc.AdamW(beta_2=0.9), hc.SGD(0.1, 0.9)], ids=repr)
def test_where_gradients_stay_zero_no_moment_becomes_subnormal(optimizer: hc.Optimizer, dtype: type) -> None:
    optimizer = hc.optimizers.from_config(optimizer.config())
    parameters, gradients = np.ones(3, dtype), np.array([1e-3, -1.0, 1e15], dtype)
    optimizer.step(parameters, gradients)
    tiny, steps = np.finfo(dtype).tiny, 0
    while any(vector.any() for vector in optimizer.state.values()):
        optimizer.step(parameters, 0 * gradients)
        steps += 1
        for vector in optimizer.state.values():
            assert (np.abs(vector[vector != 0]) >= tiny).all()
    assert steps < 8000


def test_moments_of_ordinary_gradients_are_left_alone() -> None:
    parameters, gradients = np.zeros(2), np.array([1e-3, 1e-12])
    adam, m, v = hc.Adam(), 0.0, 0.0
    for _ in range(130):
        adam.step(parameters, gradients)
        m, v = 0.9 * m + (1 - 0.9) * gradients, 0.999 * v + (1 - 0.999) * gradients**2
    np.testing.assert_array_equal(adam.state["m"], m)
    np.testing.assert_array_equal(adam.state["v"], v)


def test_a_diverging_run_of_sgd_says_where_and_what_to_do() -> None:
    # errstate: on the way there NumPy warns of overflow in softmax, the loss and the dense layer.
    x, y = normal(0, 32, 1, 8, 8, dtype=np.float32), np.arange(32) % 3
    with pytest.raises(
        hc.DivergenceError,
        match=r"epoch \d+, step \d+: .* layer \d+ \((Conv2D|Dense)\)\. Use a smaller learning rate \(it is 1e\+07\)",
    ), np.errstate(all="ignore"):  # fmt: skip
        small_network().fit(x, y, epochs=50, batch_size=8, optimizer=hc.SGD(1e7))


def test_on_the_command_line_a_diverging_run_is_one_line_and_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ["--dataset", "digits", "--source", "offline", "--epochs", "9", "--learning-rate", "1e6", "--no-play"]
    assert main(["train", *arguments, "--json"]) == 1
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    assert "Training diverged in epoch" in shown.err.splitlines()[-1]
    assert all(json.loads(line)["event"] != "result" for line in shown.out.splitlines())
