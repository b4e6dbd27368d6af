"""Layers that a layer holds, and arrays that it declares, are the ones that are trained, or the user is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics.networks import CLASSES, VECTORS, dense


class Holds(hc.Layer):
    """Layers that run one after the other, kept in whatever the class says."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = self.make()

    def make(self) -> Any:
        raise NotImplementedError

    def all(self) -> list[hc.Layer]:
        raise NotImplementedError

    def forward(self, inputs: Any, training: bool = False) -> Any:
        for layer in self.all():
            inputs = layer.forward(inputs, training)
        return inputs

    def backward(self, dvalues: Any) -> Any:
        for layer in reversed(self.all()):
            dvalues = layer.backward(dvalues)
        return dvalues


class InADict(Holds):
    def make(self) -> Any:
        return {"first": hc.Dense(5), "then": hc.Tanh()}

    def all(self) -> list[hc.Layer]:
        return list(self.kept.values())


class InNestedLists(Holds):
    def make(self) -> Any:
        return [[hc.Dense(5), hc.Tanh()], [hc.Dense(4)]]

    def all(self) -> list[hc.Layer]:
        return [layer for part in self.kept for layer in part]


class Box:
    def __init__(self) -> None:
        self.layer = hc.Dense(4)


class InAnObject(Holds):
    def make(self) -> Any:
        return Box()


class InASet(Holds):
    def make(self) -> Any:
        return {hc.Dense(4)}


class ANetwork(Holds):
    def make(self) -> Any:
        return hc.Sequential([hc.Dense(4)], input_shape=(4,), seed=0)


class Late(Holds):
    def make(self) -> Any:
        return []

    def all(self) -> list[hc.Layer]:
        if not self.kept:
            self.kept.append(hc.Dense(4))
        return list(self.kept)


class Twice(hc.Layer):
    """One layer for both halves of the features."""

    def __init__(self) -> None:
        super().__init__()
        self.half = hc.Dense(3)

    def infer_shape(self, input_shape: Any) -> Any:
        return (6,)

    def sublayer_shapes(self, input_shape: Any) -> Any:
        return {"half": (2,)}

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return np.concatenate([self.half.forward(part, training) for part in (inputs[:, :2], inputs[:, 2:])], axis=1)

    def backward(self, dvalues: Any) -> Any:
        return np.concatenate([self.half.backward(part) for part in (dvalues[:, :3], dvalues[:, 3:])], axis=1)


def network(layer: hc.Layer, **options: Any) -> hc.Sequential:
    return hc.Sequential([layer, hc.Dense(3), hc.Softmax()], **{"input_shape": (4,), "seed": 0} | options)


