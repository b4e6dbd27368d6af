"""A network: one vector of parameters and one of gradients, and a chain of layers over them."""

from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv import layers
from handconv.layers import Conv2D, Dense, Dropout, Flatten, Layer, LeakyReLU, MaxPool2D, ReLU, Sigmoid, Softmax
from handconv.network import Network
from helpers import assert_close
from network_cases import IMAGE, small
from oracles import (
    dense_backward,
    dense_forward,
    numerical_gradient,
    penalty,
    penalty_gradient,
    relu_backward,
    relu_forward,
)


class TestVectors:
    def test_named_parameters_are_paths_in_the_order_of_the_layers(self) -> None:
        named = small().named_parameters()
        assert {name: array.shape for name, array in named.items()} == {
            "conv.weights": (3, 2, 3, 3), "conv.biases": (3,), "4.weights": (48, 4), "4.biases": (4,),
        }  # fmt: skip
        assert list(named) == ["conv.weights", "conv.biases", "4.weights", "4.biases"]

    def test_named_parameters_lie_one_after_another_in_the_vector(self) -> None:
        network = small()
        network.parameters[...] = np.arange(network.parameters.size)
        joined = np.concatenate([array.ravel() for array in network.named_parameters().values()])
        np.testing.assert_array_equal(joined, np.arange(network.parameters.size))

    def test_layers_hold_views_into_the_vectors(self) -> None:
        network = small()
        conv: Any = network.layers[1]
        network.parameters[...] = 2
        network.gradients[...] = 3
        assert (conv.weights == 2).all()
        assert (conv.dbiases == 3).all()
        conv.weights = np.zeros((3, 2, 3, 3))
        assert (network.parameters[:54] == 0).all()

    def test_backward_fills_the_vector_of_gradients(self, rng: np.random.Generator) -> None:
        network = small()
        network.backward(rng.normal(size=network.forward(rng.normal(size=(2, *IMAGE))).shape))
        conv, dense = network.layers[1], network.layers[4]
        parts = [conv.dweights, conv.dbiases, dense.dweights, dense.dbiases]  # type: ignore[attr-defined]
        np.testing.assert_array_equal(network.gradients, np.concatenate([part.ravel() for part in parts]))

    def test_bind_lets_the_layers_use_other_vectors(self, rng: np.random.Generator) -> None:
        network = small()
        before, x = network.gradients, rng.normal(size=(2, *IMAGE))
        parameters, gradients = np.ones_like(network.parameters), np.zeros_like(before)
        network.bind(parameters, gradients, network.buffers)
        network.backward(np.ones_like(network.forward(x)) * np.arange(4))
        assert network.parameters is parameters
        assert (network.layers[1].weights == 1).all()  # type: ignore[attr-defined]
        assert gradients.any()
        assert not before.any()

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_everything_has_the_networks_dtype(self, dtype: str) -> None:
        network = small(dtype=dtype)
        outputs = network.forward(np.zeros((1, *IMAGE)))
        assert {network.parameters.dtype, network.gradients.dtype, outputs.dtype, network.backward(outputs).dtype} == {
            np.dtype(dtype)
        }

    def test_count_parameters_allocates_nothing(self) -> None:
        network = Network([Dense(10**6), Dense(10**6)])
        assert network.count_parameters((10**6,)) == 2 * (10**12 + 10**6)
        assert network.parameters.size == 0

    def test_count_parameters_counts_what_build_makes(self) -> None:
        network = small(input_shape=None)
        count = network.count_parameters(IMAGE)
        network.build(IMAGE)
        assert count == network.parameters.size == 57 + 196

    def test_a_network_without_parameters_has_empty_vectors(self) -> None:
        network = Network([ReLU(), Flatten()], input_shape=IMAGE)
        assert network.parameters.size == network.gradients.size == 0
        assert network.penalty() == 0

    def test_decayed_leaves_out_biases(self) -> None:
        network = small()
        assert [(place.start, place.stop) for place in network.decayed()] == [(0, 54), (57, 249)]


