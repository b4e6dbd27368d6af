"""The training loop: its figures, its reproducibility, and how it ends."""

import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.losses import SoftmaxCategoricalCrossentropy
from handconv.training import Progress
from handconv.training.state import TrainingState

SOURCES = Path(hc.__file__).resolve().parent.parent


def blobs(count: int = 120, seed: int = 0) -> tuple[Any, Any]:
    """Three clouds of points that can be told apart."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    x = rng.normal(size=(count, 2)) * 0.4 + np.array([[0, 2], [2, -1], [-2, -1]])[y]
    return x.astype(np.float32), y


def model(seed: int | None = 0, dropout: float = 0.2, **options: Any) -> hc.Sequential:
    layers = [hc.Dense(16, l2=1e-3), hc.LeakyReLU(), hc.Dropout(dropout), hc.Dense(3), hc.Softmax()]
    return hc.Sequential(layers, **{"input_shape": (2,), "seed": seed} | options)


class TestLearning:
    def test_it_learns_to_tell_clouds_apart(self) -> None:
        network = model()
        history = network.fit(*blobs(), epochs=15, batch_size=16, optimizer=hc.Adam(0.01))
        assert history["loss"][-1] < history["loss"][0] / 2
        assert network.evaluate(*blobs(seed=1))["accuracy"] > 0.95

    @pytest.mark.parametrize("optimizer", [hc.SGD(0.1), hc.SGD(0.05, 0.9, nesterov=True), hc.AdamW(0.01)])
    def test_with_every_optimizer(self, optimizer: hc.Optimizer) -> None:
        network = model()
        network.fit(*blobs(), epochs=15, batch_size=16, optimizer=optimizer)
        assert network.evaluate(*blobs(seed=1))["accuracy"] > 0.95

    def test_with_one_sigmoid_output(self) -> None:
        x, y = blobs()
        network = hc.Sequential([hc.Dense(8), hc.Tanh(), hc.Dense(1), hc.Sigmoid()], input_shape=(2,), seed=0)
        history = network.fit(x, y == 0, epochs=20, batch_size=16, optimizer=hc.Adam(0.05), validation_split=0.2)
        assert history["val_accuracy"][-1] > 0.95

    def test_with_numbers_instead_of_classes(self) -> None:
        x, _ = blobs()
        network = hc.Sequential([hc.Dense(1)], input_shape=(2,), seed=0)
        network.fit(
            x, x @ [2.0, -3.0] + 1, epochs=20, batch_size=16, optimizer=hc.SGD(0.05), loss=hc.MeanSquaredError()
        )
        np.testing.assert_allclose(network.parameters, [2, -3, 1], atol=0.05)


class TestFigures:
    def test_each_epoch_has_them(self) -> None:
        history = model().fit(*blobs(), epochs=2)
        assert list(history) == [
            "epoch", "loss", "data_loss", "penalty", "accuracy", "learning_rate", "train_seconds", "images_per_second",
        ]  # fmt: skip
        assert history["epoch"] == [1, 2]
        for values in history.values():
            assert all(type(value) in (int, float) for value in values)

    def test_loss_is_data_loss_and_penalty(self) -> None:
        history = model().fit(*blobs(), epochs=3, batch_size=50)
        assert history["loss"] == pytest.approx(np.add(history["data_loss"], history["penalty"]))
        assert min(history["penalty"]) > 0

    def test_of_a_step_that_changes_nothing_are_those_of_evaluate(self) -> None:
        network = model(dropout=0, dtype="float64")
        penalty = network.penalty()
        history = network.fit(*blobs(), epochs=1, batch_size=50, optimizer=hc.SGD(1e-300))
        figures = network.evaluate(*blobs())
        assert history["data_loss"] == pytest.approx([figures["loss"]], rel=1e-9)
        assert history["accuracy"] == pytest.approx([figures["accuracy"]])
        assert history["penalty"] == pytest.approx([penalty], rel=1e-9)

    @pytest.mark.parametrize("width", [1, 3])
    def test_where_targets_are_no_classes_there_is_no_accuracy(self, width: int) -> None:
        x = np.random.default_rng(0).normal(size=(40, 2))
        targets, loss = 3 * x[:, :1] + np.arange(width), hc.MeanSquaredError()
        network, told = hc.Sequential([hc.Dense(width)], seed=0), []

        class Watch(hc.Callback):
            def on_batch_end(self, run: TrainingState, progress: Progress) -> None:
                told.append(progress.accuracy)

        history = network.fit(x, targets, loss=loss, validation_split=0.25, callbacks=[Watch(), hc.PrintProgress()])
        assert {"loss", "val_loss"} < set(history)
        assert not {"accuracy", "val_accuracy"} & set(history)
        assert np.isnan(told).all()
        assert list(network.evaluate(x, targets, loss=loss)) == ["loss"]

    def test_the_learning_rate_is_the_mean_of_those_of_the_epochs_steps(self) -> None:
        schedule = hc.schedules.InverseTimeDecay(0.1, decay=1.0)
        history = model().fit(*blobs(), epochs=2, batch_size=60, optimizer=hc.Adam(schedule))
        assert history["learning_rate"] == pytest.approx([(0.1 + 0.1 / 2) / 2, (0.1 / 3 + 0.1 / 4) / 2])

    def test_images_per_second_follow_from_the_seconds(self) -> None:
        history = model().fit(*blobs(), epochs=2)
        assert history["images_per_second"] == pytest.approx([120 / seconds for seconds in history["train_seconds"]])


class TestValidation:
    def test_of_given_data_is_that_of_evaluate(self) -> None:
        network = model()
        x, y = blobs(50, seed=1)
        history = network.fit(*blobs(), epochs=3, validation_data=(x, y))
        figures = network.evaluate(x, y)
        assert (history["val_loss"][-1], history["val_accuracy"][-1]) == pytest.approx(
            (figures["loss"], figures["accuracy"]), rel=1e-6
        )

    def test_has_no_penalty_in_it(self) -> None:
        network = hc.Sequential([hc.Dense(3, l2=100), hc.Softmax()], input_shape=(2,), seed=0)
        history = network.fit(*blobs(), epochs=1, validation_split=0.5, optimizer=hc.SGD(1e-9))
        assert history["penalty"][0] > 10
        assert history["val_loss"][0] < 10

    def test_samples_held_back_are_not_trained_on(self) -> None:
        """Whatever they are, the parameters are the same."""
        x, y = blobs()
        trained = []
        for changed in range(-1, 12):
            network, inputs = model(), x.copy()
            inputs[max(changed, 0)] += 0.0 if changed < 0 else 1.0
            network.fit(inputs, y, epochs=2, batch_size=32, validation_split=0.5)
            trained.append(network.parameters)
        same = sum(np.array_equal(parameters, trained[0]) for parameters in trained[1:])
        assert 0 < same < 12

    def test_nothing_is_measured_without(self) -> None:
        assert "val_loss" not in model().fit(*blobs())


class TestReproducibility:
    def test_the_same_seed_gives_the_same_bits(self) -> None:
        first, second = model(), model()
        histories = [
            network.fit(*blobs(), epochs=3, batch_size=16, validation_split=0.1) for network in (first, second)
        ]
        np.testing.assert_array_equal(first.parameters, second.parameters)
        for name in ("loss", "accuracy", "val_loss"):
            assert histories[0][name] == histories[1][name]

    def test_in_two_processes(self) -> None:
        program = (
            "import numpy as np, handconv as hc, hashlib\n"
            "x = np.random.default_rng(0).integers(0, 256, (200, 1, 12, 12)).astype(np.uint8)\n"
            "model = hc.Sequential([hc.Conv2D(4, 3), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Flatten(), hc.Dropout(0.3),\n"
            "                       hc.Dense(10), hc.Softmax()], input_shape=(1, 12, 12), seed=3)\n"
            "model.fit(x, np.arange(200) % 10, epochs=2, batch_size=64, validation_split=0.1)\n"
            "print(hashlib.sha256(model.parameters.tobytes()).hexdigest())\n"
        )
        answers = [
            subprocess.run(
                [sys.executable, "-c", program], cwd=SOURCES, capture_output=True, text=True, check=True
            ).stdout
            for _ in range(2)
        ]
        assert answers[0] == answers[1]
        assert len(answers[0].strip()) == 64

    def test_another_seed_gives_other_bits(self) -> None:
        first, second = model(0), model(1)
        second.parameters[...] = first.parameters
        for network in (first, second):
            network.fit(*blobs(), epochs=1, batch_size=16)
        assert not np.array_equal(first.parameters, second.parameters)

    def test_without_a_seed_the_one_that_was_drawn_repeats_the_run(self) -> None:
        first = model(None)
        second = model(first.streams.seed)
        for network in (first, second):
            network.fit(*blobs(), epochs=1, batch_size=16)
        np.testing.assert_array_equal(first.parameters, second.parameters)

    def test_numpys_global_generator_is_neither_used_nor_changed(self) -> None:
        before = np.random.get_state()[1].copy()  # type: ignore[union-attr,index]  # noqa: NPY002
        model().fit(*blobs(), epochs=1, validation_split=0.1)
        np.testing.assert_array_equal(np.random.get_state()[1], before)  # type: ignore[index]  # noqa: NPY002

    def test_the_fused_plan_trains_as_the_layers_do(self) -> None:
        x = np.random.default_rng(0).normal(size=(60, 1, 9, 9))
        networks = []
        for fuse in (True, False):
            layers = [hc.Conv2D(3, 3), hc.LeakyReLU(), hc.MaxPool2D(2), hc.Flatten(), hc.Dense(3), hc.Softmax()]
            networks.append(hc.Sequential(layers, input_shape=(1, 9, 9), seed=0, dtype="float64", fuse=fuse))
            networks[-1].fit(x, np.arange(60) % 3, epochs=3, batch_size=16, optimizer=hc.Adam(0.01))
        np.testing.assert_allclose(networks[0].parameters, networks[1].parameters, rtol=1e-7, atol=1e-10)

    def test_the_samples_are_not_changed(self) -> None:
        x, y = blobs()
        kept = x.copy(), y.copy()
        model().fit(x, y, epochs=2)
        np.testing.assert_array_equal(x, kept[0])
        np.testing.assert_array_equal(y, kept[1])


class TestGoingOn:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_an_optimizer_given_again_begins_anew(self, workers: int) -> None:
        again, fresh, optimizer = model(), model(), hc.Adam(0.01)
        for network, second in ((again, optimizer), (fresh, hc.Adam(0.01))):
            network.fit(*blobs(), epochs=1, batch_size=60, optimizer=optimizer, workers=workers)
            network.fit(*blobs(), epochs=2, batch_size=60, optimizer=second, workers=workers)
        assert optimizer.iterations == 2
        np.testing.assert_array_equal(again.parameters, fresh.parameters)

    def test_its_state_stays_to_be_looked_at(self) -> None:
        optimizer = hc.Adam(0.01)
        model().fit(*blobs(), epochs=2, batch_size=60, optimizer=optimizer)
        assert optimizer.iterations == 4
        assert optimizer.state["m"].any()

    def test_an_optimizer_that_was_loaded_goes_on(self) -> None:
        once, twice, optimizer = model(), model(), hc.Adam(0.01)
        once.fit(*blobs(), epochs=2, batch_size=60, optimizer=hc.Adam(0.01))
        twice.fit(*blobs(), epochs=1, batch_size=60, optimizer=optimizer)
        other = hc.Adam(0.01)
        other.build(twice.parameters, twice.decayed())
        other.load_state_dict(optimizer.state_dict())
        twice.fit(*blobs(), epochs=1, batch_size=60, optimizer=other)
        np.testing.assert_array_equal(twice.parameters, once.parameters)

    def test_an_optimizer_serves_another_model_after_a_fit(self) -> None:
        optimizer, other = hc.Adam(0.01), hc.Sequential([hc.Dense(3)], seed=0)
        model().fit(*blobs(), optimizer=optimizer)
        other.fit(*blobs(), optimizer=optimizer)
        assert optimizer.iterations == 1

    def test_fitting_again_goes_on_from_the_parameters(self) -> None:
        network = model()
        first = network.fit(*blobs(), epochs=10, batch_size=16, optimizer=hc.Adam(0.01))
        second = network.fit(*blobs(), epochs=1, batch_size=16)
        assert second["loss"][0] < first["loss"][0] / 2

    def test_fitting_again_takes_new_orders_and_masks(self) -> None:
        once, twice = model(), model()
        once.fit(*blobs(), epochs=2, batch_size=16, optimizer=hc.SGD(0.1))
        twice.fit(*blobs(), epochs=1, batch_size=16, optimizer=hc.SGD(0.1))
        twice.fit(*blobs(), epochs=1, batch_size=16, optimizer=hc.SGD(0.1))
        np.testing.assert_array_equal(twice.parameters, once.parameters)

    def test_a_schedule_given_again_begins_anew(self) -> None:
        network, optimizer = model(), hc.Adam(hc.schedules.CosineDecay(0.01))
        first = network.fit(*blobs(), epochs=2, batch_size=60, optimizer=optimizer)
        second = network.fit(*blobs(), epochs=2, batch_size=60, optimizer=optimizer)
        assert second["learning_rate"] == first["learning_rate"]

    def test_afterwards_results_belong_to_the_caller(self) -> None:
        network = model()
        network.fit(*blobs())
        x, _ = blobs()
        first = network.forward(x[:3])
        kept = first.copy()
        network.forward(-x[:3])
        np.testing.assert_array_equal(first, kept)

    def test_afterwards_gradients_are_the_networks_own(self) -> None:
        network = model(dropout=0)
        network.fit(*blobs())
        x, y = blobs(8)
        loss = SoftmaxCategoricalCrossentropy()
        scores = network[:-1]
        loss.forward(scores.forward(x), y)
        network.gradients[...] = 0
        scores.backward(loss.backward())
        assert network.gradients.any()
        np.testing.assert_array_equal(network.layers[3].dbiases, network.gradients[-3:])  # type: ignore[attr-defined]


class TestDivergence:
    def test_an_infinite_gradient_of_a_finite_loss_is_named(self) -> None:
        network = hc.Sequential([hc.Dense(1, weight_init="zeros")], input_shape=(2,), seed=0)
        before = network.parameters.copy()
        message = r"epoch 1, step 1: the gradient is not finite; .* squared gradient of 0\.weights"
        with pytest.raises(hc.DivergenceError, match=message):
            network.fit(np.full((4, 2), 1e30), np.full(4, 1e15), loss=hc.MeanSquaredError())
        np.testing.assert_array_equal(network.parameters, before)

    def test_it_names_epoch_step_layer_and_rate(self) -> None:
        x, y = blobs()
        network = model(dropout=0)
        with (
            np.errstate(all="ignore"),
            pytest.raises(
                hc.DivergenceError,
                match=r"diverged in epoch 1, step 2: the loss is not finite; .* the output of layer 3 \(Dense\)\. "
                r"Use a smaller learning rate \(it is 1e\+30\)",
            ),
        ):
            network.fit(x, y, epochs=2, batch_size=40, optimizer=hc.SGD(1e30))

    def test_it_names_the_layer_by_its_own_name(self) -> None:
        network = hc.Sequential([hc.Dense(3, name="scores"), hc.Softmax()], input_shape=(2,), seed=0)
        with np.errstate(all="ignore"), pytest.raises(hc.DivergenceError, match=r"layer scores \(Dense\)"):
            network.fit(np.full((4, 2), 1e15), [0, 1, 2, 0], epochs=3, batch_size=2, optimizer=hc.SGD(1e30))

    @pytest.mark.parametrize("workers", [1, 2])
    def test_the_last_step_is_looked_at_too(self, workers: int) -> None:
        network = hc.Sequential([hc.Dense(3, name="scores"), hc.Softmax()], input_shape=(2,), seed=0)
        message = r"in the last step of epoch 1: scores\.weights are not finite\. Use a smaller .* \(it is 1e\+38\)"
        with np.errstate(all="ignore"), pytest.raises(hc.DivergenceError, match=message):
            network.fit(
                np.full((16, 2), 1e15), np.arange(16) % 3, batch_size=16, optimizer=hc.SGD(1e38), workers=workers
            )

    def test_a_loss_that_is_infinite_by_itself_is_named(self) -> None:
        network = hc.Sequential([hc.Dense(1)], input_shape=(2,), seed=0)
        with (
            np.errstate(all="ignore"),
            pytest.raises(hc.DivergenceError, match=r"epoch 1, step 1: .* in the loss itself"),
        ):
            network.fit(np.ones((4, 2)), np.full(4, 1e30), loss=hc.MeanSquaredError())

    def test_a_penalty_that_is_infinite_is_one_of_the_loss(self) -> None:
        network = hc.Sequential([hc.Dense(1, l2=1.0, weight_init="zeros")], input_shape=(2,), seed=0)
        network.named_parameters()["0.weights"][...] = 1e25
        with (
            np.errstate(all="ignore"),
            pytest.raises(hc.DivergenceError, match="epoch 1, step 1: the loss is not finite"),
        ):
            network.fit(np.zeros((4, 2)), np.zeros(4), loss=hc.MeanSquaredError())

    def test_the_parameters_before_the_step_stay(self) -> None:
        network = hc.Sequential([hc.Dense(1)], input_shape=(2,), seed=0)
        before = network.parameters.copy()
        with np.errstate(all="ignore"), pytest.raises(hc.DivergenceError):
            network.fit(np.ones((4, 2)), np.full(4, 1e30), loss=hc.MeanSquaredError())
        np.testing.assert_array_equal(network.parameters, before)

    def test_the_model_can_be_used_and_trained_afterwards(self) -> None:
        x, y = blobs()
        network = model(dropout=0)
        start = network.parameters.copy()
        with np.errstate(all="ignore"), pytest.raises(hc.DivergenceError):
            network.fit(x, y, epochs=2, batch_size=40, optimizer=hc.SGD(1e30))
        network.parameters = start
        history = network.fit(x, y, epochs=5, batch_size=16, optimizer=hc.Adam(0.01))
        assert history["loss"][-1] < history["loss"][0]

    def test_it_is_an_arithmetic_error(self) -> None:
        assert issubclass(hc.DivergenceError, ArithmeticError)


@pytest.mark.parametrize(("answer", "epochs"), [(True, 1), (np.True_, 1), (np.False_, 3), (None, 3), ({"a": 1}, 3)])
def test_true_ends_the_training_numpys_too(answer: object, epochs: int) -> None:
    class Stop(hc.Callback):
        def on_epoch_end(self, run: TrainingState, figures: object) -> Any:
            return answer

    assert len(model().fit(*blobs(), epochs=3, callbacks=[Stop()]).epochs) == epochs


def test_training_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model().fit(*blobs(), epochs=2, validation_split=0.2)


def test_training_leaves_the_settings_of_numpy_as_they_were() -> None:
    before, inside = (np.geterr(), np.getbufsize()), []

    class Look(hc.Callback):
        def on_epoch_end(self, run: TrainingState, figures: dict[str, float]) -> None:
            inside.append((np.geterr(), np.getbufsize()))

    model().fit(*blobs(), epochs=1, callbacks=[Look()])
    assert (np.geterr(), np.getbufsize()) == before
    assert before not in inside
    assert inside[0][1] == 256  # what the changelog promises to callbacks


class TestEpochsTrained:
    """How many epochs' orders and masks a network has seen, so that they do not come again."""

    @pytest.mark.parametrize("workers", [1, 2])
    def test_they_are_counted_over_fits(self, workers: int) -> None:
        network = model()
        for _ in range(2):
            network.fit(*blobs(), epochs=3, batch_size=60, workers=workers)
        assert network.epochs_trained == 6

    def test_an_epoch_that_was_broken_off_counts(self) -> None:
        class Break(hc.Callback):
            def on_batch_end(self, run: TrainingState, progress: Progress) -> None:
                if progress.epoch == 2:
                    run.pause()

            def on_pause(self, run: TrainingState) -> None:
                raise KeyboardInterrupt

        network = model()
        with pytest.raises(KeyboardInterrupt):
            network.fit(*blobs(), epochs=5, batch_size=10, callbacks=[Break()])
        assert network.epochs_trained == 2

    def test_a_fit_that_did_no_step_counts_none(self) -> None:
        class Break(hc.Callback):
            def on_train_begin(self, run: TrainingState) -> None:
                raise KeyboardInterrupt

        network = model()
        with pytest.raises(KeyboardInterrupt):
            network.fit(*blobs(), callbacks=[Break()])
        assert network.epochs_trained == 0

    def test_they_are_saved(self, tmp_path: Path) -> None:
        once, network = model(), model()
        once.fit(*blobs(), epochs=2, batch_size=16, optimizer=hc.SGD(0.1))
        network.fit(*blobs(), epochs=1, batch_size=16, optimizer=hc.SGD(0.1))
        network.save(tmp_path / "m.npz")
        loaded = hc.load(tmp_path / "m.npz")
        loaded.fit(*blobs(), epochs=1, batch_size=16, optimizer=hc.SGD(0.1))
        np.testing.assert_array_equal(loaded.parameters, once.parameters)


