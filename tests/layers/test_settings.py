"""Arguments of layers: unknown ones get the remedy; changed ones are heard, checked, or refused with the old kept."""

from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.layers import Layer
from layer_cases import LAYERS, Chain, Make


@pytest.mark.parametrize(
    ("make", "argument", "known", "remedy"),
    [
        (lambda **a: hc.Dense(3, **a), "activation", "units, use_bias, ", r"of its own: \[Dense\(3\), ReLU\(\)\]"),
        (lambda **a: hc.Conv2D(8, 3, **a), "activation", "filters, ", "An activation is a layer of its own"),
        (lambda **a: hc.Conv2D(8, 3, **a), "input_shape", "filters, ", r"Give input_shape to Sequential\."),
        (lambda **a: hc.Dense(3, **a), "input_dim", "units, ", r"Give input_shape=\(D,\) to Sequential\."),
        (lambda **a: hc.Conv2D(8, 3, **a), "in_channels", "filters, ", r"The inputs tell the number of channels\."),
        (lambda **a: hc.Dense(3, **a), "in_features", "units, ", r"The inputs tell their number\."),
        (lambda **a: hc.Dense(3, **a), "kernel_regularizer", "units, ", "Use l2="),
        (lambda **a: hc.Dense(3, **a), "bias", "units, ", "Use use_bias="),
        (lambda **a: hc.Conv2D(8, 3, **a), "strides", "filters, ", "Use stride="),
        (hc.Dropout, "p", "rate, name", "Use rate="),
        (hc.LeakyReLU, "negative_slope", "alpha, name", "Use alpha="),
        (hc.ReLU, "inplace", "name", r"\.$"),
        (hc.Flatten, "data_format", "name", r"\.$"),
    ],
)  # fmt: skip
def test_an_unknown_argument_gets_the_known_ones_and_the_remedy(
    make: Any, argument: str, known: str, remedy: str
) -> None:
    with pytest.raises(TypeError, match=rf"\w+ has no argument '{argument}'; it has {known}.*{remedy}"):
        make(**{argument: "x"})


def test_a_layer_that_takes_anything_is_given_anything() -> None:
    class Open(Layer):
        def __init__(self, **options: Any) -> None:
            super().__init__()
            self.options = options

    assert Open(activation="relu").options == {"activation": "relu"}


class TestBuilt:
    def test_a_changed_setting_is_heard(self) -> None:
        relu = hc.LeakyReLU(0.1)
        relu.forward(np.ones((1, 2)))
        relu.alpha = 0.5
        np.testing.assert_array_equal(relu.forward(np.array([[-2.0, 2.0]])), [[-1, 2]])

    def test_a_backward_belongs_to_the_forward_before_the_change(self) -> None:
        relu = hc.LeakyReLU(0.1)
        relu.forward(np.array([[-2.0, 2.0]]))
        relu.alpha = 0.5
        np.testing.assert_array_equal(relu.backward(np.ones((1, 2))), [[0.1, 1]])

    def test_a_changed_penalty_stands_in_the_declaration(self) -> None:
        network = hc.Sequential([hc.Dense(2, weight_init="ones")], input_shape=(3,))
        assert network.penalty() == 0
        network.layers[0].l2 = 0.5  # type: ignore[attr-defined]
        assert network.views[0].spec.l2 == 0.5
        assert network.penalty() == 3

    @pytest.mark.parametrize(
        ("layer", "name", "value", "message"),
        [
            (hc.Dropout(0.2), "rate", 1.5, "must be a number of at least 0 and below 1, got 1.5"),
            (hc.LeakyReLU(0.2), "alpha", -1, "must be a number from 0 to 1, got -1"),
            (hc.Dense(2), "l2", -1, "Dense: l2 must be a number of at least 0, got -1"),
            (hc.Dense(2), "units", 2.5, "Dense: units must be a whole number"),
        ],
        ids=repr,
    )
    def test_a_setting_is_checked_as_in_the_constructor_and_the_old_one_kept(
        self, layer: Layer, name: str, value: Any, message: str
    ) -> None:
        layer.build((3,))
        before = getattr(layer, name)
        with pytest.raises(ValueError, match=message):
            setattr(layer, name, value)
        assert getattr(layer, name) == before

    @pytest.mark.parametrize(
        ("layer", "shape", "name", "value", "kept"),
        [
            (hc.Dense(2), (3,), "units", 3, 2),
            (hc.Dense(2), (3,), "use_bias", False, True),
            (hc.Conv2D(2, 3), (1, 5, 5), "kernel_size", 2, (3, 3)),
            (hc.Conv2D(2, 3), (1, 5, 5), "kernel_size", 9, (3, 3)),
            (hc.MaxPool2D(2), (1, 6, 6), "stride", 1, (2, 2)),
            (hc.Reshape((3, 4)), (12,), "shape", (4, 3), (3, 4)),
        ],
        ids=repr,
    )
    def test_a_setting_that_would_change_shapes_is_refused_and_the_old_one_kept(
        self, layer: Layer, shape: tuple[int, ...], name: str, value: Any, kept: Any
    ) -> None:
        layer.build(shape)
        y = layer.forward(np.ones((2, *shape)))
        with pytest.raises(ValueError, match=rf"is built, and {name}=.* would change its shapes; it stays .*Make a"):
            setattr(layer, name, value)
        assert getattr(layer, name) == kept
        np.testing.assert_array_equal(layer.forward(np.ones((2, *shape))), y)

    def test_a_setting_is_read_as_the_constructor_reads_it(self) -> None:
        pool = hc.MaxPool2D(3, stride=2, padding=1)
        pool.build((1, 6, 6))
        pool.padding = 1
        assert pool.padding == (1, 1)

    def test_a_layer_that_does_not_keep_all_its_arguments_takes_what_it_is_given(self) -> None:
        class Forgetful(hc.ReLU):
            def __init__(self, scale: float, other: int = 3) -> None:
                super().__init__()
                self.scale = scale

        layer = Forgetful(2.0)
        layer.build((2,))
        layer.scale = 5.0
        assert layer.scale == 5.0

    def test_settings_and_methods_that_change_are_counted(self) -> None:
        layer = hc.LeakyReLU()
        layer.build((2,))
        versions = [layer._version]

        def change(name: str, value: Any) -> None:
            setattr(layer, name, value)
            versions.append(layer._version)

        change("alpha", 0.3)
        change("forward", lambda inputs, training: inputs + training)
        change("backward", lambda dvalues: dvalues)
        del layer.forward
        versions.append(layer._version)
        assert sorted(set(versions)) == versions

    def test_what_is_no_setting_is_not_counted(self) -> None:
        layer = hc.Dropout(0.5)
        layer.build((2,))
        before = layer._version
        layer.forward(np.ones((3, 2)), training=True)
        layer.note = 3
        del layer.note
        assert layer._version == before

    def test_a_setting_of_a_layer_within_is_heard_too(self) -> None:
        chain = Chain()
        network = hc.Sequential([chain], input_shape=(4,), seed=0)
        x = np.ones((2, 4), np.float32)
        before = network.infer(x)
        chain.rest[0].forward = lambda inputs, training: 0.0 * inputs * training  # type: ignore[union-attr,method-assign]
        after = network.infer(x)
        assert not np.array_equal(before, after)
        np.testing.assert_array_equal(after, 0)