class TestBuilding:
    def test_shapes_follow_from_the_input_shape(self) -> None:
        network = small()
        assert [layer.output_shape for layer in network.layers] == [IMAGE, (3, 4, 4), (3, 4, 4), (48,), (4,), (4,)]
        assert (network.input_shape, network.output_shape, network.built) == (IMAGE, (4,), True)

    @pytest.mark.parametrize("run", [Network.forward, Network.infer])
    def test_without_an_input_shape_the_first_batch_tells(self, run: Any) -> None:
        network = small(input_shape=None)
        assert (network.built, network.output_shape, network.parameters.size) == (False, (), 0)
        run(network, np.zeros((5, *IMAGE)))
        assert (network.built, network.input_shape) == (True, IMAGE)

    def test_the_seed_decides_the_initial_values(self) -> None:
        first, second, other = small(seed=1), small(seed=1), small(seed=2)
        np.testing.assert_array_equal(first.parameters, second.parameters)
        assert not np.array_equal(first.parameters, other.parameters)

    def test_layers_start_from_different_values(self) -> None:
        network = Network([Dense(3), Dense(3)], input_shape=(3,), seed=0)
        values = network.named_parameters()
        assert not np.array_equal(values["0.weights"], values["1.weights"])

    def test_the_values_do_not_depend_on_when_it_is_built(self) -> None:
        late = small(input_shape=None)
        late.build(list(IMAGE))
        np.testing.assert_array_equal(late.parameters, small().parameters)

    @pytest.mark.parametrize("input_shape", [784, (), (0,), (1, -28, 28), (None, 28), (1.5,), "28"])
    def test_the_input_shape_must_be_whole_numbers(self, input_shape: Any) -> None:
        with pytest.raises(ValueError, match=r"input_shape must be whole numbers of at least 1.*got "):
            Network([Dense(1)], input_shape=input_shape)

    def test_layers_that_do_not_fit_together_name_the_layer(self) -> None:
        with pytest.raises(ValueError, match=r"Dense 'head' expects.*Flatten"):
            Network([Conv2D(2, 3), Dense(3, name="head")], input_shape=IMAGE)

    def test_an_empty_network_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="needs at least one layer, got an empty list"):
            Network([])

    def test_what_is_no_layer_is_an_error(self) -> None:
        with pytest.raises(TypeError, match=r"made of layers, got 'relu'\. Derive your own from handconv\.Layer"):
            Network([Dense(1), "relu"])  # type: ignore[list-item]

    def test_the_same_layer_twice_is_an_error(self) -> None:
        dense = Dense(3)
        with pytest.raises(ValueError, match="may stand in a network once; make a new one"):
            Network([dense, ReLU(), dense])

    @pytest.mark.parametrize("names", [("a", "a"), ("1", None)])
    def test_two_layers_of_one_name_are_an_error(self, names: tuple[str, str | None]) -> None:
        with pytest.raises(ValueError, match=f"Names of layers must differ, got '{names[0]}' twice"):
            Network([Dense(1, name=name) for name in names])

    def test_a_layer_is_not_named_like_one_within_another(self) -> None:
        held = layers.Residual([Dense(1)], name="a")
        with pytest.raises(ValueError, match=r"Names of layers must differ, got 'a\.layers\.0' twice"):
            Network([held, Dense(1, name="a.layers.0")])

    @pytest.mark.parametrize("name", ["run/1", "..\\x", "two\nlines", "nul\0", "\ud800"])
    def test_names_must_be_fit_for_files(self, name: str) -> None:
        with pytest.raises(ValueError, match="name must be one line of text without slashes, got "):
            Network([Dense(1, name=name)])

    @pytest.mark.parametrize("dtype", ["int32", "float16", "complex128"])
    def test_the_dtype_must_be_float32_or_float64(self, dtype: str) -> None:
        with pytest.raises(ValueError, match=f"dtype must be float32 or float64, got {dtype}"):
            small(dtype=dtype)