class TestLayersHeldInOtherThings:
    @pytest.mark.parametrize("kind", [InADict, InNestedLists])
    def test_are_trained_as_the_same_layers_in_a_row(self, kind: type[Holds]) -> None:
        held = network(kind())
        row = hc.Sequential([*kind().all(), hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
        row.parameters = held.parameters
        for one in (held, row):
            one.fit(VECTORS, CLASSES, optimizer=hc.SGD(0.1))
        np.testing.assert_allclose(held.parameters, row.parameters, rtol=1e-5, atol=1e-6)

    def test_in_a_dict_are_named_by_its_keys(self) -> None:
        assert "0.kept.first.weights" in network(InADict()).named_parameters()

    @pytest.mark.parametrize("kind", [InADict, InNestedLists])
    def test_are_saved(self, kind: type[Holds], tmp_path: Path) -> None:
        model = network(kind())
        model.save(tmp_path / "model.npz")
        again = hc.load(tmp_path / "model.npz", layers={kind.__name__: kind})
        np.testing.assert_array_equal(again.predict(VECTORS), model.predict(VECTORS))

    @pytest.mark.parametrize("kind", [InAnObject, InASet, ANetwork])
    def test_where_nobody_finds_them_are_refused(self, kind: type[Holds]) -> None:
        with pytest.raises(TypeError, match=r"keeps .* 'kept'"):
            network(kind())

    def test_that_come_after_the_network_was_built_are_refused(self) -> None:
        with pytest.raises(RuntimeError, match=r"kept\.0 \(Dense\).* not trained"):
            network(Late()).fit(VECTORS, CLASSES)

    def test_that_run_twice_in_a_pass_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"0\.half is called 2 times"):
            network(Twice()).fit(VECTORS, CLASSES)


class Gain(hc.Layer):
    """Multiply each feature by a parameter."""

    def declare(self, input_shape: Any) -> Any:
        return (hc.ParameterSpec("gamma", input_shape, "ones"),)

    def forward(self, inputs: Any, training: bool = False) -> Any:
        self.inputs = inputs
        return inputs * self.gamma

    def backward(self, dvalues: Any) -> Any:
        self.dgamma[...] = (dvalues * self.inputs).sum(axis=0)
        return dvalues * self.gamma


class AddsToItsGradient(Gain):
    def backward(self, dvalues: Any) -> Any:
        self.dgamma += (dvalues * self.inputs).sum(axis=0)
        return dvalues * self.gamma


class SetsItFirst(Gain):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value
        self.gamma = value


class ForgetsItsGradient(Gain):
    def backward(self, dvalues: Any) -> Any:
        return dvalues * self.gamma


class ForgetsItsLayers(hc.Layer):
    """Its backward passes on what it is given."""

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.inner = hc.Dense(4)

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return self.inner.forward(inputs, training)

    def backward(self, dvalues: Any) -> Any:
        return dvalues


class TestAGradientThatNothingWrites:
    @pytest.mark.parametrize(
        ("layer", "names"),
        [(ForgetsItsGradient, ["0.gamma"]), (ForgetsItsLayers, ["0.inner.weights", "0.inner.biases"])],
    )
    def test_is_said_before_the_first_step(self, layer: Any, names: list[str]) -> None:
        with pytest.warns(UserWarning, match="No backward writes the gradient of") as told:
            network(layer()).fit(VECTORS, CLASSES, verbose=False)
        assert [str(each.message).split(" (")[0].split()[-1] for each in told] == names

    def test_is_said_where_one_that_is_zero_comes_before(self) -> None:
        dead = hc.Dense(4, weight_init="zeros")
        layers = [Gain(), ForgetsItsGradient(), dead, hc.ReLU(), hc.Dense(3)]
        with pytest.warns(UserWarning, match=r"No backward writes the gradient of 1\.gamma") as told:
            hc.Sequential(layers, input_shape=(4,), seed=0).fit(VECTORS, CLASSES, verbose=False)
        assert len(told) == 1

    @pytest.mark.parametrize("layer", [Gain, AddsToItsGradient])
    def test_is_not_one_that_is_zero(self, layer: Any) -> None:
        dead = hc.Dense(4, weight_init="zeros")
        hc.Sequential([layer(), dead, hc.ReLU(), hc.Dense(3)], input_shape=(4,), seed=0).fit(
            VECTORS, CLASSES, verbose=False
        )


def test_a_layer_that_returns_missing_values_is_refused() -> None:
    class Hides(hc.Layer):
        def forward(self, inputs: Any, training: bool = False) -> Any:
            return np.ma.array(inputs, mask=inputs > 0)

        def backward(self, dvalues: Any) -> Any:
            return dvalues

    for run in (lambda model: model.predict(VECTORS), lambda model: model.forward(VECTORS)):
        with pytest.raises(ValueError, match=r"What Hides\.forward returns has .* masked"):
            run(network(Hides()))


class TestDeclaredArrays:
    @pytest.mark.parametrize("engine", [True, False])
    @pytest.mark.parametrize("workers", [1, 2])
    def test_may_have_a_gradient_that_is_added_to(self, engine: bool, workers: int) -> None:
        adding, assigning = network(AddsToItsGradient(), engine=engine), network(Gain(), engine=engine)
        for one in (adding, assigning):
            one.fit(VECTORS, CLASSES, optimizer=hc.SGD(0.1), batch_size=64, workers=workers)
        np.testing.assert_array_equal(adding.parameters, assigning.parameters)

    def test_may_have_a_gradient_that_is_added_to_by_hand(self) -> None:
        model = network(AddsToItsGradient())
        gradients = []
        for _ in range(2):
            outputs = model.forward(VECTORS[:8])
            model.backward(np.arange(outputs.size, dtype=np.float32).reshape(outputs.shape))
            gradients.append(model.gradients.copy())
        np.testing.assert_array_equal(*gradients)

    def test_take_the_place_of_none(self) -> None:
        model = network(SetsItFirst(None))
        np.testing.assert_array_equal(model.layers[0].gamma, np.ones(4))

    def test_hidden_by_an_attribute_are_refused(self) -> None:
        with pytest.raises(ValueError, match="'gamma' before it was built"):
            network(SetsItFirst(1.0))

    def test_hidden_by_an_attribute_of_the_class_are_refused(self) -> None:
        with pytest.raises(ValueError, match="'gamma' is no free name"):
            network(type("Hides", (Gain,), {"gamma": 1.0})())

    def test_set_on_a_layer_that_is_not_built_are_refused(self) -> None:
        with pytest.raises(AttributeError, match=r"Dense has no 'weights'.*once it is built: call build\(shape\)"):
            hc.Dense(3).weights = np.ones((4, 3))

    def test_set_on_a_layer_of_ones_own_that_is_not_built_are_refused(self) -> None:
        model = hc.Sequential([type("Own", (hc.Dense,), {})(3)], seed=0)
        model.layers[0].weights = np.ones((4, 3))
        with pytest.raises(ValueError, match="'weights' before it was built"):
            model.predict(VECTORS)

    @pytest.mark.parametrize("value", [None, "large", 1j, np.full((4, 6), 1j)])
    def test_take_real_numbers_alone(self, value: Any) -> None:
        model = dense()
        before = model.parameters.copy()
        with pytest.raises(TypeError, match="weights must be real numbers"):
            model.layers[0].weights = value
        np.testing.assert_array_equal(model.parameters, before)

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"l2": "large"}, ValueError, "l1 and l2 of gamma must be numbers of at least 0"),
            ({"trainable": "no"}, TypeError, "trainable of gamma must be True or False, got 'no'"),
            ({"decay": "no"}, TypeError, "decay of gamma must be True or False, got 'no'"),
        ],
    )
    def test_with_settings_that_make_no_sense_are_refused(
        self, options: dict[str, Any], error: type[Exception], message: str
    ) -> None:
        class Odd(Gain):
            def declare(self, input_shape: Any) -> Any:
                return (hc.ParameterSpec("gamma", input_shape, "ones", **options),)

        with pytest.raises(error, match=message):
            network(Odd())

    def test_of_a_network_take_real_numbers_alone(self) -> None:
        model = dense()
        with pytest.raises(TypeError, match="real numbers"):
            model.parameters = np.full(model.parameters.size, 1j)