def test_before_a_layer_is_built_settings_are_plain_attributes() -> None:
    dense = hc.Dense(2)
    dense.units = 5
    dense.build((3,))
    assert dense.weights.shape == (3, 5)


def test_a_layer_that_does_not_keep_an_argument_says_which_when_it_is_described() -> None:
    class Forgetful(Layer):
        def __init__(self, scale: float) -> None:
            super().__init__()

    with pytest.raises(
        AttributeError, match=r"Forgetful does not keep its argument 'scale'\. Set self\.scale = scale in"
    ):
        Forgetful(2.0).config()
    assert repr(Forgetful(2.0)) == "Forgetful()"


@pytest.mark.parametrize("make", [make for make, _ in LAYERS.values()], ids=LAYERS)
def test_every_layer_keeps_the_name_that_it_is_given(make: Make) -> None:
    layer = make()
    settings = {name: getattr(layer, name) for name in layer.arguments} | {"name": "mine"}
    assert type(layer)(**settings).name == "mine"


NO_PENALTIES = {"l1": 0, "l2": 0, "bias_l1": 0, "bias_l2": 0}


@pytest.mark.parametrize(
    ("layer", "settings"),
    [
        (hc.Dense(3), {"use_bias": True, "weight_init": "he_normal", "bias_init": "zeros", **NO_PENALTIES}),
        (hc.Conv2D(4, 3), {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}),
        (hc.Conv2D(4, 3), {"use_bias": True, "weight_init": "he_normal", "bias_init": "zeros", **NO_PENALTIES}),
        (hc.MaxPool2D(), {"pool_size": (2, 2), "stride": (2, 2), "padding": (0, 0)}),
        (hc.BatchNorm(), {"momentum": 0.9, "epsilon": 1e-5}),
        (hc.LayerNorm(), {"epsilon": 1e-5}),
        (hc.GroupNorm(2), {"epsilon": 1e-5}),
        (hc.LeakyReLU(), {"alpha": 0.01}),
        (hc.ELU(), {"alpha": 1.0}),
        (hc.ZeroPad2D(), {"padding": (1, 1, 1, 1)}),
    ],
    ids=repr,
)
def test_settings_that_are_not_given_are_these(layer: Layer, settings: dict[str, Any]) -> None:
    assert {name: getattr(layer, name) for name in settings} == settings


def test_an_attribute_that_is_near_no_setting_may_be_set_at_any_time() -> None:
    dense = hc.Dense(3)
    dense.seen_in_the_debugger = 1
    dense.build((2,))
    dense.seen_afterwards = 2
    assert (dense.seen_in_the_debugger, dense.seen_afterwards) == (1, 2)


def test_another_name_of_an_array_is_told_and_before_the_build_when_there_are_arrays() -> None:
    dense = hc.Dense(3)
    with pytest.raises(AttributeError, match=r"'W'\. Its array is weights\. Arrays exist once it is built: call build"):
        dense.W = 1
    dense.build((2,))
    with pytest.raises(AttributeError, match=r"'W'\. Its array is weights\.$"):
        dense.W = 1