class TestForwardAndBackward:
    def test_equal_the_oracles_one_after_the_other(self, rng: np.random.Generator) -> None:
        network = Network([Dense(5), ReLU(), Dense(2)], input_shape=(3,), seed=0, dtype="float64")
        x, dy = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
        w, b, w2, b2 = network.named_parameters().values()
        hidden = dense_forward(x, w, b)
        active = relu_forward(hidden)
        assert_close(network.forward(x), dense_forward(active, w2, b2))
        dactive, dw2, db2 = dense_backward(active, w2, dy)
        dx, dw, db = dense_backward(x, w, relu_backward(hidden, dactive))
        assert_close(network.backward(dy), dx)
        assert_close(network.gradients, np.concatenate([part.ravel() for part in (dw, db, dw2, db2)]))

    @pytest.mark.parametrize("fuse", [True, False])
    @pytest.mark.parametrize("run", [Network.forward, Network.infer])
    @pytest.mark.parametrize(
        ("shape", "remedy"),
        [
            ((5, 6, 6, 2), r"x\.transpose\(0, 3, 1, 2\)"), ((5, 72), r"x\.reshape\(-1, 2, 6, 6\)"),
            *((shape, r"x\[None\]") for shape in [(5, 6, 6), (2, 6, 6), (5, 2, 8, 6), (5, 1, 6, 6)]),
        ],
    )  # fmt: skip
    def test_inputs_of_another_shape_are_an_error(
        self, run: Any, shape: tuple[int, ...], remedy: str, fuse: bool
    ) -> None:
        network = Network([Conv2D(3, 3), LeakyReLU(), MaxPool2D(2)], input_shape=IMAGE, fuse=fuse)
        with pytest.raises(ValueError, match=r"x must have shape \(N, 2, 6, 6\), got .*" + remedy):
            run(network, np.zeros(shape))

    @pytest.mark.parametrize("fuse", [True, False])
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, np.int8])
    def test_inputs_of_another_type_are_converted(self, dtype: Any, fuse: bool) -> None:
        network = Network([Conv2D(3, 3), LeakyReLU(), MaxPool2D(2)], input_shape=IMAGE, dtype="float64", fuse=fuse)
        x = np.arange(144).reshape(2, *IMAGE).astype(dtype)  # int8 goes round, to -112
        np.testing.assert_array_equal(network.infer(x), network.infer(x.astype(np.float64)))
        np.testing.assert_array_equal(network.forward(x), network.forward(x.astype(np.float64)))

    @pytest.mark.parametrize("fuse", [True, False])
    @pytest.mark.parametrize("run", [Network.forward, Network.infer])
    def test_uint8_is_divided_by_255(self, run: Any, fuse: bool) -> None:
        network = Network([Conv2D(3, 3), LeakyReLU(), MaxPool2D(2)], input_shape=IMAGE, dtype="float64", fuse=fuse)
        x = np.arange(144).reshape(2, *IMAGE).astype(np.uint8)
        np.testing.assert_array_equal(run(network, x), run(network, x / 255))

    @pytest.mark.parametrize("fuse", [True, False])
    def test_backward_needs_a_forward_and_a_gradient_of_the_outputs_shape(self, fuse: bool) -> None:
        network = Network([Conv2D(3, 3), LeakyReLU(), MaxPool2D(2)], input_shape=IMAGE, fuse=fuse)
        network.infer(np.zeros((5, *IMAGE)))
        with pytest.raises(RuntimeError, match=r"backward needs a forward before it: call forward\(x\) first"):
            network.backward(np.zeros((5, 3, 2, 2)))
        network.forward(np.zeros((5, *IMAGE)))
        for shape in ((4, 3, 2, 2), (5, 12), (5, 2, 2, 3)):
            with pytest.raises(ValueError, match=r"of shape \(5, 3, 2, 2\), got "):
                network.backward(np.zeros(shape))

    def test_gradients_agree_with_central_differences(self, rng: np.random.Generator) -> None:
        network = small()
        x, dy = rng.normal(size=(2, *IMAGE)), rng.normal(size=(2, 4))

        def objective(parameters: np.ndarray) -> float:
            network.parameters[...] = parameters
            return float(np.sum(network.infer(x) * dy))

        start = network.parameters.copy()
        expected = numerical_gradient(objective, start)
        objective(start)
        network.forward(x)
        network.backward(dy)
        np.testing.assert_allclose(network.gradients, expected, atol=1e-8)

    def test_infer_equals_forward_out_of_training(self, rng: np.random.Generator) -> None:
        network = Network([Dense(5), Dropout(0.5), Dense(2)], input_shape=(3,), seed=0)
        x = rng.normal(size=(4, 3))
        np.testing.assert_allclose(network.infer(x), network.forward(x), rtol=1e-6)

    def test_training_reaches_the_layers(self) -> None:
        network = Network([Dropout(0.5)], input_shape=(50,), seed=0)
        assert (network.forward(np.ones((2, 50)), True) == 0).any()
        assert (network.forward(np.ones((2, 50))) == 1).all()

    def test_one_generator_serves_all_random_layers_in_order(self) -> None:
        def masks(seed: int) -> list[Any]:
            network = Network([Dropout(0.5), Dropout(0.5)], input_shape=(50,), seed=seed)
            network.forward(np.ones((2, 50)), True)
            return [layer.mask for layer in network.layers]  # type: ignore[attr-defined]

        np.testing.assert_array_equal(masks(1), masks(1))
        assert not np.array_equal(*masks(1))

    def test_outputs_and_gradients_belong_to_the_caller(self, rng: np.random.Generator) -> None:
        network = small()
        x, dy = rng.normal(size=(2, *IMAGE)), rng.normal(size=(2, 4))
        kept = network.forward(x), network.backward(dy)
        copies = [array.copy() for array in kept]
        network.forward(-x)
        network.backward(-dy)
        for array, copied in zip(kept, copies, strict=True):
            np.testing.assert_array_equal(array, copied)

    def test_the_gradient_handed_in_is_not_changed(self, rng: np.random.Generator) -> None:
        network, dy = Network([Dense(2), ReLU()], input_shape=(3,), seed=0), rng.normal(size=(4, 2))
        kept = dy.copy()
        network.forward(rng.normal(size=(4, 3)))
        network.backward(dy)
        np.testing.assert_array_equal(dy, kept)


