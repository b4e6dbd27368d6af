"""What would have no effect, or half an effect, is refused with what to do instead."""

from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics.networks import CLASSES, VECTORS, at, dense


class Doubling(hc.Sequential):
    """A network with a forward of its own."""

    def forward(self, x: Any, training: bool = False) -> Any:
        return super().forward(2 * x, training)


class TestAForwardOfANetworksOwn:
    @pytest.mark.parametrize("verb", ["predict", "infer", "evaluate", "fit"])
    def test_is_refused_where_it_would_not_be_asked(self, verb: str) -> None:
        network = Doubling([hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
        arguments = (VECTORS, CLASSES) if verb in ("evaluate", "fit") else (VECTORS,)
        with pytest.raises(TypeError, match=r"Doubling has a forward .* layer"):
            getattr(network, verb)(*arguments)

    def test_is_asked_by_hand(self) -> None:
        network = Doubling([hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
        plain = hc.Sequential([hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)
        np.testing.assert_array_equal(network(VECTORS), plain.forward(2 * VECTORS))

    def test_put_in_place_of_the_networks_is_refused_too(self) -> None:
        network = dense()
        network.forward = lambda x, training=False: x  # type: ignore[method-assign]  # noqa: ARG005
        with pytest.raises(TypeError, match="forward"):
            network.predict(VECTORS)

    def test_of_a_network_without_layers_is_told_what_is_missing(self) -> None:
        class Module(hc.Sequential):
            def __init__(self) -> None:
                self.first = hc.Dense(3)

        with pytest.raises(AttributeError, match=r"super\(\).__init__"):
            Module().predict(VECTORS)


def test_a_penalty_without_its_gradient_is_refused() -> None:
    class Heavy(hc.Sequential):
        def penalty(self) -> float:
            return float(np.square(self.parameters).sum())

    with pytest.raises(TypeError, match="add_penalty_gradients"):
        Heavy([hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0).fit(VECTORS, CLASSES)


class TestAttributesOfOtherLibraries:
    @pytest.mark.parametrize("name", ["trainable", "training", "stop_training", "optimizer", "loss", "metrics", "seed"])
    def test_of_networks_are_refused(self, name: str) -> None:
        with pytest.raises(AttributeError, match=f"no '{name}'"):
            setattr(dense(), name, False)

    def test_of_networks_may_belong_to_a_class_of_ones_own(self) -> None:
        class Named(hc.Sequential):
            loss: Any = None

        network = Named([hc.Dense(3)], input_shape=(4,), seed=0)
        network.loss = hc.MeanSquaredError()
        assert isinstance(network.loss, hc.MeanSquaredError)

    @pytest.mark.parametrize("name", ["trainable", "requires_grad"])
    def test_of_layers_are_refused(self, name: str) -> None:
        with pytest.raises(AttributeError, match=f"Dense has no '{name}'.*features"):
            setattr(dense().layers[0], name, False)

    def test_of_layers_may_belong_to_a_layer_of_ones_own(self) -> None:
        class Freezing(hc.Layer):
            def __init__(self) -> None:
                super().__init__()
                self.trainable = False

        layer = Freezing()
        layer.trainable = True
        assert layer.trainable

    def test_of_a_run_are_refused(self) -> None:
        def stop(run: Any) -> None:
            run.stop_training = True

        with pytest.raises(AttributeError, match="Return True from on_epoch_end"):
            dense().fit(VECTORS, CLASSES, callbacks=[at("on_epoch_end", stop)])

    @pytest.mark.parametrize("hook", ["on_epoch_begin", "on_train_batch_end", "on_epoch_ends"])
    def test_that_are_hooks_are_refused(self, hook: str) -> None:
        kind = type("Hopeful", (hc.Callback,), {hook: lambda self, run: None})  # noqa: ARG005
        with pytest.raises(TypeError, match=f"Hopeful defines {hook}, which is no hook"):
            dense().fit(VECTORS, CLASSES, callbacks=[kind()])


@pytest.mark.parametrize(("name", "value"), [("dtype", np.dtype("float64")), ("input_shape", (9,))])
def test_what_a_network_is_built_for_cannot_be_changed(name: str, value: Any) -> None:
    network = dense()
    with pytest.raises(AttributeError, match=f"The {name} of a network does not change"):
        setattr(network, name, value)


def test_the_name_by_which_a_network_knows_a_layer_cannot_be_changed() -> None:
    network = dense()
    with pytest.raises(ValueError, match="knows it by its name"):
        network.layers[0].name = "first"


def test_an_engine_that_is_switched_off_is_off_in_the_next_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    network, calls = dense(), []
    network.predict(VECTORS)
    network.engine = False
    original = hc.Dense.check_inputs
    monkeypatch.setattr(hc.Dense, "check_inputs", lambda self, inputs: calls.append(1) or original(self, inputs))
    network.predict(VECTORS)
    assert calls


class TestTheRunInACallback:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("optimizer", hc.Adam()),
            ("loss", hc.CategoricalCrossentropy(0.5)),
            ("batch_size", 16),
            ("shuffle", False),
            ("augment", lambda images, generator: images),  # noqa: ARG005
            ("workers", 2),
        ],
    )
    @pytest.mark.parametrize("workers", [1, 2])
    def test_keeps_what_the_steps_go_on_with(self, name: str, value: Any, workers: int) -> None:
        def exchange(run: Any) -> None:
            setattr(run, name, value)

        with pytest.raises(AttributeError, match=f"run.{name} stays as it is"):
            dense().fit(VECTORS, CLASSES, workers=workers, callbacks=[at("on_epoch_end", exchange)])

    @pytest.mark.parametrize("workers", [1, 2])
    def test_may_have_more_epochs(self, workers: int) -> None:
        def prolong(run: Any) -> None:
            run.epochs = 3

        history = dense().fit(VECTORS, CLASSES, workers=workers, callbacks=[at("on_epoch_end", prolong)])
        assert len(history.epochs) == 3


class Square(hc.Layer):
    def forward(self, inputs: Any, training: bool = False) -> Any:
        self.inputs = inputs
        return inputs**2

    def backward(self, dvalues: Any) -> Any:
        return 2 * self.inputs * dvalues


class TestABackwardWhoseForwardIsNotTheLastPass:
    def network(self) -> hc.Sequential:
        return hc.Sequential([hc.Dense(4), Square(), hc.Dense(3)], input_shape=(4,), seed=0)

    @pytest.mark.parametrize("verb", ["predict", "forward", "infer"])
    def test_as_the_first_layers_were_run_since_is_refused(self, verb: str) -> None:
        network = self.network()
        first = network[:2]
        network.forward(VECTORS[:4])
        getattr(first, verb)(VECTORS[4:8])
        with pytest.raises(RuntimeError, match="backward needs"):
            network.backward(np.ones((4, 3)))

    def test_as_the_whole_was_run_since_is_refused(self) -> None:
        network = self.network()
        first = network[:2]
        first.forward(VECTORS[:4])
        network.predict(VECTORS[4:8])
        with pytest.raises(RuntimeError, match="backward needs"):
            first.backward(np.ones((4, 4)))

    def test_as_a_layer_was_run_since_is_refused(self) -> None:
        network = self.network()
        network.forward(VECTORS[:4])
        network.layers[0].forward(VECTORS[4:8])
        with pytest.raises(RuntimeError, match="backward needs"):
            network.backward(np.ones((4, 3)))

    def test_of_the_first_layers_is_that_of_their_forward(self) -> None:
        network = self.network()
        first = network[:2]
        first.forward(VECTORS[:4])
        assert first.backward(np.ones((4, 4))).shape == (4, 4)


def test_masked_arrays_in_a_list_are_refused() -> None:
    rows = [np.ma.array(row, mask=[True, False, False, False]) for row in VECTORS[:3]]
    with pytest.raises(ValueError, match="3 masked"):
        dense().predict(rows)


@pytest.mark.parametrize(
    ("kind", "values"), [(hc.Conv2D, (1, 8, 3)), (hc.Dense, (784, 10)), (hc.MaxPool2D, (2, 2)), (hc.Tanh, (1,))]
)
def test_sizes_of_the_inputs_given_by_place_are_refused_with_who_tells_them(kind: Any, values: Any) -> None:
    with pytest.raises(
        TypeError, match=f"{kind.__name__} takes .* by place, got {len(values)} values.*known from the inputs"
    ):
        kind(*values)


@pytest.mark.parametrize("layers", [[Square], {"Square": Square()}, {"Square": hc.Adam}])
def test_classes_for_load_that_are_no_names_with_classes_are_refused(layers: Any) -> None:
    with pytest.raises(TypeError, match="layers maps names to classes of layers"):
        hc.load("model.npz", layers=layers)


class TestSettingsThatAreChangedLater:
    @pytest.mark.parametrize(
        ("make", "name", "value"),
        [
            (hc.ExponentialAverage, "decay", 2),
            (hc.StochasticAverage, "start", -1),
            (hc.EarlyStopping, "patience", 0),
            (hc.EarlyStopping, "mode", "maximum"),
            (hc.EarlyStopping, "restore_best", "no"),
            (hc.ReduceOnPlateau, "factor", 2),
            (lambda: hc.Checkpoint("run.npz"), "every", -1),
            (lambda: hc.Dropout(0.1), "rate", 1),
            (hc.BatchNorm, "momentum", 1.5),
            (lambda: hc.Dense(3), "l2", -1),
            (hc.Adam, "epsilon", -1),
            (hc.CategoricalCrossentropy, "label_smoothing", 2),
        ],
    )
    def test_are_checked_as_the_constructor_checks_them(self, make: Any, name: str, value: Any) -> None:
        thing = make()
        before = getattr(thing, name)
        with pytest.raises((ValueError, TypeError), match=f"{type(thing).__name__}: {name}"):
            setattr(thing, name, value)
        assert getattr(thing, name) == before

    def test_are_taken_where_they_fit(self) -> None:
        stopping, average, dropout = hc.EarlyStopping(), hc.ExponentialAverage(), hc.Dropout(0.1)
        stopping.patience, average.decay, dropout.rate = 7, 0.5, 0.25
        assert (stopping.patience, average.decay, dropout.rate) == (7, 0.5, 0.25)

    def test_of_an_ensemble_stay(self) -> None:
        ensemble = hc.Ensemble([dense()])
        with pytest.raises(AttributeError, match="The views of an ensemble stay as they are"):
            ensemble.views = 0

    def test_of_a_run_are_told_where_they_are(self) -> None:
        def faster(run: Any) -> None:
            run.learning_rate = 0.1

        with pytest.raises(AttributeError, match=r"no 'learning_rate'. Set run\.optimizer\.learning_rate"):
            dense().fit(VECTORS, CLASSES, callbacks=[at("on_epoch_end", faster)])


class TestArgumentsThatAConstructorSetsTwice:
    """As one does who first keeps an argument and then what is made of it."""

    def test_are_kept_as_a_loss_sets_them(self) -> None:
        class Scaled(hc.MeanSquaredError):
            def __init__(self, factor: float = 1.0) -> None:
                self.factor = factor
                self.factor = self.factor * 2

        assert Scaled(3.0).factor == 6

    def test_are_kept_as_a_loss_that_derives_from_one_of_ours_sets_them(self) -> None:
        class Halved(hc.CategoricalCrossentropy):
            def __init__(self, label_smoothing: float = 0.1) -> None:
                super().__init__(label_smoothing)
                self.label_smoothing = self.label_smoothing / 2

        assert Halved(0.2).label_smoothing == pytest.approx(0.1)

    def test_are_kept_as_an_optimizer_sets_them(self) -> None:
        class Scaled(hc.SGD):
            def __init__(self, learning_rate: float = 0.1, momentum: float = 0.9) -> None:
                super().__init__(learning_rate, momentum)
                self.momentum = self.momentum / 2

        assert Scaled(momentum=0.8).momentum == pytest.approx(0.4)


class TestSettingsThatThereAreNot:
    @pytest.mark.parametrize(
        ("thing", "name", "has"),
        [
            (hc.CategoricalCrossentropy(), "smoothing", "label_smoothing"),
            (hc.MeanSquaredError(), "reduction", "none"),
            (hc.Adam(), "lr", "learning_rate"),
            (hc.EarlyStopping(), "baseline", "monitor, patience, min_delta, mode, restore_best"),
            (hc.ReduceOnPlateau(), "cooldown", "factor"),
            (hc.Checkpoint("run.npz"), "save_best_only", "path, every, monitor"),
            (hc.ExponentialAverage(), "beta", "decay"),
        ],
        ids=lambda value: value if isinstance(value, str) else type(value).__name__,
    )
    def test_are_refused_with_those_that_there_are(self, thing: Any, name: str, has: str) -> None:
        with pytest.raises(AttributeError, match=f"{type(thing).__name__} has no setting '{name}'; it has .*{has}"):
            setattr(thing, name, 0.1)

    @pytest.mark.parametrize(
        ("layer", "name", "remedy"),
        [
            (hc.Dropout(0.5), "p", "Use rate=…"),
            (hc.LeakyReLU(), "negative_slope", "Use alpha=…"),
            (hc.BatchNorm(), "eps", r"Did you mean epsilon\?"),
            (hc.Conv2D(3, 3), "strides", "Use stride=…"),
            (dense().layers[0], "weight", r"Did you mean weights\?"),
            (dense().layers[0], "bias", "Use use_bias=…"),
        ],
        ids=lambda value: value if isinstance(value, str) else type(value).__name__,
    )
    def test_of_layers_are_told_what_stands_in_their_place(self, layer: hc.Layer, name: str, remedy: str) -> None:
        with pytest.raises(AttributeError, match=f"{type(layer).__name__} has no '{name}'. {remedy}"):
            setattr(layer, name, 0.1)

    def test_may_be_kept_by_a_layer_of_ones_own(self) -> None:
        square = Square()
        square.note = "mine"
        assert square.note == "mine"

    def test_may_be_kept_by_a_layer_that_derives_from_one_of_ours(self) -> None:
        class Noted(hc.Dense):
            def __init__(self, units: int) -> None:
                super().__init__(units)
                self.note = "mine"

        assert Noted(2).note == "mine"