class TestOneFitAtATime:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_fit_inside_a_fit_of_the_same_model_is_refused(self, workers: int) -> None:
        network, undisturbed, errors = model(), model(), []

        class Again(hc.Callback):
            def on_epoch_end(self, run: TrainingState, figures: object) -> None:
                with pytest.raises(RuntimeError, match="fit was called from a callback of that fit") as caught:
                    network.fit(*blobs())
                errors.append(caught.value)

        network.fit(*blobs(), epochs=2, batch_size=60, workers=workers, callbacks=[Again()])
        undisturbed.fit(*blobs(), epochs=2, batch_size=60)
        assert len(errors) == 2
        np.testing.assert_array_equal(network.parameters, undisturbed.parameters)

    def test_a_fit_of_another_model_inside_a_fit_is_right(self) -> None:
        network, others, alone = model(), [], model(seed=5)
        alone.fit(*blobs())

        class Other(hc.Callback):
            def on_epoch_end(self, run: TrainingState, figures: object) -> None:
                others.append(model(seed=5))
                others[-1].fit(*blobs())

        network.fit(*blobs(), epochs=2, callbacks=[Other()])
        undisturbed = model()
        undisturbed.fit(*blobs(), epochs=2)
        np.testing.assert_array_equal(network.parameters, undisturbed.parameters)
        for other in others:
            np.testing.assert_array_equal(other.parameters, alone.parameters)

    @pytest.mark.parametrize("verb", ["fit", "predict", "evaluate", "forward", "infer"])
    def test_another_thread_is_refused_at_once(self, verb: str) -> None:
        network, x, y = model(), *blobs()
        calls = {
            "fit": lambda: network.fit(x, y), "predict": lambda: network.predict(x),
            "evaluate": lambda: network.evaluate(x, y), "forward": lambda: network.forward(x),
            "infer": lambda: network.infer(x),
        }  # fmt: skip
        errors: list[BaseException | None] = []

        class Ask(hc.Callback):
            def on_epoch_end(self, run: TrainingState, figures: object) -> None:
                with ThreadPoolExecutor(1) as threads:
                    errors.append(threads.submit(calls[verb]).exception(30))

        network.fit(x, y, callbacks=[Ask()])
        assert isinstance(errors[0], RuntimeError)
        assert "being trained" in str(errors[0])
        calls[verb]()