class TestPenalty:
    def test_equals_the_oracle(self) -> None:
        network = small()
        named = network.named_parameters()
        named["4.biases"][...] = [1, 2, -3, 0]
        expected = penalty(named["conv.weights"], 0.1, 0.2) + 0.3 * 14
        assert network.penalty() == pytest.approx(expected, rel=1e-12)

    def test_gradient_equals_the_oracle(self) -> None:
        network = small()
        gradients = np.ones_like(network.parameters)
        network.add_penalty_gradients(gradients)
        parts = [
            penalty_gradient(array, *{"conv.weights": (0.1, 0.2), "4.biases": (0, 0.3)}.get(name, (0, 0))).ravel()
            for name, array in network.named_parameters().items()
        ]
        assert_close(gradients, 1 + np.concatenate(parts))

    def test_gradient_agrees_with_central_differences(self) -> None:
        network = small()
        gradients = np.zeros_like(network.parameters)
        network.add_penalty_gradients(gradients)

        def objective(parameters: np.ndarray) -> float:
            network.parameters[...] = parameters
            return network.penalty()

        np.testing.assert_allclose(gradients, numerical_gradient(objective, network.parameters.copy()), atol=1e-7)

    def test_gradient_of_parts_adds_up_to_the_whole(self) -> None:
        network = small()
        size = network.parameters.size
        whole, parts = np.zeros(size), np.zeros(size)
        network.add_penalty_gradients(whole)
        for start in range(0, size, 40):  # across the borders of the parameters
            network.add_penalty_gradients(parts, slice(start, start + 40))
        np.testing.assert_array_equal(parts, whole)

    def test_biases_are_exempt_unless_asked(self) -> None:
        network = Network([Dense(2, l1=1, l2=1)], input_shape=(1,), seed=0)
        network.parameters[...] = [0, 0, 5, 5]
        assert network.penalty() == 0


@pytest.mark.parametrize("layer", [Conv2D(2, 3), MaxPool2D(2)])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_input_shape_with_channels_last_is_told(layer: Layer, channels: int) -> None:
    message = rf"channels first; input_shape \(8, 8, {channels}\) has them last. Use input_shape=\({channels}, 8, 8\)"
    with pytest.raises(ValueError, match=message):
        Network([layer.copy()], input_shape=(8, 8, channels))


@pytest.mark.parametrize(
    ("last", "softmax", "sigmoid"), [(Softmax, True, False), (Sigmoid, False, True), (ReLU, False, False)]
)
def test_a_network_knows_whether_it_ends_in_an_activation_of_this_package(
    last: type[Layer], softmax: bool, sigmoid: bool
) -> None:
    network = Network([Dense(1), last()])
    assert (network.ends_in_softmax, network.ends_in_sigmoid) == (softmax, sigmoid)
    derived = type("Own", (last,), {})
    network = Network([Dense(1), derived()])
    assert (network.ends_in_softmax, network.ends_in_sigmoid) == (False, False)


