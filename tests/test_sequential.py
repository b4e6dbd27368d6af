"""``Sequential``: fit, evaluate, predict, save and load, and what each says when the arguments are wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.losses import CategoricalCrossentropy, SoftmaxCategoricalCrossentropy
from oracles import softmax_forward

SHAPE = (1, 6, 6)


def model(*last: hc.Layer, **options: Any) -> hc.Sequential:
    layers = [hc.Conv2D(2, 3), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Flatten(), hc.Dense(3), *(last or [hc.Softmax()])]
    return hc.Sequential(layers, **{"input_shape": SHAPE, "seed": 0} | options)


@pytest.fixture
def x(rng: np.random.Generator) -> Any:
    return rng.normal(size=(30, *SHAPE)).astype(np.float32)


@pytest.fixture
def y(rng: np.random.Generator) -> Any:
    return rng.integers(0, 3, 30)


class TestSoftmaxAndCrossentropy:
    @pytest.mark.parametrize("loss", [None, CategoricalCrossentropy(), SoftmaxCategoricalCrossentropy()])
    def test_run_as_the_combined_loss(self, loss: Any, x: Any, y: Any) -> None:
        """Scores of 1e4 would make softmax and logarithm, one after the other, lose everything."""
        network = model()
        network.named_parameters()["4.weights"][...] *= 1e4
        network.named_parameters()["4.biases"][...] = [1e4, -1e4, 0]
        network.fit(x, y, epochs=1, loss=loss, batch_size=30, optimizer=hc.SGD(1e-30))
        assert np.abs(network.gradients[-3:]).max() > 0.1
        assert network.evaluate(x, y, loss=loss)["loss"] > 100

    @pytest.mark.parametrize("smoothing", [0.0, 0.2])
    def test_probabilities_and_scores_have_the_same_loss(self, smoothing: float, x: Any, y: Any) -> None:
        network = model(dtype="float64")
        probabilities, scores = CategoricalCrossentropy(smoothing), SoftmaxCategoricalCrossentropy(smoothing)
        assert network.evaluate(x, y, loss=probabilities) == network.evaluate(x, y, loss=scores)
        assert network.evaluate(x, y, loss=probabilities)["loss"] == pytest.approx(
            probabilities.forward(network.predict(x), y), rel=1e-9
        )

    def test_train_to_the_same_bits_by_either_name(self, x: Any, y: Any) -> None:
        first, second = model(), model()
        first.fit(x, y, loss=CategoricalCrossentropy())
        second.fit(x, y, loss=SoftmaxCategoricalCrossentropy())
        np.testing.assert_array_equal(first.parameters, second.parameters)

    def test_predict_gives_probabilities(self, x: Any) -> None:
        network = model(dtype="float64")
        probabilities = network.predict(x)
        np.testing.assert_allclose(probabilities, softmax_forward(network[:-1].infer(x)), rtol=1e-12)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)

    def test_a_network_of_scores_is_trained_by_the_combined_loss_too(self, x: Any, y: Any) -> None:
        with_softmax, scores = model(), model(hc.Reshape((3,)))
        for network in (with_softmax, scores):
            network.fit(x, y, epochs=2)
        np.testing.assert_array_equal(with_softmax.parameters, scores.parameters)
        np.testing.assert_allclose(with_softmax.predict(x), softmax_forward(scores.predict(x)), rtol=1e-5)

    def test_other_losses_go_through_the_softmax(self, x: Any, y: Any) -> None:
        network, reference = model(dtype="float64"), model(dtype="float64")
        truth, loss = np.eye(3)[y], hc.MeanSquaredError()
        network.fit(x, truth, epochs=1, batch_size=30, loss=hc.MeanSquaredError(), optimizer=hc.SGD(1.0))
        loss.forward(reference.forward(x), truth)
        reference.backward(loss.backward())
        np.testing.assert_allclose(
            network.parameters, reference.parameters - reference.gradients, rtol=1e-9, atol=1e-12
        )


class TestDefaultLoss:
    @pytest.mark.parametrize(
        ("last", "kind"),
        [(hc.Sigmoid(), hc.BinaryCrossentropy), (hc.Softmax(), SoftmaxCategoricalCrossentropy),
         (hc.Dense(2), SoftmaxCategoricalCrossentropy)],
    )  # fmt: skip
    def test_follows_from_the_last_layer(self, last: hc.Layer, kind: type) -> None:
        assert type(hc.Sequential([hc.Dense(2), last]).default_loss()) is kind


class TestFit:
    def test_the_first_batch_tells_the_input_shape(self, x: Any, y: Any) -> None:
        late, early = model(input_shape=None), model()
        for network in (late, early):
            network.fit(x, y)
        np.testing.assert_array_equal(late.parameters, early.parameters)

    def test_lists_will_do(self) -> None:
        hc.Sequential([hc.Dense(2), hc.Softmax()]).fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])

    def test_a_batch_larger_than_the_samples_is_all_of_them(self, x: Any, y: Any) -> None:
        first, second = model(), model()
        first.fit(x, y, batch_size=30)
        second.fit(x, y, batch_size=1000)
        np.testing.assert_array_equal(first.parameters, second.parameters)

    def test_numpy_integers_are_numbers_too(self, x: Any, y: Any) -> None:
        assert len(model().fit(x, y, epochs=np.int64(2), batch_size=np.int32(8))["loss"]) == 2  # type: ignore[arg-type]

    def test_workers_give_the_same_bits(self, x: Any, y: Any) -> None:
        first, second = model(), model()
        first.fit(x, y, epochs=2, batch_size=16)
        second.fit(x, y, epochs=2, batch_size=16, workers=2)
        np.testing.assert_array_equal(first.parameters, second.parameters)

    @pytest.mark.parametrize("name", ["epochs", "batch_size"])
    @pytest.mark.parametrize("value", [0, -1, 1.5, "3", True])
    def test_counts_must_be_whole_and_at_least_one(self, name: str, value: Any, x: Any, y: Any) -> None:
        with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1, got {value!r}"):
            model().fit(x, y, **{name: value})

    def test_two_ways_to_validate_are_one_too_many(self, x: Any, y: Any) -> None:
        with pytest.raises(ValueError, match="validation_split or validation_data, not both"):
            model().fit(x, y, validation_split=0.1, validation_data=(x, y))

    @pytest.mark.parametrize("share", [-0.5, 1.0, 2, float("nan"), "a"])
    def test_the_share_for_validation_must_lie_between_0_and_1(self, share: Any, x: Any, y: Any) -> None:
        with pytest.raises(
            ValueError, match="validation_split, the share held back, must be a number above 0 and below 1"
        ):
            model().fit(x, y, validation_split=share)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"optimizer": "adam"}, r"optimizer must be an optimizer such as handconv\.Adam\(0\.001\), got 'adam'"),
            ({"optimizer": hc.Adam}, "optimizer must be an optimizer such as"),
            ({"loss": "mse"}, r"loss must be a loss such as handconv\.MeanSquaredError\(\), got 'mse'"),
            ({"loss": hc.MeanSquaredError}, "loss must be a loss such as"),
            ({"augment": 1}, r"augment must be a function \(images, generator\) -> images, got 1"),
            ({"augment": hc.augment.Shift}, r"augment must be a function .*, got <class .*Shift"),
            ({"averaging": 0.9}, r"averaging must be an average such as handconv\.ExponentialAverage\(\), got 0\.9"),
        ],
    )
    def test_optimizer_and_others_are_objects(self, options: Any, message: str, x: Any, y: Any) -> None:
        with pytest.raises(TypeError, match=message):
            model().fit(x, y, **options)

    @pytest.mark.parametrize(
        ("make_x", "error", "message"),
        [
            (lambda x: x[:, 0], ValueError, r"x must have shape \(N, 1, 6, 6\), got \(30, 6, 6\)"),
            (lambda x: x.transpose(0, 2, 3, 1), ValueError, r"Channels last\? Use x\.transpose\(0, 3, 1, 2\)"),
            (lambda x: x[0], ValueError, r"x must have shape \(N, 1, 6, 6\), got \(1, 6, 6\)"),
            (lambda x: x[:, :, :5], ValueError, r"got \(30, 1, 5, 6\)"),
            (lambda x: x[:0], ValueError, "at least one sample"),
            (lambda x: x * np.nan, ValueError, "must be finite"),
            (lambda x: x.astype(str), TypeError, "must hold numbers"),
        ],
    )
    def test_bad_inputs(self, make_x: Any, error: type[Exception], message: str, x: Any, y: Any) -> None:
        network = model()
        before = network.parameters.copy()
        for call in (network.fit, network.evaluate):
            with pytest.raises(error, match=message):
                call(make_x(x), y)
        with pytest.raises(error, match=message):
            network.predict(make_x(x))
        np.testing.assert_array_equal(network.parameters, before)

    @pytest.mark.parametrize(
        ("make_y", "error", "message"),
        [
            (lambda y: y[:-1], ValueError, "one target for each of the 30 samples, got 29"),
            (lambda y: [*y, 0], ValueError, "one target for each of the 30 samples, got 31"),
            (lambda y: y + 1, ValueError, "class numbers must be from 0 to 2 for 3 outputs, got 3"),
            (lambda y: y - 1, ValueError, "class numbers must be from 0 to 2"),
            (lambda y: y.astype(float), TypeError, r"must be integers from 0 to 2, got float64\. Use y\.astype\(int\)"),
            (lambda y: np.eye(4)[y], ValueError, r"one-hot rows \(N, 3\)"),
            (lambda y: y[:, None], ValueError, r"Class numbers in a column\? Use y\[:, 0\]"),
        ],
    )
    def test_bad_labels(self, make_y: Any, error: type[Exception], message: str, x: Any, y: Any) -> None:
        for call in (model().fit, model().evaluate):
            with pytest.raises(error, match=message):
                call(x, make_y(y))

    def test_bad_validation_data_is_named(self, x: Any, y: Any) -> None:
        with pytest.raises(ValueError, match=r"validation data must have shape \(N, 1, 6, 6\), got \(30, 6, 6\)"):
            model().fit(x, y, validation_data=(x[:, 0], y))

    def test_bad_sample_weights(self, x: Any, y: Any) -> None:
        with pytest.raises(
            ValueError, match=r"sample_weights must be one number for each of the 30 samples, got \(29,\)"
        ):
            model().fit(x, y, sample_weights=np.ones(29))

    @pytest.mark.parametrize("workers", [0, -1, 1.5, "two", True])
    def test_bad_numbers_of_workers(self, workers: Any, x: Any, y: Any) -> None:
        with pytest.raises(ValueError, match="workers must be a whole number of at least 1"):
            model().fit(x, y, workers=workers)


class TestEvaluateAndPredict:
    def test_evaluate_is_the_mean_loss_and_the_share_of_right_answers(self, x: Any, y: Any) -> None:
        network = model(dtype="float64")
        probabilities = network.predict(x)
        figures = network.evaluate(x, y)
        assert list(figures) == ["loss", "accuracy"]
        assert figures["loss"] == pytest.approx(-np.log(probabilities[np.arange(30), y]).mean())
        assert figures["accuracy"] == pytest.approx(np.mean(probabilities.argmax(axis=1) == y))

    def test_evaluate_leaves_out_penalties_and_dropout(self, x: Any, y: Any) -> None:
        layers = [hc.Flatten(), hc.Dropout(0.9), hc.Dense(3, l2=10), hc.Softmax()]
        network = hc.Sequential(layers, input_shape=SHAPE, seed=0)
        assert network.evaluate(x, y) == network.evaluate(x, y)
        assert network.evaluate(x, y)["loss"] < 10 < network.penalty()

    @pytest.mark.parametrize("batch_size", [1, 7, 30, 31])
    def test_any_batch_size_gives_the_same(self, batch_size: int, x: Any, y: Any) -> None:
        network = model(dtype="float64")
        np.testing.assert_allclose(network.predict(x, batch_size=batch_size), network.predict(x), rtol=1e-12)
        assert network.evaluate(x, y, batch_size=batch_size) == pytest.approx(network.evaluate(x, y), rel=1e-12)

    @pytest.mark.parametrize("batch_size", [0, -5, 2.5, True])
    def test_a_bad_batch_size_is_an_error(self, batch_size: Any, x: Any, y: Any) -> None:
        for call in (
            lambda: model().predict(x, batch_size=batch_size),
            lambda: model().evaluate(x, y, batch_size=batch_size),
        ):
            with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1"):
                call()

    @pytest.mark.parametrize("workers", [0, 1.5, "many"])
    def test_a_bad_number_of_workers_is_an_error(self, workers: Any, x: Any, y: Any) -> None:
        for call in (lambda: model().predict(x, workers=workers), lambda: model().evaluate(x, y, workers=workers)):
            with pytest.raises(ValueError, match="workers must be a whole number of at least 1"):
                call()

    @pytest.mark.parametrize("workers", [2, "auto"])
    def test_workers_give_the_same_bits(self, workers: Any, x: Any, y: Any) -> None:
        network = model()
        shared = network.predict(x, batch_size=4, workers=workers)
        np.testing.assert_array_equal(shared, network.predict(x, batch_size=4))
        assert network.evaluate(x, y, workers=workers) == network.evaluate(x, y)

    def test_pixels_are_divided_by_255(self, y: Any, rng: np.random.Generator) -> None:
        pixels = rng.integers(0, 256, (30, *SHAPE)).astype(np.uint8)
        floats = pixels.astype(np.float32) / 255
        np.testing.assert_array_equal(model().predict(pixels), model().predict(floats))
        assert model().evaluate(pixels, y) == model().evaluate(floats, y)

    def test_both_build_a_network_that_has_no_input_shape_yet(self, x: Any, y: Any) -> None:
        built, late, later = model(), model(input_shape=None), model(input_shape=None)
        np.testing.assert_array_equal(late.predict(x), built.predict(x))
        assert later.evaluate(x, y) == built.evaluate(x, y)

    def test_a_loss_must_be_an_object(self, x: Any, y: Any) -> None:
        with pytest.raises(TypeError, match="loss must be a loss such as"):
            model().evaluate(x, y, loss="mse")  # type: ignore[arg-type]

    def test_any_memory_order_gives_the_same(self, x: Any) -> None:
        np.testing.assert_array_equal(model().predict(np.asfortranarray(x)), model().predict(x))
        np.testing.assert_array_equal(model().predict(x[::-1])[::-1], model().predict(x))


class TestSaveAndLoad:
    """The file format itself has tests of its own."""

    def test_an_unbuilt_model_cannot_be_saved(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"save needs parameters: give input_shape=… or call build\(shape\)"):
            model(input_shape=None).save(tmp_path / "m.npz")

    @pytest.mark.parametrize("name", ["model", "model.txt", "model.npz.bak", ".npz"])
    def test_names_must_end_in_npz(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"got the name .*Let it end in \.npz"):
            model().save(tmp_path / name)
        with pytest.raises(ValueError, match=r"got the name .*Let it end in \.npz"):
            hc.load(tmp_path / name)
        assert not list(tmp_path.iterdir())

    def test_paths_may_be_text(self, tmp_path: Path) -> None:
        model().save(str(tmp_path / "m.npz"))
        assert hc.load(str(tmp_path / "m.npz")).built

    def test_an_initialiser_that_is_a_function_cannot_be_saved(self, tmp_path: Path) -> None:
        network = hc.Sequential([hc.Dense(1, weight_init=lambda shape, *_: np.ones(shape))], input_shape=(2,))
        with pytest.raises(
            ValueError, match=r"weight_init.* is <function.*holds plain values only.*initialiser by its name"
        ):
            network.save(tmp_path / "m.npz")
        assert not list(tmp_path.iterdir())

    def test_a_layer_of_ones_own_is_loaded_by_its_class(self, tmp_path: Path) -> None:
        class Scale(hc.Layer):
            def __init__(self, factor: float, *, name: str | None = None) -> None:
                super().__init__(name=name)
                self.factor = factor

            def forward(self, inputs: Any, training: bool = False) -> Any:
                return self.factor * inputs

            def backward(self, dvalues: Any) -> Any:
                return self.factor * dvalues

        hc.Sequential([Scale(3.0), hc.Dense(1)], input_shape=(2,), seed=0).save(tmp_path / "m.npz")
        with pytest.raises(hc.ModelFileError, match="'Scale' that is not known here"):
            hc.load(tmp_path / "m.npz")
        network = hc.load(tmp_path / "m.npz", layers={"Scale": Scale})
        assert network.layers[0].factor == 3  # type: ignore[attr-defined]

    def test_a_trained_model_predicts_the_same_after_loading(self, x: Any, y: Any, tmp_path: Path) -> None:
        network = model()
        network.fit(x, y, epochs=2)
        network.save(tmp_path / "m.npz")
        np.testing.assert_array_equal(hc.load(tmp_path / "m.npz").predict(x), network.predict(x))


class TestTheReferenceNetwork:
    def test_has_53866_parameters_in_the_shapes_that_were_asked_for(self) -> None:
        network = hc.Sequential(
            [
                hc.Conv2D(8, 3), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Conv2D(16, 3), hc.LeakyReLU(), hc.MaxPool2D(2),
                hc.Flatten(), hc.Dense(128, l2=1e-4), hc.LeakyReLU(), hc.Dropout(0.3), hc.Dense(10), hc.Softmax(),
            ],
            input_shape=(1, 28, 28), seed=0,
        )  # fmt: skip
        assert network.parameters.size == 53_866
        assert [layer.output_shape for layer in network.layers] == [
            (8, 26, 26), (8, 26, 26), (8, 13, 13), (16, 11, 11), (16, 11, 11), (16, 5, 5),
            (400,), (128,), (128,), (128,), (10,), (10,),
        ]  # fmt: skip


class TestWhatNewcomersTry:
    """Mistakes at the door of ``fit`` and ``predict``: the message names the remedy."""

    @pytest.mark.parametrize(
        ("shape", "remedy"),
        [
            ((4, 6, 5), r"x\[:, None\]"),
            ((1, 6, 5), r"x\[None\]"),
            ((4, 30), r"x.reshape\(-1, 1, 6, 5\)"),
            ((4, 6, 5, 1), r"x.transpose\(0, 3, 1, 2\)"),
        ],
    )
    def test_images_of_another_form(self, shape: tuple[int, ...], remedy: str) -> None:
        model = hc.Sequential([hc.Flatten(), hc.Dense(2)], input_shape=(1, 6, 5), seed=0)
        with pytest.raises(ValueError, match=remedy):
            model.predict(np.zeros(shape, np.float32))

    @pytest.mark.parametrize("validation", [np.zeros((5, 3)), (np.zeros((5, 3)),), 7])
    def test_validation_data_that_is_no_pair(self, validation: object) -> None:
        model = hc.Sequential([hc.Dense(2)], input_shape=(3,), seed=0)
        with pytest.raises(TypeError, match=r"validation_data must be a pair \(x, y\)"):
            model.fit(np.zeros((2, 3)), [0, 1], validation_data=validation)  # type: ignore[arg-type]

    @pytest.mark.parametrize("callbacks", [print, [print], hc.PrintProgress(), [hc.PrintProgress]])
    def test_callbacks_that_are_none(self, callbacks: object) -> None:
        model = hc.Sequential([hc.Dense(2)], input_shape=(3,), seed=0)
        with pytest.raises(TypeError, match="callbacks must be a list"):
            model.fit(np.zeros((2, 3)), [0, 1], callbacks=callbacks)  # type: ignore[arg-type]

    def test_saving_to_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        model = hc.Sequential([hc.Dense(2)], input_shape=(3,), seed=0)
        with pytest.raises(FileNotFoundError, match="a folder that exists") as caught:
            model.save(tmp_path / "missing" / "model.npz")
        assert caught.value.filename == str(tmp_path / "missing")


class TestDefaults:
    def test_of_fit_are_one_epoch_of_shuffled_batches_of_128(self) -> None:
        x, y = np.random.default_rng(0).normal(size=(129, *SHAPE)), np.arange(129) % 3
        optimizer, told = hc.Adam(), model()
        usual = model()
        history = usual.fit(x, y, optimizer=optimizer)
        told.fit(x, y, optimizer=hc.Adam(), epochs=1, batch_size=128, shuffle=True)
        assert (len(history.epochs), optimizer.iterations) == (1, 2)
        np.testing.assert_array_equal(usual.parameters, told.parameters)

    def test_class_weights_are_a_mapping(self, x: Any, y: Any) -> None:
        network = model()
        network.fit(x, y, class_weights={0: 2.0})
        with pytest.raises(TypeError, match=r"maps class numbers to weights, as in \{3: 2\.0\}, got \[1, 2\]"):
            network.fit(x, y, class_weights=[1, 2])  # type: ignore[arg-type]

    def test_a_crossentropy_without_this_softmax_before_it_is_run_as_it_is(self, x: Any, y: Any) -> None:
        network, loss = model(type("Own", (hc.Softmax,), {})()), CategoricalCrossentropy()
        expected = loss.forward(network.predict(x), y)
        assert network.evaluate(x, y, loss=loss)["loss"] == pytest.approx(expected, rel=1e-6)

    def test_callbacks_are_called(self, x: Any, y: Any) -> None:
        lines: list[str] = []
        model().fit(x, y, callbacks=[hc.PrintProgress(lines.append)])
        assert len(lines) == 1


def test_a_loss_derived_from_cross_entropy_is_asked(x: Any, y: Any) -> None:
    class Own(hc.CategoricalCrossentropy):
        calls = 0

        def sample_losses(self, predictions: Any, targets: Any) -> Any:
            Own.calls += 1
            return super().sample_losses(predictions, targets)

    network = model()
    network.fit(x, y, epochs=1, loss=Own())
    trained = Own.calls
    network.evaluate(x, y, loss=Own())
    assert Own.calls > trained > 0
