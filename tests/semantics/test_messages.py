"""What a beginner tries either works or is answered by a sentence with the rule, the value and the remedy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics.networks import CLASSES, IMAGES, LABELS, VECTORS, convolutional, dense, refusal, told


class TestChannelsLast:
    @pytest.mark.parametrize("shape", [(28, 28, 1), (28, 28, 3), (32, 32, 3)])
    @pytest.mark.parametrize("kernel", [3, 5])
    def test_as_input_shape_of_a_convolution_is_told(self, shape: tuple[int, ...], kernel: int) -> None:
        message = told(lambda: hc.Sequential([hc.Conv2D(4, kernel), hc.ReLU(), hc.Flatten(), hc.Dense(3)],
                                             input_shape=shape, seed=0))  # fmt: skip
        assert "last" in message.lower()
        assert str(shape) in message
        assert str((shape[2], *shape[:2])) in message

    def test_as_samples_of_a_network_without_a_shape_is_told(self) -> None:
        network = hc.Sequential([hc.Conv2D(4, 3), hc.Flatten(), hc.Dense(3)], seed=0)
        assert "last" in told(lambda: network.fit(np.zeros((8, 28, 28, 1)), LABELS[:8])).lower()

    @pytest.mark.parametrize("verb", ["predict", "infer", "forward"])
    def test_as_samples_has_the_transpose_as_remedy(self, verb: str) -> None:
        with pytest.raises(ValueError, match=r"transpose\(0, 3, 1, 2\)"):
            getattr(convolutional(), verb)(np.zeros((5, 8, 8, 1)))

    def test_is_no_matter_without_images(self) -> None:
        assert told(lambda: hc.Sequential([hc.Flatten(), hc.Dense(3)], input_shape=(28, 28, 1), seed=0)) == ""


class TestASingleSample:
    @pytest.mark.parametrize("verb", ["predict", "infer", "forward"])
    def test_has_a_new_axis_as_remedy(self, verb: str) -> None:
        with pytest.raises(ValueError, match=r"x\[None\]"):
            getattr(convolutional(), verb)(IMAGES[0])

    @pytest.mark.parametrize("verb", ["predict", "infer", "forward"])
    def test_that_is_a_vector_has_a_new_axis_as_remedy(self, verb: str) -> None:
        with pytest.raises(ValueError, match=r"x\[None\]"):
            getattr(dense(), verb)(VECTORS[0])

    @pytest.mark.parametrize("verb", ["predict", "infer", "forward"])
    def test_without_its_channel_is_told(self, verb: str) -> None:
        with pytest.raises(ValueError, match=r"x\[None"):
            getattr(convolutional(), verb)(IMAGES[0, 0])

    def test_with_a_new_axis_is_answered(self) -> None:
        assert convolutional().predict(IMAGES[0][None]).shape == (1, 3)


class TestArgumentsOfOtherLibraries:
    @pytest.mark.parametrize(
        "make", [lambda **more: hc.Dense(3, **more), lambda **more: hc.Conv2D(3, 3, **more)], ids=["Dense", "Conv2D"]
    )
    @pytest.mark.parametrize("activation", ["relu", "softmax"])
    def test_an_activation_is_a_layer_of_its_own(self, make: Callable[..., hc.Layer], activation: str) -> None:
        with pytest.raises(TypeError, match=r"activation.*ReLU\(\)"):
            make(activation=activation)

    @pytest.mark.parametrize("verbose", [True, 1])
    def test_verbose_shows_each_epoch(self, verbose: Any, capsys: pytest.CaptureFixture[str]) -> None:
        dense().fit(VECTORS, CLASSES, epochs=3, verbose=verbose)
        shown = "".join(capsys.readouterr())
        assert all(f"{epoch}/3" in shown for epoch in (1, 2, 3))

    @pytest.mark.parametrize("verbose", [False, 0])
    def test_not_verbose_shows_nothing(self, verbose: Any, capsys: pytest.CaptureFixture[str]) -> None:
        dense().fit(VECTORS, CLASSES, epochs=3, verbose=verbose)
        assert "".join(capsys.readouterr()) == ""

    def test_without_verbose_nothing_is_shown(self, capsys: pytest.CaptureFixture[str]) -> None:
        dense().fit(VECTORS, CLASSES)
        assert "".join(capsys.readouterr()) == ""

    def test_verbose_changes_nothing_in_the_training(self, capsys: pytest.CaptureFixture[str]) -> None:
        losses = [dense().fit(VECTORS, CLASSES, verbose=verbose)["loss"] for verbose in (1, 0)]
        assert losses[0] == losses[1]


class TestMethodsOfOtherLibraries:
    def test_compile_is_answered_by_fit(self) -> None:
        with pytest.raises((AttributeError, TypeError), match="fit"):
            dense().compile(optimizer="adam", loss="categorical_crossentropy")

    def test_add_is_answered_by_the_list_of_layers(self) -> None:
        with pytest.raises((AttributeError, TypeError), match=r"Sequential\(\["):
            dense().add(hc.Dense(3))

    def test_other_names_are_answered_as_python_does(self) -> None:
        with pytest.raises(AttributeError, match="frobnicate"):
            dense().frobnicate()  # type: ignore[attr-defined]

    def test_a_network_that_is_called_answers_or_says_which_method_does(self) -> None:
        network = dense()
        answers: list[Any] = []
        refused = refusal(lambda: answers.append(network(VECTORS[:4])))  # type: ignore[operator]
        assert "predict" in refused or not refused
        for answer in answers:
            np.testing.assert_allclose(answer, network.predict(VECTORS[:4]), rtol=1e-6)


class TestFiles:
    @pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.pkl", "model", "model.pt"])
    def test_of_other_kinds_are_refused_with_the_right_ending(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"\.npz"):
            dense().save(tmp_path / name)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("name", ["model.keras", "model.pkl"])
    def test_of_other_kinds_are_not_read(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"\.npz"):
            hc.load(tmp_path / name)


class TestSamplesThatDoNotFit:
    def test_of_many_sizes_are_told_in_words_of_images(self) -> None:
        with pytest.raises((ValueError, TypeError), match=r"same (shape|size)"):
            dense().fit([np.zeros((3, 3)), np.zeros((4, 4))], [0, 1])

    @pytest.mark.parametrize("verb", ["predict", "infer", "forward"])
    @pytest.mark.parametrize("x", [np.zeros((2, 4), complex), np.array([["a"] * 4]), np.zeros((2, 4), "datetime64[s]"),
                                   np.full((2, 4), None)], ids=["complex", "text", "times", "objects"])  # fmt: skip
    def test_that_are_no_numbers_are_refused(self, x: Any, verb: str) -> None:
        with pytest.raises(TypeError, match="numbers"):
            getattr(dense(), verb)(x)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    @pytest.mark.parametrize("verb", ["fit", "evaluate"])
    def test_that_are_not_finite_are_refused(self, verb: str, value: float) -> None:
        x = VECTORS.copy()
        x[5, 2] = value
        with pytest.raises(ValueError, match="finite"):
            getattr(dense(), verb)(x, CLASSES)

    def test_none_at_all_are_refused(self) -> None:
        with pytest.raises(ValueError, match="at least one"):
            dense().fit(VECTORS[:0], CLASSES[:0])


class TestArgumentsOfFit:
    def test_an_optimizer_by_its_name_is_told(self) -> None:
        with pytest.raises(TypeError, match=r"handconv\.Adam"):
            dense().fit(VECTORS, CLASSES, optimizer="adam")  # type: ignore[arg-type]

    def test_a_loss_by_its_name_is_told(self) -> None:
        with pytest.raises(TypeError, match=r"handconv\.MeanSquaredError"):
            dense().fit(VECTORS, CLASSES, loss="mse")  # type: ignore[arg-type]

    @pytest.mark.parametrize("kind", [hc.Adam, hc.SGD])
    def test_a_class_instead_of_an_optimizer_is_told(self, kind: Any) -> None:
        with pytest.raises(TypeError, match="optimizer"):
            dense().fit(VECTORS, CLASSES, optimizer=kind)

    def test_a_class_instead_of_a_layer_is_told(self) -> None:
        with pytest.raises(TypeError, match=r"layer"):
            hc.Sequential([hc.Dense(3), hc.ReLU], input_shape=(4,), seed=0)  # type: ignore[list-item]

    def test_old_hooks_are_told(self) -> None:
        class Old(hc.Layer):
            def _forward(self, x: Any, *, training: bool, remember: bool) -> Any:
                return x

            def _backward(self, dvalues: Any) -> Any:
                return dvalues

        with pytest.raises(NotImplementedError, match="Old must define forward"):
            hc.Sequential([Old()], input_shape=(4,), seed=0).predict(VECTORS)


def layer(**methods: Any) -> hc.Layer:
    """A layer of one's own called Mine, which passes everything on but for these methods."""

    def forward(self: Any, inputs: Any, training: bool = False) -> Any:
        return inputs

    def backward(self: Any, dvalues: Any) -> Any:
        return dvalues

    return type("Mine", (hc.Layer,), {"forward": forward, "backward": backward} | methods)()