@pytest.mark.parametrize("kind", [Softmax, Sigmoid])
def test_an_activation_with_other_methods_is_not_this_packages(
    kind: type[Layer], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network([Dense(2), kind()])
    network.layers[1].forward = network.layers[1].forward  # type: ignore[method-assign]
    assert (network.ends_in_softmax, network.ends_in_sigmoid) == (False, False)
    other = Network([Dense(2), kind()])
    monkeypatch.setattr(kind, "backward", Layer.backward)
    assert (other.ends_in_softmax, other.ends_in_sigmoid) == (False, False)


def test_a_layer_that_is_not_in_a_list_is_told() -> None:
    with pytest.raises(TypeError, match=r"one list of layers, got Flatten\(\)\. Put them in brackets"):
        Network(Flatten())  # type: ignore[arg-type]


def test_layers_one_by_one_are_told_to_come_in_a_list() -> None:
    with pytest.raises(TypeError, match=r"one list of layers, got Flatten\(\), ReLU\(\)\. Put them in brackets"):
        Network(Flatten(), ReLU())  # type: ignore[arg-type]


def test_a_network_shows_its_layers() -> None:
    assert repr(Network([Flatten()], input_shape=(1, 2, 2))) == "Network([Flatten()], input_shape=(1, 2, 2))"


def test_a_network_of_many_layers_shows_each_in_a_line() -> None:
    shown = repr(Network([Conv2D(8, 3), ReLU(), Flatten(), Dense(100), ReLU(), Dense(10)], input_shape=(1, 28, 28)))
    assert shown.splitlines()[1:3] == ["    Conv2D(8, 3),", "    ReLU(),"]
    assert eval(shown).parameters.size == 541_990  # noqa: S307


def test_after_an_infer_there_is_nothing_to_go_back_through(rng: np.random.Generator) -> None:
    network = Network([Conv2D(2, 3), ReLU(), MaxPool2D(2)], input_shape=(1, 8, 8), seed=0)
    x = rng.normal(size=(2, 1, 8, 8))
    y = network.forward(x)
    network.infer(x)
    with pytest.raises(RuntimeError, match="backward needs a forward before it"):
        network.backward(y)


def test_nothing_is_there_before_the_shape_is_known() -> None:
    network = Network([Dense(2)])
    assert (network.built, network.parameters.size, network.gradients.size, network.views) == (False, 0, 0, ())
    assert (network.epochs_trained, network.info) == (0, {})


def test_what_is_built_is_not_built_again() -> None:
    network = Network([Dense(2)], input_shape=(3,), seed=0)
    parameters = network.parameters
    network.ensure_built((4,))
    assert network.parameters is parameters
    assert network.input_shape == (3,)


@pytest.mark.parametrize("run", [Network.forward, Network.infer, hc.Sequential.predict])
class TestABatchIsCheckedInOnePlace:
    """By hand, in inference and in ``predict``."""

    @pytest.mark.parametrize(
        ("x", "error", "message"),
        [
            ([[1.0, 2.0], [3.0]], ValueError, "x must be one array of samples of the same shape"),
            (np.zeros(2), ValueError, r"x must be a batch of samples \(N, …\), got shape \(2,\). .*x\[None\]"),
            (np.zeros((3, 2), complex), TypeError, "x must hold numbers, got an array of complex128"),
            (np.full((3, 2), 1e39), ValueError, "x must stay within the range of float32, got 1e"),
        ],
    )
    def test_what_is_none_gets_the_same_answer(self, run: Any, x: Any, error: type[Exception], message: str) -> None:
        network = hc.Sequential([Dense(2)], input_shape=(2,), seed=0)
        with pytest.raises(error, match=message):
            run(network, x)


@pytest.mark.parametrize(
    ("thing", "remedy"),
    [
        (Dense, r"Make one of the class: Dense\(…\)"),
        (Network([Dense(2)]), r"Take copies of a network's layers: \[\*\(layer\.copy\(\)"),
        ("dense", r"Derive your own from handconv\.Layer"),
    ],
)
def test_what_is_no_layer_is_refused_with_what_to_do(thing: Any, remedy: str) -> None:
    with pytest.raises(TypeError, match=f"A network is made of layers, got .*{remedy}"):
        Network([thing])