@dataclass
class AsDataclass(hc.Layer):
    factor: float = 2.0

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return inputs * np.float32(self.factor)

    def backward(self, dvalues: Any) -> Any:
        return dvalues * np.float32(self.factor)


class TestALayerThatIsADataclass:
    def test_takes_its_fields_by_name(self) -> None:
        assert AsDataclass(factor=3.0).factor == 3.0

    @pytest.mark.parametrize("workers", [1, 2])
    def test_trains_where_two_are_equal(self, workers: int) -> None:
        layers = [AsDataclass(2.0), hc.Tanh(), AsDataclass(2.0), hc.Dense(3), hc.Softmax()]
        model = hc.Sequential(layers, input_shape=(4,), seed=0)
        losses = model.fit(VECTORS, CLASSES, epochs=3, batch_size=64, workers=workers)["loss"]
        assert losses[-1] < losses[0]

    def test_is_saved_with_its_fields(self, tmp_path: Path) -> None:
        model = network(AsDataclass(3.0))
        model.save(tmp_path / "model.npz")
        again = hc.load(tmp_path / "model.npz", layers={"AsDataclass": AsDataclass})
        assert again.layers[0].factor == 3.0

    def test_that_is_frozen_is_refused(self) -> None:
        frozen = dataclass(frozen=True)(type("Frozen", (hc.Layer,), {"__annotations__": {"factor": float}}))
        with pytest.raises(TypeError, match="frozen dataclass"):
            frozen(2.0)  # type: ignore[call-arg]

    def test_with_slots_is_refused(self) -> None:
        with pytest.raises(TypeError, match="__slots__"):
            type("Slotted", (hc.Layer,), {"__slots__": ("factor",)})


@pytest.mark.parametrize("returned", [4, None, "4", (4.0,), (0,)])
def test_a_shape_that_is_none_is_refused_with_what_was_returned(returned: Any) -> None:
    kind = type("Odd", (AsDataclass,), {"infer_shape": lambda self, shape: returned})  # noqa: ARG005
    with pytest.raises(ValueError, match=r"Odd\.infer_shape must return"):
        network(kind())


def test_a_forward_that_would_take_training_for_something_else_is_refused() -> None:
    kind = type("Masked", (AsDataclass,), {"forward": lambda self, inputs, mask=None, training=False: inputs})  # noqa: ARG005
    with pytest.raises(TypeError, match=r"forward\(self, inputs, training=False\)|must take"):
        network(kind())


def test_self_training_is_answered_with_where_it_is() -> None:
    with pytest.raises(AttributeError, match="forward\\(self, inputs, training\\)"):
        AsDataclass().training  # noqa: B018