class TestALayerOfOnesOwn:
    def fit(self, mine: hc.Layer) -> hc.History:
        return hc.Sequential([hc.Dense(4), mine, hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0).fit(
            VECTORS, CLASSES
        )

    def test_may_forget_to_call_the_constructor_of_its_parent(self) -> None:
        def constructor(self: Any) -> None:
            self.factor = 2.0

        assert self.fit(layer(__init__=constructor))["loss"]

    def test_whose_forward_has_no_training_works_or_is_told(self) -> None:
        def forward(self: Any, inputs: Any) -> Any:
            return inputs

        refused = refusal(lambda: self.fit(layer(forward=forward)))
        assert not refused or ("Mine" in refused and "training" in refused)

    @pytest.mark.parametrize("method", ["forward", "backward"])
    def test_that_returns_a_tuple_is_named(self, method: str) -> None:
        def both(self: Any, values: Any, training: bool = False) -> Any:
            return values, "kept for later"

        with pytest.raises((TypeError, ValueError), match="Mine"):
            self.fit(layer(**{method: both}))

    @pytest.mark.parametrize("name", ["forward", "backward", "name", "output", "input_shape", "generator"])
    def test_whose_array_has_a_name_that_a_layer_needs_is_told(self, name: str) -> None:
        def declare(self: Any, input_shape: Any) -> Any:
            return (hc.ParameterSpec(name, input_shape),)

        with pytest.raises(ValueError, match=name):
            self.fit(layer(declare=declare))

    def test_with_two_arrays_of_one_name_is_told(self) -> None:
        def declare(self: Any, input_shape: Any) -> Any:
            return hc.ParameterSpec("scale", input_shape), hc.ParameterSpec("scale", (1,), trainable=False)

        with pytest.raises(ValueError, match="scale"):
            self.fit(layer(declare=declare))

    def test_that_declares_one_array_without_a_tuple_works_or_is_told(self) -> None:
        def declare(self: Any, input_shape: Any) -> Any:
            return hc.ParameterSpec("scale", input_shape, trainable=False)

        refused = refusal(lambda: self.fit(layer(declare=declare)))
        assert "tuple" in refused or not refused

    def test_that_does_not_fill_a_gradient_is_found_by_gradcheck(self) -> None:
        def declare(self: Any, input_shape: Any) -> Any:
            return (hc.ParameterSpec("scale", input_shape, "ones"),)

        def forward(self: Any, inputs: Any, training: bool = False) -> Any:
            return inputs * self.scale

        def backward(self: Any, dvalues: Any) -> Any:
            return dvalues * self.scale

        mine = layer(declare=declare, forward=forward, backward=backward)
        assert not hc.gradcheck(mine, VECTORS[:2]).ok

    def test_whose_gradient_is_assigned_instead_of_written_is_filled_or_told(self) -> None:
        def declare(self: Any, input_shape: Any) -> Any:
            return (hc.ParameterSpec("shift", input_shape),)

        def forward(self: Any, inputs: Any, training: bool = False) -> Any:
            return inputs + self.shift

        def backward(self: Any, dvalues: Any) -> Any:
            self.dshift = dvalues.sum(axis=0)
            return dvalues

        mine = layer(declare=declare, forward=forward, backward=backward)
        refused = refusal(lambda: self.fit(mine))
        assert "dshift" in refused or mine.shift.any()


class TestParameterSpec:
    @pytest.mark.parametrize(
        "wrong",
        [{"reduce": "max"}, {"initializer": "sevens"}, {"l1": -1.0}, {"l2": float("nan")}, {"shape": (0,)}],
        ids=repr,
    )
    def test_that_makes_no_sense_is_told(self, wrong: dict[str, Any]) -> None:
        def declare(self: Any, input_shape: Any) -> Any:
            return (hc.ParameterSpec(**{"name": "scale", "shape": input_shape} | wrong),)

        with pytest.raises((ValueError, TypeError), match=next(iter(wrong)) + "|scale"):
            hc.Sequential([layer(declare=declare)], input_shape=(4,), seed=0)
